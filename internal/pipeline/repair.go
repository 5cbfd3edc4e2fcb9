package pipeline

import (
	"context"
	"log/slog"

	"sluice/internal/flow"
)

// Repair brings batches of a repair (rule S13) to their final verdicts where no
// pump runs for the flow. One goroutine uses it.
type Repair struct {
	Sink        flow.Sink
	DeadLetters DeadLetters
	// Shape is that of Options; may be nil.
	Shape flow.Stage
	// Attach is that of Options; may be nil.
	Attach Attacher
	// Logger may be nil.
	Logger *slog.Logger
}

// Write returns when every change of b has its final verdict: what passes is
// tried again until ctx is done, what can't be written is a dead letter, and the
// letters of what is settled are closed. It may change b.Changes.
func (r *Repair) Write(ctx context.Context, b flow.Batch) error {
	log := r.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	d := &delivery{
		sink: r.Sink, shape: r.Shape, attach: r.Attach, letters: r.DeadLetters, tally: newTally(newLedger(nil)),
		retry: retrier{log: newErrlog(log), watch: newWatch()},
	}
	return d.run(ctx, b)
}
