package pipeline

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// flight is a batch between its read and its ack.
type flight struct {
	ack  flow.Ack
	from origin
	// cost is what it holds of the budget.
	cost  int64
	after bson.Timestamp
	read  time.Time
	// left counts the changes that are not settled.
	left   atomic.Int64
	failed atomic.Pointer[error]
}

// launch takes b into flight, once the budget has room for it. If it has not
// before ctx is done, the batch is acked with the cause, which is returned.
func (p *Pump) launch(ctx context.Context, o origin, b *flow.Batch, ack flow.Ack) (*flight, error) {
	f := &flight{ack: ack, from: o, after: b.After, read: time.Now()}
	f.left.Store(int64(len(b.Changes)))
	taken, err := p.budget.acquire(ctx, o, cost(b))
	if err != nil {
		err = context.Cause(ctx)
		_ = ack(context.WithoutCancel(ctx), err) // the cause is what matters now
		return nil, err
	}
	f.cost = taken
	p.ledger.read.Add(int64(len(b.Changes)))
	p.metrics.queued(o, taken)
	p.watch.fly(1)
	p.open[o].add()
	return f, nil
}

// settle takes n changes of f off; the last one lands it: the batch is acked,
// with nil if no change came with an error. The error of the ack is returned.
func (p *Pump) settle(ctx context.Context, f *flight, n int, err error) error {
	if err != nil {
		f.failed.CompareAndSwap(nil, &err)
	}
	if f.left.Add(-int64(n)) > 0 {
		return nil
	}
	var cause error
	if e := f.failed.Load(); e != nil {
		cause = *e
	}
	// What is settled is settled, also when the flow is being cut.
	ackErr := f.ack(context.WithoutCancel(ctx), cause)
	p.budget.release(f.from, f.cost)
	p.metrics.queued(f.from, -f.cost)
	p.metrics.settled(f.from, time.Since(f.read))
	p.watch.fly(-1)
	p.open[f.from].done()
	if ackErr != nil && cause == nil {
		return &flow.Error{Op: "settle a batch of the " + f.from.String(), Err: ackErr}
	}
	return nil
}

// gate counts batches in flight and lets one goroutine wait for none.
type gate struct {
	mu   sync.Mutex
	n    int
	zero chan struct{}
}

func (g *gate) add() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n++
}

func (g *gate) done() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n--; g.n == 0 && g.zero != nil {
		close(g.zero)
		g.zero = nil
	}
}

// wait returns when nothing is in flight, or with ctx's cause.
func (g *gate) wait(ctx context.Context) error {
	g.mu.Lock()
	if g.n == 0 {
		g.mu.Unlock()
		return nil
	}
	if g.zero == nil {
		g.zero = make(chan struct{})
	}
	zero := g.zero
	g.mu.Unlock()
	select {
	case <-zero:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
