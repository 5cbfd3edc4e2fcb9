//go:build integration

package e2e

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// manager is a manager of services that listens.
type manager struct {
	path string
	mu   sync.Mutex
	told []string
}

func newManager(t *testing.T) *manager {
	t.Helper()
	dir, err := os.MkdirTemp("", "sluice-") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{path: filepath.Join(dir, "n")}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { _ = c.Close(); <-ended; _ = os.RemoveAll(dir) })
	go func() {
		defer close(ended)
		buf := make([]byte, 256)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.told = append(m.told, string(buf[:n]))
			m.mu.Unlock()
		}
	}()
	return m
}

func (m *manager) heard() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.told, " ")
}

// TestOperationAsMonstache: logs to files in Monstache's style, statistics in the
// log and in an index, its paths over HTTP, the trace, and what systemd is told.
func TestOperationAsMonstache(t *testing.T) {
	b := newBed(t)
	seedDocs(t, b.db.Collection("orders"), 100)
	m := newManager(t)
	t.Setenv("NOTIFY_SOCKET", m.path)
	t.Setenv("WATCHDOG_USEC", "1000000")
	logs := filepath.Join(t.TempDir(), "not", "there", "yet")
	// The names of the other tests hold digits, which would be parts of a date.
	stats, addr := "operation", freeAddr(t)
	p := start(t, "run", "-c", configFile(t, fmt.Sprintf(`
mongodb: {uri: %q}
search: {urls: [%q], trace: true, startup_timeout: 10s}
state: {path: %q}
logs:
  style: monstache
  info: %[4]s/info.log
  trace: %[4]s/trace.log
stats: {interval: 1s, log: true, index: %[5]s.stats.2006-01-02}
http: {monstache: {listen: %[6]q, pprof: true}}
flows:
  - {name: one, namespaces: [%[7]q]}
`, b.uri, b.search, b.state, logs, stats, addr, b.db.Name()+".orders")))
	get := func(path string) (int, string) {
		t.Helper()
		code, body, err := fetch(t.Context(), "http://"+addr+path, "")
		if err != nil {
			return 0, err.Error()
		}
		return code, body
	}
	p.eventually(t, time.Minute, func() error { return has(get("/stats"))(`    "Indexed": 100,`) })
	p.eventually(t, time.Minute, func() error { return has(get("/instance"))(`"lastTsFormat"`) })
	for path, want := range map[string]string{
		"/started": `^[0-9.ms]+s$`, "/healthz": `^ok$`, "/debug/pprof/heap?debug=1": `^heap profile`,
		"/stats": `^{\n    "Flushed": [1-9]\d*,\n    "Committed": [1-9]\d*,\n    "Indexed": 100,\n    "Created": 0,\n    "Updated": 0,\n    "Deleted": 0,\n    "Succeeded": 100,\n    "Failed": 0,\n` +
			`    "Workers": \[\n        {\n            "Queued": 0,\n            "LastDuration": [1-9]\d*\n        }\n    \]\n}\n$`,
		"/instance": `^{"enabled":true,"pid":\d+,"hostname":"[^"]+","cluster":"","resumeName":"one","lastTs":{"T":\d+,"I":\d+},"lastTsFormat":"20[0-9T:-]+"}\n$`,
	} {
		if code, body := get(path); code != http.StatusOK || !regexp.MustCompile(want).MatchString(body) {
			t.Errorf("%s: %d %s", path, code, tail(body, 1000))
		}
	}
	p.eventually(t, time.Minute, func() error {
		code, body, err := fetch(t.Context(), b.search+"/"+stats+".stats.*/_search?q=Stats.Indexed:100", "")
		if err != nil {
			return err
		}
		return errors.Join(has(code, body)(`"Host":"`), has(code, body)(`"Timestamp":"20`), has(code, body)(`"Succeeded":100`),
			has(code, body)(`"_index":"`+stats+".stats."+time.Now().UTC().Format("2006-01-02")))
	})
	p.eventually(t, time.Minute, func() error {
		if told := m.heard(); !strings.HasPrefix(told, "READY=1 WATCHDOG=1 WATCHDOG=1") {
			return fmt.Errorf("the manager heard %q", told)
		}
		return nil
	})
	_ = p.cmd.Process.Signal(syscall.SIGHUP)
	p.eventually(t, time.Minute, func() error {
		if told := m.heard(); !regexp.MustCompile(`RELOADING=1\nMONOTONIC_USEC=\d+( WATCHDOG=1)* READY=1`).MatchString(told) {
			return fmt.Errorf("the manager heard %q", told)
		}
		return nil
	})
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if told := m.heard(); !strings.HasSuffix(told, " STOPPING=1") {
		t.Errorf("the manager heard %q", told)
	}
	wantLines(t, p.output(), `^STATS \d{4}/\d\d/\d\d \d\d:\d\d:\d\d {"Flushed":\d+,.*}$`)
	wantLines(t, readFile(t, filepath.Join(logs, "info.log")), `^INFO \d{4}/\d\d/\d\d \d\d:\d\d:\d\d .+$`)
	trace := readFile(t, filepath.Join(logs, "trace.log"))
	wantLines(t, trace, `^TRACE \d{4}/\d\d/\d\d \d\d:\d\d:\d\d [A-Z]+ http://.* took=.*$`)
	wantWords(t, trace, "/_bulk?", ` request="{\"index\":`, "status=200")
}

