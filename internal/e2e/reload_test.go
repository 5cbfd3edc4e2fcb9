//go:build integration

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/internal/testkit"
)

// configFile writes a configuration with flows of the bed, by a rename.
func (b bed) configFile(t *testing.T, path, flows string) {
	t.Helper()
	text := fmt.Sprintf("mongodb: {uri: %q}\nsearch: {urls: [%q]}\nstate: {path: %q}\nflows:\n%s", b.uri, b.search, b.state, strings.ReplaceAll(flows, "DB", b.db.Name()))
	tmp := path + "~"
	if err := errors.Join(os.WriteFile(tmp, []byte(text), 0o600), os.Rename(tmp, path)); err != nil {
		t.Fatal(err)
	}
}

// inForce waits until that generation is in force, and everything is copied.
func (p *process) inForce(t *testing.T, generation int) {
	t.Helper()
	p.eventually(t, time.Minute, func() error {
		st, err := p.status(t.Context())
		if err != nil {
			return err
		}
		if st.Config.Generation != generation || st.Config.Error != "" || !st.Copied() {
			return errors.New(st.Text())
		}
		return nil
	})
}

// TestReload: the process takes a changed file by itself, or by SIGHUP alone with
// --no-watch; what the command line says (--listen) stays in force over the file;
// a refused file leaves it ready, and `sluice status` says why. The flow that
// does not change reads nothing again while it is written to, and both indexes
// are equal to their collections at the end.
func TestReload(t *testing.T) {
	const one, two = "  - {name: one, namespaces: [DB.a]}\n", "  - {name: two, namespaces: [DB.b]}\n"
	f := func(name string, hup bool, args ...string) {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			seedDocs(t, b.db.Collection("a"), 3000)
			seedDocs(t, b.db.Collection("b"), 500)
			path := filepath.Join(t.TempDir(), "sluice.yaml")
			b.configFile(t, path, one)
			p := start(t, append([]string{"run", "--config", path}, args...)...)
			p.inForce(t, 1)
			tell := func() {
				if hup {
					_ = p.cmd.Process.Signal(syscall.SIGHUP)
				}
			}
			w := startWriter(t, b.db.Collection("a"), 3000, 2, 1)
			b.configFile(t, path, one+two)
			tell()
			p.inForce(t, 2)
			st, err := p.status(t.Context())
			if err != nil || st.Flows[0].Source.Read != 3000 || st.Flows[1].Source.Read != 500 {
				t.Errorf("%v %s", err, st.Text())
			}
			b.configFile(t, path, one+two+"  - {}\n")
			tell()
			p.eventually(t, time.Minute, func() error {
				r := verb(t, nil, "status", "--url", "http://"+p.addr)
				if r.code != 0 || !strings.Contains(r.out, path+":7:5: flows[2].name: is missing") {
					return fmt.Errorf("%d: %s", r.code, r.out)
				}
				return nil
			})
			if err := call(t.Context(), http.MethodGet, "http://"+p.addr+"/readyz", "", nil); err != nil {
				t.Errorf("not ready: %v", err)
			}
			b.configFile(t, path, two)
			tell()
			p.inForce(t, 3)
			b.configFile(t, path, two+one)
			tell()
			p.inForce(t, 4)
			w.Stop(t)
			wantEqual(t, b.db.Collection("a"), b.search, b.index("a"), time.Minute)
			wantEqual(t, b.db.Collection("b"), b.search, b.index("b"), time.Minute)
			if code := p.stop(t); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
	f("watched", false)
	f("hangup", true, "--no-watch")
}

// TestReloadNotWatched: with --no-watch a changed file alone changes nothing.
func TestReloadNotWatched(t *testing.T) {
	b := newBed(t)
	seedDocs(t, b.db.Collection("a"), 10)
	path := filepath.Join(t.TempDir(), "sluice.yaml")
	b.configFile(t, path, "  - {name: one, namespaces: [DB.a]}\n")
	p := start(t, "run", "--config", path, "--no-watch")
	p.inForce(t, 1)
	b.configFile(t, path, "  - {name: one, namespaces: [DB.a, DB.b]}\n")
	seedDocs(t, b.db.Collection("c"), 10)
	until := time.Now().Add(6 * time.Second) // longer than it takes to see a change
	testkit.Eventually(t, time.Minute, func() error {
		st, err := p.status(t.Context())
		if err != nil || st.Config.Generation != 1 || st.Config.Watched {
			t.Fatalf("%v %+v", err, st.Config)
		}
		if time.Now().Before(until) {
			return errors.New("not yet")
		}
		return nil
	})
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
