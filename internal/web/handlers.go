package web

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sluice/internal/flow"
)

// readyTimeout bounds one question whether we are ready.
const readyTimeout = 8 * time.Second

// alivePath needs no token: who asks may be a supervisor without secrets.
const alivePath = "/healthz"

const index = `sluice

/metrics  for Prometheus
/healthz  is the process alive
/readyz   does everything run, and if not, why
/status   what each flow and rule is doing, as JSON

POST /archive/pause?rule=NAME   lets a rule of the archive pause (all without a name)
POST /archive/resume?rule=NAME  lets it go on

GET  /flows/NAME/deadletters                what could not be written (ns, reason, key, limit, errors)
POST /flows/NAME/deadletters/retry          reads it again and writes it (ns, reason, key)
POST /flows/NAME/deadletters/drop           forgets about it (ns, reason, key, or all=true)
POST /flows/NAME/resync?ns=DB.COLL          copies a collection again, or documents of it (key)
POST /flows/NAME/pause, /flows/NAME/resume  lets the flow, or a collection of it (ns), pause and go on
`

// handler routes and guards.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	if s.o.Probes {
		return s.probes(mux)
	}
	if s.o.Monstache != nil {
		return s.monstache(mux)
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { s.text(w, http.StatusOK, index) })
	mux.HandleFunc("GET "+alivePath, func(w http.ResponseWriter, _ *http.Request) { s.text(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.HandleFunc("GET /status", s.status)
	if s.o.Archive != nil {
		mux.HandleFunc("POST /archive/pause", s.pause)
		mux.HandleFunc("POST /archive/resume", s.resume)
	}
	if s.o.Flows != nil {
		s.flows(mux)
	}
	if s.o.Registry != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(s.o.Registry, promhttp.HandlerOpts{
			ErrorLog: slog.NewLogLogger(s.o.Logger.Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError,
			MaxRequestsInFlight: 8, Timeout: readTimeout,
		}))
	}
	// What changes something is not for pages of other sites.
	return headers(s.guard(http.NewCrossOriginProtection().Handler(mux)))
}

// headers keeps answers out of caches and from being taken for pages.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// guard asks for the token, or without one for a Host that names this machine;
// only whether the process is alive is told to anybody.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == alivePath {
			next.ServeHTTP(w, r)
			return
		}
		token := *s.token.Load()
		if token == "" {
			if !local(r.Host) {
				s.text(w, http.StatusForbidden, "ask by the name localhost or by a loopback address, or set http.token\n")
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		scheme, sent, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		want, got := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(strings.TrimSpace(sent)))
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="sluice"`)
			s.text(w, http.StatusUnauthorized, "send http.token as Authorization: Bearer …\n")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// local tells whether a Host header names this machine. A web page whose DNS
// name was bound anew to a loopback address still sends that name.
func local(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if name == "" || strings.EqualFold(strings.TrimSuffix(name, "."), "localhost") {
		return true // no Host at all comes from no browser
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if s.o.Ready != nil {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := s.o.Ready(ctx); err != nil {
			s.text(w, http.StatusServiceUnavailable, "not ready: "+err.Error()+"\n")
			return
		}
	}
	s.text(w, http.StatusOK, "ready\n")
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	var v any = struct{}{}
	if s.o.Status != nil {
		v = s.o.Status()
	}
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		s.o.Logger.Error("the status can't be written", slog.Any(flow.LogErr, err))
		s.text(w, http.StatusInternalServerError, "the status can't be written; the log says why\n")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	s.write(w, string(body)+"\n")
}

func (s *Server) pause(w http.ResponseWriter, r *http.Request) {
	rule := r.URL.Query().Get("rule")
	s.commanded(w, rule, "paused", s.o.Archive.Pause(rule, r.URL.Query().Get("reason")))
}

func (s *Server) resume(w http.ResponseWriter, r *http.Request) {
	rule := r.URL.Query().Get("rule")
	s.commanded(w, rule, "resumed", s.o.Archive.Resume(rule))
}

// commanded answers a command about one rule, or about all.
func (s *Server) commanded(w http.ResponseWriter, rule, what string, err error) {
	if err != nil {
		s.text(w, http.StatusNotFound, err.Error()+"\n")
		return
	}
	if rule == "" {
		rule = "all rules"
	}
	s.text(w, http.StatusOK, what+": "+rule+"\n")
}

func (s *Server) text(w http.ResponseWriter, code int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	s.write(w, body)
}

// write sends a body; a client that has left is its own business.
func (s *Server) write(w io.Writer, body string) {
	if _, err := io.WriteString(w, body); err != nil {
		s.o.Logger.Debug("an answer was not read", slog.Any(flow.LogErr, err))
	}
}
