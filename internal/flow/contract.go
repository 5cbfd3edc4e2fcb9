package flow

import "context"

// Position says where a source stands. It is opaque outside the source that
// made it, and never empty once the source has started.
type Position string

// Ack settles one batch and is called exactly once for each, from any
// goroutine. A nil err says that every change of the batch has its final
// verdict, which lets the checkpoint move; any other err says that the batch
// was given up (the flow is ending), and the checkpoint stays.
type Ack func(ctx context.Context, err error) error

// Source delivers batches.
type Source interface {
	// Read returns the next batch; it blocks until there is one, and io.EOF
	// ends a finite source. It may be called from several goroutines if the
	// implementation says so. After ctx is done it returns ctx's error; the
	// source is still good for acks of earlier batches.
	Read(ctx context.Context) (Batch, Ack, error)
}

// Stage works on a batch between source and sink. It may change the changes
// of the batch in place, but never their number: what it drops becomes OpSkip
// or OpDelete. A transient failure is a Transient error, and the caller tries again.
type Stage interface {
	Apply(ctx context.Context, b Batch) (Batch, error)
}

// Sink writes batches. Write returns one verdict per change, in the same
// order, or an error for the batch as a whole (its class says whether to try
// again; what was written by then is unknown, and writing again is harmless).
// Write is called from several goroutines, never with the same key in two of them.
type Sink interface {
	Write(ctx context.Context, b Batch) ([]Verdict, error)
}
