package pipeline

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"sluice/internal/flow"
)

// Pump moves the changes of one flow from its sources to its sink.
type Pump struct {
	opts    Options
	seeds   *seeds
	budget  *budget
	ledger  *ledger
	watch   *watch
	tombs   *tombstones
	claims  *claims
	breaker *breaker
	retry   retrier
	metrics *Metrics
	open    [2]gate // batches in flight, by origin
	started atomic.Bool
}

// New makes a pump. It starts nothing.
func New(o Options) *Pump {
	o = o.withDefaults()
	p := &Pump{
		opts:    o,
		seeds:   newSeeds(),
		budget:  newBudget(o.BudgetBytes),
		ledger:  newLedger(o.Metrics),
		watch:   newWatch(),
		tombs:   newTombstones(o.OldestOpen),
		breaker: newBreaker(),
		metrics: o.Metrics,
	}
	if o.Places || o.Unversioned || o.Exclusive {
		p.claims = newClaims()
		p.tombs.places, p.tombs.unversioned = o.Places, o.Unversioned
	}
	p.retry = retrier{log: newErrlog(o.Logger), watch: p.watch, metrics: o.Metrics}
	return p
}

// SetBudget changes Options.BudgetBytes; safe at any time, from any goroutine.
func (p *Pump) SetBudget(bytes int64) { p.budget.resize(max(1, bytes)) }

func (p *Pump) newDelivery() *delivery {
	return &delivery{
		sink:    p.opts.Sink,
		reread:  p.opts.Reread,
		shape:   p.opts.Shape,
		attach:  p.opts.Attach,
		letters: p.opts.DeadLetters,
		breaker: p.breaker,
		retry:   p.retry,
		tally:   newTally(p.ledger),
		slot:    p.watch.slot(),
		claims:  p.claims,
		hash:    newHasher(p.seeds),
		docSize: rereadGuess,
	}
}

// Run pumps until one of these, and returns when all its goroutines ended:
//
//   - both sources end with io.EOF: all is settled, nil is returned;
//   - drain is closed (nil: never): reading stops, what was read is settled, nil;
//   - ctx is done: what is in flight is acked with its cause, which is returned;
//   - something fails for good: the same with that error.
//
// It may be called once.
func (p *Pump) Run(ctx context.Context, drain <-chan struct{}) error {
	if !p.started.CompareAndSwap(false, true) {
		return &flow.Error{Op: "run the pump", Class: flow.Fatal, Err: errors.New("it was run before")}
	}
	if p.opts.Sink == nil || p.opts.Stream == nil && p.opts.Snapshot == nil {
		return &flow.Error{Op: "run the pump", Class: flow.Fatal, Err: errors.New("it has no source or no sink")}
	}
	g, ctx := errgroup.WithContext(ctx)
	reading, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-drain:
			stop()
		case <-reading.Done():
		}
	}()
	if p.opts.Stream != nil {
		lanes := make([]*lane, p.opts.Lanes)
		for i := range lanes {
			lanes[i] = newLane(p)
			g.Go(func() error { return lanes[i].run(ctx) })
		}
		g.Go(func() error { return p.runStream(ctx, reading, lanes) })
	}
	if p.opts.Snapshot != nil {
		for range p.opts.SnapshotWriters {
			g.Go(func() error { return p.runSnapshot(ctx, reading) })
		}
	}
	err := g.Wait()
	stop()
	<-watched
	return err
}

// read returns the next batch of src; ok is false when no more will come: the
// source has ended, or reading is done while ctx is not.
func (p *Pump) read(ctx, reading context.Context, src flow.Source) (b flow.Batch, ack flow.Ack, ok bool, err error) {
	ended := false
	err = p.retry.do(reading, whatRead, Retrying, func(ctx context.Context) error {
		var err error
		b, ack, err = src.Read(ctx)
		if err == io.EOF { //nolint:errorlint // a cut connection may wrap io.EOF, and is no end
			ended = true
			return nil
		}
		return err
	})
	switch {
	case err == nil:
		return b, ack, !ended, nil
	case ctx.Err() != nil:
		return b, nil, false, context.Cause(ctx)
	case reading.Err() != nil:
		err = nil // it failed because it was told to end
	}
	return b, nil, false, err
}

// control applies a control batch and acks it.
func (p *Pump) control(ctx context.Context, b *flow.Batch, ack flow.Ack) error {
	var err error
	switch {
	case len(b.Changes) > 0:
		err = &flow.Error{
			Op: "apply " + b.Control.Kind.String(), Object: b.Control.NS.String(), Class: flow.Fatal,
			Err: errors.New("a control came in one batch with changes"),
		}
	case p.opts.Controls != nil:
		err = p.retry.do(ctx, whatApply, Retrying, func(ctx context.Context) error {
			return p.opts.Controls.Apply(ctx, *b.Control)
		})
	}
	if ackErr := ack(context.WithoutCancel(ctx), err); err == nil {
		err = ackErr
	}
	return err
}
