package web

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Probes come from another machine, have no token, and learn no reasons.
func TestProbesTellYesOrNo(t *testing.T) {
	s := start(t, Options{Probes: true, Token: "long-enough", Ready: func(context.Context) error {
		return errors.New("mongodb://secret-host is down")
	}, Status: func() any { return "secret" }})
	f := func(method, path string, code int, body string) {
		t.Helper()
		got, _, text := ask(t, s, request{method: method, path: path, host: "10.1.2.3:9631"})
		if got != code || body != "" && text != body {
			t.Errorf("%s %s: %d %q", method, path, got, text)
		}
	}
	f("GET", "/healthz", 200, "ok\n")
	f("GET", "/readyz", 503, "not ready\n")
	f("GET", "/", 404, "")
	f("GET", "/status", 404, "")
	f("GET", "/metrics", 404, "")
	f("POST", "/archive/pause", 404, "")
	s = start(t, Options{Probes: true})
	f("GET", "/readyz", 200, "ready\n")
}

// However often the probes ask, the servers are asked once a second.
func TestProbesAskSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		var v verdict
		down := errors.New("down")
		answer := error(nil)
		f := func(want bool, times int32) {
			t.Helper()
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			got := v.ready(gone, func(ctx context.Context) error {
				asked.Add(1)
				return errors.Join(answer, ctx.Err())
			})
			if got != want || asked.Load() != times {
				t.Errorf("%v after %d questions, want %v after %d", got, asked.Load(), want, times)
			}
		}
		f(true, 1)
		answer = down
		f(true, 1)
		<-time.After(probeEvery)
		f(false, 2)
		f(false, 2)
	})
}
