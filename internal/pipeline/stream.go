package pipeline

import (
	"context"

	"sluice/internal/flow"
)

// runStream reads the stream and fans its changes out to lanes, until reading
// is done; then it ends the lanes.
func (p *Pump) runStream(ctx, reading context.Context, lanes []*lane) error {
	s := splitter{hash: newHasher(p.seeds), lanes: lanes, parts: make([][]item, len(lanes))}
	defer func() {
		for _, l := range lanes {
			l.end()
		}
	}()
	for {
		p.watch.waitCalm(reading)
		b, ack, ok, err := p.read(ctx, reading, p.opts.Stream)
		if err != nil || !ok {
			return err
		}
		p.tombs.tidy()
		if err := p.route(ctx, &s, &b, ack); err != nil {
			return err
		}
	}
}

// route hands one batch of the stream on.
func (p *Pump) route(ctx context.Context, s *splitter, b *flow.Batch, ack flow.Ack) error {
	if b.Control != nil {
		// The barrier of rule S15: all before it is settled, nothing after it is read.
		if err := p.open[fromStream].wait(ctx); err != nil {
			_ = ack(context.WithoutCancel(ctx), err) // the cause is what matters now
			return err
		}
		return p.control(ctx, b, ack)
	}
	if len(b.Changes) == 0 {
		return ack(context.WithoutCancel(ctx), nil)
	}
	if err := p.attribute(ctx, b); err != nil {
		_ = ack(context.WithoutCancel(ctx), err) // the cause is what matters now
		return err
	}
	f, err := p.launch(ctx, fromStream, b, ack)
	if err != nil {
		return err
	}
	s.split(ctx, f, b.Changes)
	return nil
}

// splitter sorts the changes of a batch into the lanes of their keys (rule S2).
type splitter struct {
	hash  *hasher
	lanes []*lane
	parts [][]item
}

// split hands the changes to the lanes, to each in one go: a source delivers a
// transaction in one batch, and so its changes of a key are merged (rule S1).
func (s *splitter) split(ctx context.Context, f *flight, changes []flow.Change) {
	n := uint64(len(s.lanes))
	for i := range changes {
		c := &changes[i]
		k := s.hash.of(c)
		at := k.lo % n
		s.parts[at] = append(s.parts[at], item{c, k, f})
	}
	for i, part := range s.parts {
		if len(part) > 0 {
			s.lanes[i].push(ctx, part)
			clear(part) // so that nothing keeps the batch once it is settled
			s.parts[i] = part[:0]
		}
	}
}
