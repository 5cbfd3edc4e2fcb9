package pipeline

import (
	"context"

	"sluice/internal/flow"
)

// runSnapshot reads snapshot batches and writes them one by one, until reading
// is done. Several goroutines run it. The documents need no lanes: their
// versions lie below those of the stream. Where versions can't guard (rule S2),
// the batches would go through a splitter, as those of the stream do.
func (p *Pump) runSnapshot(ctx, reading context.Context) error {
	d := p.newDelivery()
	h := newHasher(p.seeds)
	d.guard = func(changes []flow.Change) { p.tombs.filter(changes, h) }
	for {
		b, ack, ok, err := p.read(ctx, reading, p.opts.Snapshot)
		if err != nil || !ok {
			return err
		}
		if err := p.copy(ctx, d, &b, ack); err != nil {
			return err
		}
	}
}

// copy brings one batch of the snapshot to its ack.
func (p *Pump) copy(ctx context.Context, d *delivery, b *flow.Batch, ack flow.Ack) error {
	if b.Control != nil {
		return p.control(ctx, b, ack)
	}
	n := len(b.Changes)
	if n == 0 {
		return ack(context.WithoutCancel(ctx), nil)
	}
	f, err := p.launch(ctx, fromSnapshot, b, ack)
	if err != nil {
		return err
	}
	err = d.run(ctx, *b)
	if e := p.settle(ctx, f, n, err); err == nil {
		err = e
	}
	p.tombs.tidy()
	return err
}
