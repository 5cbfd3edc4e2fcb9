package search

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"sluice/internal/flow"
)

// earlierPoll is how often it is asked whether bulks of an earlier process run.
const earlierPoll = 100 * time.Millisecond

// earlier is what is known of bulks that may still run though nobody waits for them.
type earlier struct {
	opened time.Time
	// grace is how long a request of an earlier process may be on its way.
	grace time.Duration

	mu    sync.Mutex
	quiet bool // they are over
}

// waitForEarlier waits until no bulk of a process before this one can be on its
// way: what it writes after a search was asked would be found by nobody (rule S14),
// and without versions it would undo what is newer. The engine goes on with a bulk
// whose sender was killed. Who may not see its tasks waits as long as the engine
// itself waits for a shard. Once they are over, it costs nothing.
func (s *Sink) waitForEarlier(ctx context.Context) error {
	e := &s.earlier
	e.mu.Lock()
	quiet, from := e.quiet, e.opened
	e.mu.Unlock()
	if quiet {
		return nil
	}
	if err := pauseUntil(ctx, from.Add(e.grace)); err != nil {
		return err
	}
	if err := s.waitForTasks(ctx, from); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.quiet = e.opened.Equal(from)
	return nil
}

// doubt says that the outcome of a bulk is unknown: it may still run. Where there are
// no versions, nothing is written until it is over.
func (s *Sink) doubt() {
	if !s.update {
		return
	}
	s.earlier.disturb()
}

// disturb says that a bulk was given up whose outcome is unknown: it may still run.
func (e *earlier) disturb() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.quiet, e.opened = false, time.Now()
}

// waitForTasks waits for the bulks that run now; from is since when none was sent
// whose answer is not known.
func (s *Sink) waitForTasks(ctx context.Context, from time.Time) error {
	running, err := s.bulks(ctx)
	switch apiErrorOf(err).Status {
	case http.StatusForbidden, http.StatusUnauthorized, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusBadRequest, http.StatusGone:
		until := from.Add(s.client.timeout/2 + s.earlier.grace)
		s.client.log.LogAttrs(ctx, slog.LevelInfo, "the tasks of the cluster can't be seen (cluster privilege monitor); "+
			"sluice goes on when nothing that was sent before can be on its way", slog.Time("at", until))
		return pauseUntil(ctx, until)
	}
	end := time.Now().Add(s.client.timeout)
	for first := running; err == nil && len(first) > 0; {
		if time.Now().After(end) {
			return &flow.Error{Op: "wait for bulks", Class: flow.Transient, Err: errors.New("bulks of before still run")}
		}
		if err = pauseUntil(ctx, time.Now().Add(earlierPoll)); err != nil {
			return err
		}
		if running, err = s.bulks(ctx); err == nil {
			for id := range first {
				if !running[id] {
					delete(first, id)
				}
			}
		}
	}
	return err
}

// bulks returns the tasks that write.
func (s *Sink) bulks(ctx context.Context) (map[string]bool, error) {
	var ans struct {
		Nodes map[string]struct {
			Tasks map[string]struct{} `json:"tasks"`
		} `json:"nodes"`
	}
	if err := s.client.call(ctx, "list tasks", "", get("/_tasks?actions=indices:data/write/bulk*"), &ans); err != nil {
		return nil, err
	}
	all := map[string]bool{}
	for _, n := range ans.Nodes {
		for id := range n.Tasks {
			all[id] = true
		}
	}
	return all, nil
}

func pauseUntil(ctx context.Context, at time.Time) error {
	d := time.Until(at)
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
