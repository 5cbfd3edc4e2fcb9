package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"sluice/internal/flow"
	"sluice/internal/search"
)

// The pauses between two tries to reach the search engine at a start.
const (
	firstSearchWait = 500 * time.Millisecond
	mostSearchWait  = 5 * time.Second
)

// openSearch is search.Open that waits for a cluster which does not answer yet,
// for so long; 0 is not at all.
func openSearch(ctx context.Context, o search.Options, within time.Duration) (*search.Client, error) {
	if within <= 0 {
		return search.Open(ctx, o)
	}
	trying, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	pause := firstSearchWait
	for {
		c, err := search.Open(trying, o)
		switch {
		case err == nil:
			return c, nil
		case ctx.Err() != nil:
			return nil, err
		case errors.Is(err, context.DeadlineExceeded) && trying.Err() != nil:
			return nil, late(err, within)
		case flow.ClassOf(err) != flow.Transient:
			return nil, err
		}
		o.Logger.Warn("the search engine does not answer yet; the start waits for it", slog.Any(flow.LogErr, err))
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-trying.Done():
			t.Stop()
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return nil, late(err, within)
		}
		pause = min(2*pause, mostSearchWait)
	}
}

// late is the error of a cluster that did not answer in time.
func late(err error, within time.Duration) error {
	return &flow.Error{
		Op: "open search", Class: flow.Transient, Err: err,
		Hint: "search.startup_timeout (" + within.String() + ") is over",
	}
}
