package search

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"sluice/internal/flow"
)

// earlierPoll is how often it is asked whether bulks of an earlier process run.
const earlierPoll = 100 * time.Millisecond

// waitForEarlier waits, once, until no bulk of a process before this one can be on
// its way: what it writes after a search was asked would be found by nobody (rule
// S14). The engine goes on with a bulk whose sender was killed. Who may not see
// its tasks waits as long as the engine itself waits for a shard.
func (s *Sink) waitForEarlier(ctx context.Context) error {
	p := s.places
	p.mu.Lock()
	quiet := p.quiet
	p.mu.Unlock()
	if quiet {
		return nil
	}
	if err := pauseUntil(ctx, p.opened.Add(p.grace)); err != nil {
		return err
	}
	if err := s.waitForTasks(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.quiet = true
	return nil
}

// waitForTasks waits for the bulks that run now.
func (s *Sink) waitForTasks(ctx context.Context) error {
	running, err := s.bulks(ctx)
	switch apiErrorOf(err).Status {
	case http.StatusForbidden, http.StatusUnauthorized, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusBadRequest, http.StatusGone:
		until := s.places.opened.Add(s.client.timeout/2 + s.places.grace)
		s.client.log.LogAttrs(ctx, slog.LevelInfo, "the tasks of the cluster can't be seen (cluster privilege monitor); "+
			"documents are looked for when an earlier process can have nothing on its way", slog.Time("at", until))
		return pauseUntil(ctx, until)
	}
	end := time.Now().Add(s.client.timeout)
	for first := running; err == nil && len(first) > 0; {
		if time.Now().After(end) {
			return &flow.Error{Op: "wait for bulks", Class: flow.Transient, Err: errors.New("bulks that began before this process still run")}
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
