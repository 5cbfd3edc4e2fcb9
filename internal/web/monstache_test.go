package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// counts has the form of Monstache's statistics.
type counts struct {
	Flushed int
	Workers []struct{ Queued, LastDuration int }
}

func monstacheOptions() Monstache {
	return Monstache{
		Uptime:   func() time.Duration { return time.Hour + 2*time.Minute + 3400*time.Millisecond },
		Instance: func() Instance { return Instance{Enabled: true, PID: 1, Hostname: "h", ResumeName: "default"} },
	}
}

// TestMonstacheAnswers: paths, bodies and kinds as Monstache's, for any method.
func TestMonstacheAnswers(t *testing.T) {
	m := monstacheOptions()
	m.Stats = func() any { return counts{Flushed: 3, Workers: make([]struct{ Queued, LastDuration int }, 1)} }
	s := start(t, Options{Monstache: &m})
	f := func(path, kind, want string) {
		t.Helper()
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			code, head, body := ask(t, s, request{method: method, path: path, host: "elsewhere.example"})
			if code != http.StatusOK || body != want || head.Get("Content-Type") != kind {
				t.Errorf("%s %s: %d %s %q, want %q", method, path, code, head.Get("Content-Type"), body, want)
			}
		}
	}
	f("/started", "text/plain; charset=utf-8", "1h2m3.4s")
	f("/healthz", "text/plain; charset=utf-8", "ok")
	f("/stats", "application/json", "{\n    \"Flushed\": 3,\n    \"Workers\": [\n        {\n            \"Queued\": 0,\n            \"LastDuration\": 0\n        }\n    ]\n}\n")
	f("/instance", "application/json", `{"enabled":true,"pid":1,"hostname":"h","cluster":"","resumeName":"default","lastTs":{"T":0,"I":0}}`+"\n")
	m.Instance = func() Instance {
		return Instance{LastTs: Timestamp{T: 5, I: 6}, LastTsFormat: "1970-01-01T00:00:05", InBackoff: true}
	}
	f("/instance", "application/json", `{"enabled":false,"pid":0,"hostname":"","cluster":"","resumeName":"","lastTs":{"T":5,"I":6},"lastTsFormat":"1970-01-01T00:00:05","inBackoff":true}`+"\n")
	for _, path := range []string{"/", "/status", "/metrics", "/debug/pprof/", "/started/x"} {
		if code, _, body := ask(t, s, request{path: path}); code != http.StatusNotFound || body != "404 page not found\n" {
			t.Errorf("%s: %d %q", path, code, body)
		}
	}
}

func TestMonstacheWithoutStats(t *testing.T) {
	m := monstacheOptions()
	if code, _, _ := ask(t, start(t, Options{Monstache: &m}), request{path: "/stats"}); code != http.StatusNotFound {
		t.Errorf("/stats: %d", code)
	}
}

func TestMonstachePprof(t *testing.T) {
	m := monstacheOptions()
	m.Pprof = true
	s := start(t, Options{Monstache: &m})
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/symbol", "/debug/pprof/heap", "/debug/pprof/goroutine"} {
		if code, _, body := ask(t, s, request{path: path}); code != http.StatusOK || body == "" {
			t.Errorf("%s: %d %q", path, code, body)
		}
	}
	// The arguments of the process may hold passwords: those of this test are its flags.
	if _, _, body := ask(t, s, request{path: "/debug/pprof/cmdline"}); strings.Contains(body, "-test.") {
		t.Errorf("the arguments are told: %q", body)
	}
}

// TestMonstacheInstanceHangs: a process in which nothing answers says so.
func TestMonstacheInstanceHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := monstacheOptions()
		hang := make(chan struct{})
		m.Instance = func() Instance { <-hang; return Instance{} }
		s := New(Options{Monstache: &m})
		w := httptest.NewRecorder()
		started := time.Now()
		s.handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/instance", nil))
		if w.Code != http.StatusInternalServerError || time.Since(started) != 5*time.Second {
			t.Errorf("%d after %v", w.Code, time.Since(started))
		}
		close(hang)
	})
}
