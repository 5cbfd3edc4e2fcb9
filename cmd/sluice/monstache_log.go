package main

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
)

// errTold ends with exit code 1 what has come to a clean end, but has logged errors
// on the way, as Monstache does.
var errTold = errors.New("")

// hooks are what a verb adds to the log of a run.
type hooks struct {
	// wrap goes around what writes lines; begin writes the first ones. Both may be nil.
	wrap  func(slog.Handler) slog.Handler
	begin func(*slog.Logger)
}

// apply returns the logger with the hooks in place.
func (h hooks) apply(l *slog.Logger) *slog.Logger {
	if h.wrap != nil {
		l = slog.New(h.wrap(l.Handler()))
	}
	if h.begin != nil {
		h.begin(l)
	}
	return l
}

// errorCount counts the errors that are logged. It is safe from several goroutines.
type errorCount struct {
	slog.Handler
	n *atomic.Int64
}

// Handle counts and passes on.
func (c errorCount) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		c.n.Add(1)
	}
	return c.Handler.Handle(ctx, r)
}

// WithAttrs keeps the count.
func (c errorCount) WithAttrs(attrs []slog.Attr) slog.Handler {
	return errorCount{c.Handler.WithAttrs(attrs), c.n}
}

// WithGroup keeps the count.
func (c errorCount) WithGroup(name string) slog.Handler {
	return errorCount{c.Handler.WithGroup(name), c.n}
}