// TestStartWaitsForTheSearchEngine: one that comes up after us is waited for, and a
// signal meanwhile ends the wait.
func TestStartWaitsForTheSearchEngine(t *testing.T) {
	b := newBed(t)
	seedDocs(t, b.db.Collection("orders"), 100)
	real, err := url.Parse(b.search)
	if err != nil {
		t.Fatal(err)
	}
	addr := freeAddr(t)
	run := func(within string) *process {
		p := start(t, "run", "-c", configFile(t, fmt.Sprintf("mongodb: {uri: %q}\nsearch: {urls: [\"http://%s\"], startup_timeout: %s}\nstate: {path: %q}\nflows: [{name: one, namespaces: [%q]}]\n",
			b.uri, addr, within, b.state, b.db.Name()+".orders")))
		p.eventually(t, 30*time.Second, func() error {
			if !strings.Contains(p.output(), "does not answer yet") {
				return errors.New("it does not say that it waits")
			}
			return nil
		})
		return p
	}
	if code := run("1h").stop(t); code != 0 {
		t.Errorf("exit code %d after a signal", code)
	}
	p := run("1s")
	if code := p.wait(t, 30*time.Second); code != 1 {
		t.Errorf("exit code %d when the time is over", code)
	}
	wantWords(t, lastWords(p.output()), "open search", "http://"+addr, "connection refused", "search.startup_timeout (1s) is over")
	p = run("1m")
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: httputil.NewSingleHostReverseProxy(real)}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	p.eventually(t, time.Minute, func() error { return equal(t.Context(), b.db.Collection("orders"), b.search, b.index("orders")) })
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// wantLines fails unless there are lines, and all of them fit.
func wantLines(t *testing.T, text, pattern string) {
	t.Helper()
	fits := regexp.MustCompile(pattern)
	if text == "" {
		t.Errorf("no lines like %s", pattern)
	}
	for line := range strings.Lines(text) {
		if !fits.MatchString(strings.TrimSuffix(line, "\n")) {
			t.Errorf("a line that is not like %s: %.500s", pattern, line)
		}
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestOperationMistakes: a port that is taken and a log that can't be written end
// the start, before anything is connected, with what to do.
func TestOperationMistakes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	const nowhere = "mongodb: {uri: \"mongodb://127.0.0.1:1/?directConnection=true\"}\nsearch: {urls: [\"http://127.0.0.1:1\"]}\nflows: [{name: one, namespaces: [a.b]}]\n"
	f := func(more string, words ...string) {
		t.Helper()
		r := verb(t, nil, "run", "--listen", freeAddr(t), "-c", configFile(t, nowhere+more))
		if r.code != 2 || r.out != "" {
			t.Errorf("exit code %d, output %q", r.code, r.out)
		}
		wantWords(t, r.errOut, words...)
	}
	f(fmt.Sprintf("http: {monstache: {listen: %q}}\n", l.Addr()),
		"sluice: listen on "+l.Addr().String(), "address already in use", "choose another port with http.monstache.listen")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f(fmt.Sprintf("logs: {warn: %q}\n", file+"/warn.log"), "sluice: open the log file "+file+"/warn.log", "not a directory", "logs.warn")
}
