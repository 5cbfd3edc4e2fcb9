package web

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// probeEvery is how long an answer to /readyz holds for the probes: who asks
// without a token must not be able to make us ask the servers all the time.
const probeEvery = time.Second

// probes is what a supervisor without secrets may ask.
func (s *Server) probes(mux *http.ServeMux) http.Handler {
	mux.HandleFunc("GET "+alivePath, func(w http.ResponseWriter, _ *http.Request) { s.text(w, http.StatusOK, "ok\n") })
	var last verdict
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if !last.ready(r.Context(), s.o.Ready) {
			s.text(w, http.StatusServiceUnavailable, "not ready\n")
			return
		}
		s.text(w, http.StatusOK, "ready\n")
	})
	return headers(mux)
}

// verdict remembers whether we were ready.
type verdict struct {
	mu  sync.Mutex // held while the servers are asked, so that one asks for all
	at  time.Time
	yes bool
}

// ready asks, unless it was asked a moment ago.
func (v *verdict) ready(ctx context.Context, ask func(context.Context) error) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.at.IsZero() && time.Since(v.at) < probeEvery {
		return v.yes
	}
	// The answer is for others too: one that hangs up does not spoil it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout)
	defer cancel()
	v.yes = ask == nil || ask(ctx) == nil
	v.at = time.Now()
	return v.yes
}
