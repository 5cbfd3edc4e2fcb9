package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"sluice/internal/config"
	"sluice/internal/flow"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sluice runs the program as a shell would.
func sluice(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, stdio{out: &o, err: &e})
	return code, o.String(), e.String()
}

func wantAll(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("it lacks %q:\n%s", w, text)
		}
	}
}

func TestExitCode(t *testing.T) {
	wrap := func(c flow.Class) error { return fmt.Errorf("flow a: %w", &flow.Error{Op: "x", Class: c}) }
	for _, x := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{wrap(flow.Transient), 1},
		{wrap(flow.Auth), 1},
		{wrap(flow.Lost), 1},
		{wrap(flow.Conflict), 1},
		{wrap(flow.Fatal), 1},
		{wrap(flow.Config), 2},
		{config.Errors{{Message: "x"}}, 2},
		{errCut, 130},
	} {
		if got := exitCode(x.err); got != x.want {
			t.Errorf("%v: exit code %d, want %d", x.err, got, x.want)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"--bogus"}, {"bogus"}, {"run", "extra"}, {"sync"}, {"config"}, {"--log-format", "xml", "version"}} {
		code, out, errOut := sluice(t, args...)
		if code != exitUsage || out != "" {
			t.Errorf("%v: exit code %d, output %q", args, code, out)
		}
		wantAll(t, errOut, "sluice: ", "'sluice --help'")
	}
	for _, args := range [][]string{{}, {"--help"}, {"config", "--help"}} {
		code, out, errOut := sluice(t, args...)
		if code != exitDone || errOut != "" {
			t.Errorf("%v: exit code %d, errors %q", args, code, errOut)
		}
		wantAll(t, out, "Usage: sluice")
	}
}

func TestVersion(t *testing.T) {
	code, out, _ := sluice(t, "version", "--json")
	var v struct{ Version, Go string }
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 || v.Version == "" || !strings.HasPrefix(v.Go, "go1.") {
		t.Errorf("exit code %d, %v: %s", code, err, out)
	}
	if _, out, _ = sluice(t, "version"); !strings.HasPrefix(out, "sluice ") || strings.Count(out, "\n") != 1 {
		t.Errorf("%q", out)
	}
}

func TestConfigVerbs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const pw = "s3cret-pw"
	write("mongodb: {uri: 'mongodb://u:" + pw + "@h/?replicaSet=rs0'}\nsearch: {urls: ['http://e:" + pw + "@h:9200']}\nflows: [{name: a, namespaces: [b.c]}]\n")
	code, out, errOut := sluice(t, "config", "validate", "-c", file)
	if code != 0 || errOut != "" {
		t.Errorf("exit code %d: %s", code, errOut)
	}
	wantAll(t, out, file, "valid", "1 flow")
	code, out, _ = sluice(t, "config", "print", "--config", file)
	if code != 0 || strings.Contains(out, pw) {
		t.Errorf("exit code %d: %s", code, out)
	}
	if code, out, _ = sluice(t, "config", "schema"); code != 0 || !json.Valid([]byte(out)) {
		t.Errorf("exit code %d: %s", code, out)
	}
	write("mongodb: {url: x}\nflowz: []\n")
	for _, verb := range [][]string{{"config", "validate"}, {"config", "print"}, {"run"}} {
		code, out, errOut = sluice(t, append(verb, "-c", file)...)
		if code != exitUsage || out != "" {
			t.Errorf("%v: exit code %d, output %q", verb, code, out)
		}
		wantAll(t, errOut, file+":1:11", `did you mean "uri"?`, file+":2:1", `did you mean "flows"?`)
	}
}

// TestPatternsAreNotSplit: a regular expression may hold commas.
func TestPatternsAreNotSplit(t *testing.T) {
	code, _, errOut := sluice(t, "sync", "--mongodb", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50", "--search", "http://127.0.0.1:1",
		"--namespace", `/shop\.o{1,2}/`, "--exclude", `/shop\.x{3,4}/`, "--state", t.TempDir(), "--listen", "off")
	if code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	wantAll(t, errOut, "MongoDB", "127.0.0.1:1", "connection refused")
}

func TestSyncRefuses(t *testing.T) {
	base := []string{"sync", "--mongodb", "mongodb://127.0.0.1:1", "--search", "http://127.0.0.1:1", "--listen", "off"}
	for _, x := range []struct {
		args  []string
		words []string
	}{
		{[]string{"--namespace", "nodot"}, []string{"--namespace", "db.collection"}},
		{[]string{"--namespace", "a.B", "--namespace", "a.b"}, []string{"a.B", "a.b", "would share the index"}},
		{[]string{"--namespace", "a.b", "--index", "UPPER"}, []string{"--index", "lower case"}},
		{[]string{"--namespace", "a.b", "--api-key", "k", "--username", "u", "--password", "p"}, []string{"not both"}},
	} {
		code, _, errOut := sluice(t, append(base, x.args...)...)
		if code != exitUsage {
			t.Errorf("%v: exit code %d", x.args, code)
		}
		wantAll(t, errOut, x.words...)
	}
}

func TestStatus(t *testing.T) {
	const token = "t0ken-of-mine"
	answer := `{"version":"v9","flows":[{"name":"shop","state":"running","dead_letters":3,"source":{"lag_seconds":2},"pump":{"state":"blocked_sink","reason":"disk_full"}}]}`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/status":
			w.WriteHeader(http.StatusNotFound)
		case r.Header.Get("Authorization") != "Bearer "+token:
			w.WriteHeader(http.StatusUnauthorized)
		default:
			_, _ = fmt.Fprintln(w, answer)
		}
	}))
	defer s.Close()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	code, out, errOut := sluice(t, "status", "--url", s.URL+"/", "--token", token)
	if code != 0 || errOut != "" {
		t.Errorf("exit code %d: %s", code, errOut)
	}
	wantAll(t, out, "sluice v9", "flow shop: running", "blocked_sink", "disk_full", "2 s behind", "3 dead letters")
	if code, out, _ = sluice(t, "status", "--url", s.URL, "--token", token, "--json"); code != 0 || strings.TrimSpace(out) != answer {
		t.Errorf("exit code %d: %s", code, out)
	}
	code, _, errOut = sluice(t, "status", "--url", s.URL, "--token", "wr0ng")
	if code != exitFailed || strings.Contains(errOut, "wr0ng") {
		t.Errorf("exit code %d: %s", code, errOut)
	}
	wantAll(t, errOut, "401", "--token")
	answer = "<html>"
	code, _, errOut = sluice(t, "status", "--url", s.URL, "--token", token)
	if code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	wantAll(t, errOut, "no status of sluice")
}

// TestSignals: the first signal drains, the second cuts.
func TestSignals(t *testing.T) {
	me, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	ctx, drain, cut, stop := signals(context.Background())
	defer stop()
	send := func() {
		t.Helper()
		if err := me.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
	}
	send()
	<-drain
	if ctx.Err() != nil || cut() {
		t.Fatal("the first signal cuts")
	}
	send()
	<-ctx.Done()
	if !cut() {
		t.Error("the second signal was not told")
	}
}
