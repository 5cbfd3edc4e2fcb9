package pipeline

import (
	"context"
	"fmt"
	"log/slog"

	"sluice/internal/flow"
)

// maxUnknown is how many unclassified errors in a row are tried again.
const maxUnknown = 5

// retrier repeats what failed for a passing reason.
type retrier struct {
	log     *errlog
	watch   *watch
	metrics *Metrics
}

// do calls f until it succeeds: for ever after Transient errors, maxUnknown
// times after unclassified ones; any other error is returned. what is a stable
// word for logs and metrics, s the state that the pump shows meanwhile.
func (r *retrier) do(ctx context.Context, what string, s State, f func(context.Context) error) error {
	err := f(ctx)
	if err == nil {
		return nil
	}
	r.watch.enter(s)
	defer r.watch.leave(s)
	var pause backoff
	for unknown := 0; err != nil; err = f(ctx) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		switch flow.ClassOf(err) {
		case flow.Transient:
			unknown = 0
		case flow.Unknown:
			if unknown++; unknown > maxUnknown {
				return &flow.Error{
					Op: what, Class: flow.Fatal,
					Err: fmt.Errorf("failed %d times in a row: %w", unknown, err),
				}
			}
		default:
			return err
		}
		r.note(what, 1, err)
		if err := pause.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// note counts and logs that n things are tried again after err.
func (r *retrier) note(reason string, n int, err error) {
	r.watch.retried(reason, n, err)
	r.metrics.retry(reason, n)
	attrs := []slog.Attr{slog.String(flow.LogReason, reason)}
	if err != nil {
		attrs = append(attrs, slog.String(flow.LogClass, flow.ClassOf(err).String()), slog.Any(flow.LogErr, err))
	}
	r.log.warn("retry:"+reason, "trying again", attrs...)
}
