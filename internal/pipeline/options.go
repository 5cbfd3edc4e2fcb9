package pipeline

import (
	"context"
	"log/slog"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// The defaults of Options.
const (
	DefaultLanes           = 4
	DefaultSnapshotWriters = 2
	DefaultBatchBytes      = 2 << 20
	DefaultBudgetBytes     = 64 << 20
)

// Controls applies what concerns a namespace as a whole. Apply may be called
// from several goroutines, for different controls; a Transient error is tried
// again, so applying the same control twice must be harmless.
type Controls interface {
	Apply(ctx context.Context, c flow.Control) error
}

// DeadLetters keeps the changes whose document itself is at fault (rule S7).
// It is called from several goroutines.
type DeadLetters interface {
	// Put keeps one letter per change; it returns when they are durable.
	// verdicts[i] says what is wrong with changes[i]. Both belong to the
	// caller, and so do the bytes that they point to.
	Put(ctx context.Context, changes []flow.Change, verdicts []flow.Verdict) error
	// Settled closes the open letters of the keys of changes, all of which are
	// now settled. It must be cheap while there are no letters.
	Settled(ctx context.Context, changes []flow.Change) error
}

// Attacher adds to documents what lies elsewhere (flow.Change.Attach). It is
// called from several goroutines.
type Attacher interface {
	// Attach sees to changes from the first on and returns how many it has seen
	// to, at least one: no more than what its memory has room for, which it waits
	// for only before it holds any. It may turn a write into OpSkip. release lets go of
	// all that was attached. After an error nothing is held, and it may be called again.
	Attach(ctx context.Context, changes []flow.Change) (n int, release func(), err error)
}

// Options are the parts and the bounds of a pump. Sink and at least one of
// Stream and Snapshot must be set.
type Options struct {
	// Stream delivers changes in order; one goroutine reads it. May be nil.
	Stream flow.Source
	// Snapshot delivers documents; SnapshotWriters goroutines read it. May be nil.
	Snapshot flow.Source
	// Reread turns OpReread into what is to be written. Called from several
	// goroutines. May be nil if the sources send no OpReread.
	Reread flow.Stage
	// Shape looks at every batch when its documents are read and its changes merged,
	// just before it is written, and may turn writes into deletes (rule S14), change
	// documents and find a fault with them. After a Transient error it is called again
	// with the same batch. Called from several goroutines. May be nil.
	Shape flow.Stage
	// Attach comes after Shape; what it holds is no part of the budget. May be nil.
	Attach Attacher
	// Places: documents may move from one place in the search engine to another
	// (rule S14). Then a key is never in two writes at one time, and a snapshot
	// document that the stream has overtaken comes as a delete at its own
	// version, with Left: it takes away what lies elsewhere and is older.
	Places bool
	// Unversioned: the sink has no versions by which it could refuse what is older
	// (rule S2). Then a key is never in two writes at one time, and what the copy
	// brings of one that the stream has overtaken is not written. Not with Places.
	Unversioned bool
	// Exclusive: a key is never in two writes at one time, also of a snapshot
	// document and a change of it: where the sink has no versions (rule S2).
	Exclusive bool
	// Attributor tells an archive's deletes from users'. May be nil: then all
	// are users'.
	Attributor Attributor
	// Sink is called from Lanes+SnapshotWriters goroutines, never with one key
	// of the stream in two of them. A snapshot document may be on its way at
	// the same time as a change of its key: its lower version keeps it behind.
	Sink flow.Sink
	// Controls may be nil: then a control is only acked.
	Controls Controls
	// DeadLetters may be nil: then a dead letter ends the pump.
	DeadLetters DeadLetters
	// OldestOpen returns a time that is not after the read time L of any
	// snapshot chunk in flight, and false when there is none (rule S5). A chunk
	// counts from before its L is chosen until its last batch is acked. It must
	// not call the pump. Needed when Snapshot is set.
	OldestOpen func() (bson.Timestamp, bool)
	// Lanes is the number of concurrent writers of the stream.
	Lanes int
	// SnapshotWriters is the number of concurrent writers of the snapshot.
	SnapshotWriters int
	// BatchBytes bounds the BSON of one write of a lane; one change may be larger.
	BatchBytes int
	// BudgetBytes bounds what was read and is not yet settled, stream and
	// snapshot together. Each may use three quarters of it, so that neither
	// starves the other. Documents that are re-read come on top: about
	// Lanes times BatchBytes.
	BudgetBytes int64
	// Logger may be nil.
	Logger *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
}

// withDefaults fills what was left zero.
func (o Options) withDefaults() Options {
	if o.Lanes <= 0 {
		o.Lanes = DefaultLanes
	}
	if o.SnapshotWriters <= 0 {
		o.SnapshotWriters = DefaultSnapshotWriters
	}
	if o.BatchBytes <= 0 {
		o.BatchBytes = DefaultBatchBytes
	}
	if o.BudgetBytes <= 0 {
		o.BudgetBytes = DefaultBudgetBytes
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
