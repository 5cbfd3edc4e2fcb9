//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/internal/testkit/scriptsearch"
)

// TestCommands: what each verb prints, where, and its exit code.
func TestCommands(t *testing.T) {
	good := configFile(t, `
mongodb: {uri: "mongodb://sluice:${E2E_PW}@127.0.0.1:27017/?replicaSet=rs0"}
search: {urls: ["https://elastic:${E2E_PW}@127.0.0.1:9200"]}
http: {listen: 127.0.0.1:9631}
flows: [{name: shop, namespaces: [shop.orders]}]
`)
	const pw = "s3cret-pw"
	for _, x := range []struct {
		args        string
		code        int
		out, errOut []string
	}{
		{"", 0, []string{"Usage: sluice", "sync", "run", "status", "config", "version", "Elasticsearch"}, nil},
		{"--help", 0, []string{"Usage: sluice", "--log-format"}, nil},
		{"sync --help", 0, []string{"Usage: sluice sync", "--mongodb", "--namespace", "--once", "$SLUICE_MONGODB_URI"}, nil},
		{"--bogus", 2, nil, []string{"unknown flag --bogus", "--help"}},
		{"bogus", 2, nil, []string{"bogus", "--help"}},
		{"sync", 2, nil, []string{"--mongodb", "--search", "--namespace"}},
		{"sync --snapshot-rate x", 2, nil, []string{"--snapshot-rate"}},
		{"--log-level loud version", 2, nil, []string{"--log-level", `"debug"`}},
		{"version", 0, []string{"sluice ", "go1."}, nil},
		{"version --json", 0, []string{`"version":`, `"go":"go1.`}, nil},
		{"config schema", 0, []string{`"$schema"`, `"namespaces"`}, nil},
		{"config validate -c " + good, 0, []string{good, "is valid", "1 flow"}, nil},
		{"config print -c " + good, 0, []string{"127.0.0.1:9631", "shop.orders", "default", "***"}, nil},
		{"config validate", 2, nil, []string{"sluice.yaml", "--config"}},
		{"run -c /nowhere/sluice.yaml", 2, nil, []string{"/nowhere/sluice.yaml", "no such file"}},
		{"status --url http://127.0.0.1:1", 1, nil, []string{"127.0.0.1:1", "connection refused", "http.listen"}},
		{"status --url ::", 2, nil, []string{"--url"}},
	} {
		t.Run(x.args, func(t *testing.T) {
			r := verb(t, []string{"E2E_PW=" + pw}, strings.Fields(x.args)...)
			if r.code != x.code {
				t.Errorf("exit code %d, want %d", r.code, x.code)
			}
			wantWords(t, r.out, x.out...)
			wantWords(t, r.errOut, x.errOut...)
			if x.code == 0 && r.errOut != "" || x.code != 0 && r.out != "" {
				t.Errorf("results belong to standard output, errors to standard error:\n%s\n%s", r.out, r.errOut)
			}
			wantNone(t, r.out+r.errOut, pw)
		})
	}
	for _, args := range []string{"version --json", "config schema"} {
		if r := verb(t, nil, strings.Fields(args)...); !json.Valid([]byte(r.out)) {
			t.Errorf("%s: no JSON: %s", args, r.out)
		}
	}
}

// TestOnceJSON: the result of finite work, for programs: JSON on standard
// output, log lines on standard error.
func TestOnceJSON(t *testing.T) {
	b := newBed(t)
	seedDocs(t, b.db.Collection("orders"), 120)
	r := verb(t, nil, append(b.args("orders"), "--once", "--json", "--listen", "off")...)
	if r.code != 0 {
		t.Fatalf("exit code %d: %s", r.code, r.errOut)
	}
	var st struct {
		Flows []struct {
			State string
			Pump  struct{ Total struct{ Done int64 } }
		}
	}
	if err := json.Unmarshal([]byte(r.out), &st); err != nil || len(st.Flows) != 1 || st.Flows[0].State != "done" || st.Flows[0].Pump.Total.Done != 120 {
		t.Errorf("%v: %s", err, r.out)
	}
	for line := range strings.Lines(r.errOut) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON in a pipe: %s", line)
		}
	}
	if len(logLines(t, r.errOut)) == 0 {
		t.Error("it logged nothing")
	}
	r = verb(t, nil, append(b.args("orders"), "--once", "--listen", "off", "--log-format", "text", "--log-level", "warn")...)
	if r.code != 0 || r.errOut != "" {
		t.Errorf("exit code %d: %s", r.code, r.errOut)
	}
	wantWords(t, r.out, "sync: ", "documents copied")
}

// TestListenTaken: another program listens there.
func TestListenTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	b := newBed(t)
	r := verb(t, nil, append(b.args("orders"), "--listen", l.Addr().String())...)
	if r.code != 2 {
		t.Errorf("exit code %d", r.code)
	}
	wantWords(t, r.errOut, l.Addr().String(), "address already in use", "--listen")
}

// TestFirstSignalDrains: what was read is written and the position saved, so
// that nothing is copied again.
func TestFirstSignalDrains(t *testing.T) {
	b := newBed(t)
	coll := b.db.Collection("orders")
	seedDocs(t, coll, 2000)
	p := following(t, b.args("orders")...)
	w := startWriter(t, coll, 2000, 1, 11)
	before := p.flowStatus(t).Pump.Total.Sum()
	p.eventually(t, 20*time.Second, func() error {
		if n := p.flowStatus(t).Pump.Total.Sum(); n < before+100 {
			return fmt.Errorf("%d changes", n-before)
		}
		return nil
	})
	p.wantDrain(t)
	w.Stop(t)
	q := following(t, b.args("orders")...)
	q.eventually(t, 30*time.Second, func() error { return equal(t.Context(), coll, b.search, b.index("orders")) })
	if st, err := q.status(t.Context()); err != nil || st.SnapshotRead() != 0 {
		t.Errorf("%d documents were copied again: %v", st.SnapshotRead(), err)
	}
}

// TestSecondSignalCuts: an engine that never answers can't be drained into; the
// second signal ends it all the same, and nothing is lost by it.
func TestSecondSignalCuts(t *testing.T) {
	b := newBed(t)
	coll := b.db.Collection("orders")
	seedDocs(t, coll, 50)
	s := scriptsearch.New(t, scriptsearch.Options{})
	b.search = s.URL()
	p := following(t, b.args("orders")...)
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
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		t.Fatal("it ended at the first signal, with a change on its way")
	case <-time.After(time.Second):
	}
	_ = p.cmd.Process.Signal(syscall.SIGINT)
	if code := p.wait(t, 20*time.Second); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	wantWords(t, lastWords(p.output()), "second signal")

	s.Always(nil)
	n = len(s.Bulks())
	q := start(t, b.args("orders")...)
	q.eventually(t, 20*time.Second, func() error {
		for _, bulk := range s.Bulks()[n:] {
			for _, a := range bulk.Actions {
				if a.ID == "1" && strings.Contains(string(a.Source), `"n":-5`) {
					return nil
				}
			}
		}
		return fmt.Errorf("the change on its way did not come again")
	})
}
