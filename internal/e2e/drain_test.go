//go:build integration

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"sluice/internal/testkit/scriptsearch"
)

// TestDrainLimit: a supervisor sends one signal and then kills. An engine that
// never answers can't be drained into, so we cut it ourselves, before, and close
// in order.
func TestDrainLimit(t *testing.T) {
	b := newBed(t)
	coll := b.db.Collection("orders")
	seedDocs(t, coll, 50)
	s := scriptsearch.New(t, scriptsearch.Options{})
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	text := fmt.Sprintf("mongodb: {uri: %q}\nsearch: {urls: [%q]}\nstate: {path: %q}\nflows: [{name: sync, namespaces: [%s.orders]}]\n", b.uri, s.URL(), b.state, b.db.Name())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := following(t, "run", "--config", file, "--drain-limit", "2s")
	silent := scriptsearch.Hang()
	s.Always(&silent)
	n := len(s.Bulks())
	set(t, coll, 1, "n", -5)
	p.eventually(t, 20*time.Second, func() error {
		if len(s.Bulks()) == n {
			return fmt.Errorf("no bulk was sent")
		}
		return nil
	})
	start := time.Now()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if code := p.wait(t, 30*time.Second); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	if d := time.Since(start); d < 2*time.Second {
		t.Errorf("it was cut after %s", d)
	}
	wantWords(t, lastWords(p.output()), "--drain-limit")
	t.Logf("it ended after %s", time.Since(start))
}
