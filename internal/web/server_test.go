package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/flow"
)

// start runs a server on a free port until the test ends.
func start(t *testing.T, o Options) *Server {
	t.Helper()
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	s := New(o)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// request is one question to a server.
type request struct {
	method, path, host, auth string
}

// ask returns status, headers and body of an answer.
func ask(t *testing.T, s *Server, r request) (int, http.Header, string) {
	t.Helper()
	if r.method == "" {
		r.method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(t.Context(), r.method, "http://"+s.Addr().String()+r.path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.host != "" {
		req.Host = r.host
	}
	if r.auth != "" {
		req.Header.Set("Authorization", r.auth)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(body)
}

func TestPages(t *testing.T) {
	reg := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_test_total", Help: "Test."})
	reg.MustRegister(c)
	c.Add(3)
	s := start(t, Options{Registry: reg, Status: func() any { return map[string]int{"flows": 2} }})
	f := func(method, path string, code int, typ, body string) {
		t.Helper()
		got, h, text := ask(t, s, request{method: method, path: path})
		if got != code || !strings.Contains(text, body) || !strings.HasPrefix(h.Get("Content-Type"), typ) {
			t.Errorf("%s %s: %d %s %q", method, path, got, h.Get("Content-Type"), text)
		}
		if h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, h)
		}
	}
	f("GET", "/", 200, "text/plain", "/metrics")
	f("GET", "/healthz", 200, "text/plain", "ok")
	f("GET", "/readyz", 200, "text/plain", "ready")
	f("GET", "/metrics", 200, "text/plain", "sluice_test_total 3")
	f("GET", "/status", 200, "application/json", `"flows": 2`)
	f("HEAD", "/status", 200, "application/json", "")
	f("POST", "/status", 405, "", "")
	f("DELETE", "/healthz", 405, "", "")
	f("GET", "/nothing", 404, "", "")
	f("GET", "/debug/pprof/", 404, "", "")
}

func TestReadyTellsWhyNot(t *testing.T) {
	s := start(t, Options{Ready: func(ctx context.Context) error {
		if _, ok := ctx.Deadline(); !ok {
			return errors.New("no deadline")
		}
		return errors.New("flow shop: it is 61.0 s behind")
	}})
	code, _, body := ask(t, s, request{path: "/readyz"})
	if code != 503 || body != "not ready: flow shop: it is 61.0 s behind\n" {
		t.Error(code, body)
	}
	if code, _, _ = ask(t, s, request{path: "/healthz"}); code != 200 {
		t.Error("alive is not the same as ready")
	}
}

func TestStatusThatCantBeWritten(t *testing.T) {
	s := start(t, Options{Status: func() any { return func() {} }})
	if code, _, body := ask(t, s, request{path: "/status"}); code != 500 || !strings.Contains(body, "the log says why") {
		t.Error(code, body)
	}
}

func TestToken(t *testing.T) {
	const token = "0123456789-abc"
	s := start(t, Options{Token: token, Registry: prometheus.NewRegistry()})
	f := func(path, auth string, want int) {
		t.Helper()
		code, h, body := ask(t, s, request{path: path, auth: auth, host: "sluice.example:9630"})
		if code != want || strings.Contains(body, token) {
			t.Errorf("%s with %q: %d %s", path, auth, code, body)
		}
		if (code == 401) != (h.Get("WWW-Authenticate") != "") {
			t.Errorf("%s: %v", path, h)
		}
	}
	for _, path := range []string{"/", "/metrics", "/readyz", "/status", "/nothing"} {
		for _, bad := range []string{"", token, "Bearer", "Bearer ", "Bearer x" + token, "Bearer " + token + "x", "Bearer " + token[:13], "Basic " + token} {
			f(path, bad, 401)
		}
	}
	f("/status", "Bearer "+token, 200)
	f("/status", "bearer  "+token+" ", 200)
	f("/metrics", "Bearer "+token, 200)
	f("/healthz", "", 200)
	f("//healthz", "", 401)
	f("/healthz/../status", "", 401)
}

// TestHostIsOurs: without a token, a page that bound its DNS name to a
// loopback address gets nothing.
func TestHostIsOurs(t *testing.T) {
	s := start(t, Options{})
	f := func(host string, want int) {
		t.Helper()
		if code, _, _ := ask(t, s, request{path: "/status", host: host}); code != want {
			t.Errorf("Host %s: %d", host, code)
		}
	}
	f("localhost", 200)
	f("LOCALHOST:8080", 200)
	f("localhost.:8080", 200)
	f("127.0.0.1", 200)
	f("127.0.0.1:9630", 200)
	f("[::1]:9630", 200)
	f("evil.example", 403)
	f("evil.example:9630", 403)
	f("localhost.evil.example", 403)
	f("127.0.0.1.evil.example", 403)
	f("10.0.0.1:9630", 403)
	f("[::2]", 403)
}

func TestPortInUse(t *testing.T) {
	first := start(t, Options{})
	second := New(Options{Listen: first.Addr().String()})
	err := second.Start()
	if flow.ClassOf(err) != flow.Config || !strings.Contains(err.Error(), first.Addr().String()) ||
		!strings.Contains(err.Error(), "choose another port with --listen or http.listen") {
		t.Error(err)
	}
	if err := second.Stop(context.Background()); err != nil {
		t.Error("a server that never started can't be stopped:", err)
	}
}

func TestAddressesThatCantBe(t *testing.T) {
	for _, listen := range []string{"nonsense", "127.0.0.1:99999", "192.0.2.1:0"} {
		err := New(Options{Listen: listen}).Start()
		if flow.ClassOf(err) != flow.Config || !strings.Contains(err.Error(), "http.listen") {
			t.Errorf("%s: %v", listen, err)
		}
	}
}

// TestStopWaitsAndThenCuts: a running request may end, but not for ever.
func TestStopWaitsAndThenCuts(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := New(Options{Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler), Ready: func(context.Context) error {
		close(entered)
		<-leave
		return nil
	}})
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	select {
	case <-s.done:
	default:
		t.Error("Stop has returned, and the server still serves")
	}
	close(leave)
	if rest, err := io.ReadAll(conn); err == nil && len(rest) > 0 {
		t.Errorf("an answer after the cut: %s", rest)
	}
	if _, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.Addr().String()); err == nil {
		t.Error("still listening")
	}
}

func TestStatusIsCalledPerRequest(t *testing.T) {
	var n atomic.Int64
	s := start(t, Options{Status: func() any { return map[string]int64{"n": n.Add(1)} }})
	for want := int64(1); want <= 2; want++ {
		_, _, body := ask(t, s, request{path: "/status"})
		var got map[string]int64
		if err := json.Unmarshal([]byte(body), &got); err != nil || got["n"] != want {
			t.Error(body, err)
		}
	}
}

// TestTimeoutsAreSet: no client may hold a connection for ever.
func TestTimeoutsAreSet(t *testing.T) {
	h := New(Options{}).http
	if h.ReadHeaderTimeout <= 0 || h.ReadTimeout <= 0 || h.WriteTimeout <= readyTimeout || h.IdleTimeout <= 0 || h.MaxHeaderBytes <= 0 {
		t.Errorf("%+v", h)
	}
}
