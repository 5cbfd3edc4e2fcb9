package web

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"os"
	"time"

	"sluice/internal/flow"
)

// instanceTimeout bounds one question to the process how it is.
const instanceTimeout = 5 * time.Second

// Monstache is what the server with Monstache's paths and answers tells. It shows
// no document and nothing that is secret, and takes any method, as that one does.
type Monstache struct {
	// Uptime is how long we have been running.
	Uptime func() time.Duration
	// Stats are the counts; nil: there is no /stats.
	Stats func() any
	// Instance is how we are.
	Instance func() Instance
	// Pprof: Go's profiles are served.
	Pprof bool
}

// Instance is the answer to /instance.
type Instance struct {
	Enabled    bool      `json:"enabled"`
	PID        int       `json:"pid"`
	Hostname   string    `json:"hostname"`
	Cluster    string    `json:"cluster"`
	ResumeName string    `json:"resumeName"`
	LastTs     Timestamp `json:"lastTs"`
	// LastTsFormat is the time of LastTs in local time; "" if that is 0.
	LastTsFormat string `json:"lastTsFormat,omitempty"`
	InBackoff    bool   `json:"inBackoff,omitempty"`
}

// Timestamp is a time of MongoDB: seconds, and a number within the second.
type Timestamp struct {
	T uint32 `json:"T"`
	I uint32 `json:"I"`
}

// monstache routes.
func (s *Server) monstache(mux *http.ServeMux) http.Handler {
	m := s.o.Monstache
	mux.HandleFunc("/started", func(w http.ResponseWriter, _ *http.Request) { s.text(w, http.StatusOK, m.Uptime().String()) })
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { s.text(w, http.StatusOK, "ok") })
	if m.Stats != nil {
		mux.HandleFunc("/stats", func(w http.ResponseWriter, _ *http.Request) {
			s.encoded(w, func() ([]byte, error) { return json.MarshalIndent(m.Stats(), "", "    ") })
		})
	}
	mux.HandleFunc("/instance", s.instance)
	if m.Pprof {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", func(w http.ResponseWriter, _ *http.Request) {
			s.text(w, http.StatusOK, os.Args[0]) // arguments may hold passwords
		})
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	return headers(mux)
}

// instance answers how we are, or that nothing in us answers.
func (s *Server) instance(w http.ResponseWriter, _ *http.Request) {
	got := make(chan Instance, 1)
	go func() { got <- s.o.Monstache.Instance() }()
	t := time.NewTimer(instanceTimeout)
	defer t.Stop()
	select {
	case i := <-got:
		s.encoded(w, func() ([]byte, error) { return json.Marshal(i) })
	case <-t.C:
		s.text(w, http.StatusInternalServerError, "no answer from within the process for "+instanceTimeout.String()+"\n")
	}
}

// encoded answers with what encode makes, and a newline.
func (s *Server) encoded(w http.ResponseWriter, encode func() ([]byte, error)) {
	body, err := encode()
	if err != nil {
		s.o.Logger.Error("an answer can't be written", slog.Any(flow.LogErr, err))
		s.text(w, http.StatusInternalServerError, "the answer can't be written; the log says why\n")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	s.write(w, string(body)+"\n")
}
