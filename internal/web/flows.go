package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"sluice/internal/flow"
)

// commandTimeout bounds a command about a flow; it is less than writeTimeout.
const commandTimeout = 20 * time.Second

// defaultLetters is how many dead letters are shown without a limit.
const defaultLetters = 100

// ErrNoFlow says that there is no flow of that name here.
var ErrNoFlow = errors.New("no such flow runs here")

// FlowVerb is what a FlowCommand asks for.
type FlowVerb string

// The verbs about a flow.
const (
	FlowLetters FlowVerb = "dead letters"
	FlowRetry   FlowVerb = "retry"
	FlowDrop    FlowVerb = "drop"
	FlowResync  FlowVerb = "resync"
	FlowPause   FlowVerb = "pause"
	FlowResume  FlowVerb = "resume"
)

// FlowCommand is one command about one flow. What is empty chooses nothing.
type FlowCommand struct {
	Flow string
	Verb FlowVerb
	// NS is "db.collection", Keys are values of _id as people write them, Reason is
	// that of dead letters (of a pause: why).
	NS     string
	Keys   []string
	Reason string
	// All: a drop of every letter is meant.
	All bool
	// Errors: with the engine's error texts, which may quote values of documents.
	Errors bool
	// Limit is how many letters are shown at most; 0: all.
	Limit int
	// Before: only letters that were written before; zero: before now.
	Before time.Time
}

// Flows carries commands about flows out. Called from several goroutines.
type Flows interface {
	// Command returns what is told of it, for JSON. Its errors are ErrNoFlow, or
	// *flow.Error, whose class says who is at fault.
	Command(ctx context.Context, c FlowCommand) (any, error)
}

// flows routes the commands about flows.
func (s *Server) flows(mux *http.ServeMux) {
	for path, verb := range map[string]FlowVerb{
		"GET /flows/{flow}/deadletters":        FlowLetters,
		"POST /flows/{flow}/deadletters/retry": FlowRetry,
		"POST /flows/{flow}/deadletters/drop":  FlowDrop,
		"POST /flows/{flow}/resync":            FlowResync,
		"POST /flows/{flow}/pause":             FlowPause,
		"POST /flows/{flow}/resume":            FlowResume,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { s.command(w, r, verb) })
	}
}

// command reads a command, lets it be carried out and answers.
func (s *Server) command(w http.ResponseWriter, r *http.Request, verb FlowVerb) {
	c, err := readCommand(r.URL.Query())
	if err != nil {
		s.text(w, http.StatusBadRequest, err.Error()+"\n")
		return
	}
	c.Flow, c.Verb = r.PathValue("flow"), verb
	ctx, cancel := context.WithTimeout(r.Context(), commandTimeout)
	defer cancel()
	told, err := s.o.Flows.Command(ctx, c)
	if err != nil {
		s.text(w, statusOf(err), err.Error()+"\n")
		return
	}
	s.json(w, told)
}

// readCommand reads what the query of a URL says.
func readCommand(q url.Values) (FlowCommand, error) {
	c := FlowCommand{NS: q.Get("ns"), Keys: q["key"], Reason: q.Get("reason"), Limit: defaultLetters}
	var errs []error
	for name, into := range map[string]*bool{"all": &c.All, "errors": &c.Errors} {
		if text := q.Get(name); text != "" {
			var err error
			if *into, err = strconv.ParseBool(text); err != nil {
				errs = append(errs, fmt.Errorf("%s=%q is not true or false", name, text))
			}
		}
	}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			errs = append(errs, fmt.Errorf("limit=%q is no number", text))
		}
		c.Limit = n
	}
	if text := q.Get("before"); text != "" {
		var err error
		if c.Before, err = time.Parse(time.RFC3339Nano, text); err != nil {
			errs = append(errs, fmt.Errorf("before=%q is no time such as 2026-01-31T12:00:00Z", text))
		}
	}
	return c, errors.Join(errs...)
}

// statusOf is the HTTP status of an error of a command.
func statusOf(err error) int {
	switch {
	case errors.Is(err, ErrNoFlow):
		return http.StatusNotFound
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable
	}
	switch flow.ClassOf(err) {
	case flow.Config:
		return http.StatusBadRequest
	case flow.Conflict:
		return http.StatusConflict
	case flow.Transient:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// json writes v.
func (s *Server) json(w http.ResponseWriter, v any) {
	s.encoded(w, func() ([]byte, error) { return json.MarshalIndent(v, "", "  ") })
}
