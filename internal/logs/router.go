package logs

import (
	"context"
	"log/slog"

	"sluice/internal/flow"
)

// router hands each record to the handler of its level.
type router struct {
	least                           slog.Level
	info, warn, error, trace, stats slog.Handler
}

var _ slog.Handler = router{}

// Enabled tells whether a record of the level is written.
func (r router) Enabled(_ context.Context, l slog.Level) bool {
	return l >= r.least || l == flow.LevelTrace || l == flow.LevelStats
}

// Handle writes a record.
func (r router) Handle(ctx context.Context, rec slog.Record) error {
	h := r.info
	switch l := rec.Level; {
	case l == flow.LevelTrace:
		h = r.trace
	case l == flow.LevelStats:
		h = r.stats
	case l >= slog.LevelError:
		h = r.error
	case l >= slog.LevelWarn:
		h = r.warn
	}
	return h.Handle(ctx, rec)
}

// WithAttrs returns a handler that adds attributes.
func (r router) WithAttrs(all []slog.Attr) slog.Handler {
	return r.each(func(h slog.Handler) slog.Handler { return h.WithAttrs(all) })
}

// WithGroup returns a handler that puts what comes into a group.
func (r router) WithGroup(name string) slog.Handler {
	return r.each(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (r router) each(f func(slog.Handler) slog.Handler) router {
	return router{least: r.least, info: f(r.info), warn: f(r.warn), error: f(r.error), trace: f(r.trace), stats: f(r.stats)}
}
