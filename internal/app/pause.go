package app

import (
	"context"
	"sync"

	"sluice/internal/flow"
)

// gate holds a flow's reading back while it is paused. The zero value is open.
// It is safe from several goroutines.
type gate struct {
	mu     sync.Mutex
	reason string
	opened chan struct{} // nil while open
}

// pause closes the gate. What was read before goes on to its end; a change
// stream that is not read is kept by its position alone, for as long as the
// oplog reaches back.
func (g *gate) pause(reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if reason == "" {
		reason = "by command"
	}
	g.reason = reason
	if g.opened == nil {
		g.opened = make(chan struct{})
	}
}

// resume opens the gate; false: it was open.
func (g *gate) resume() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened == nil {
		return false
	}
	close(g.opened)
	g.opened, g.reason = nil, ""
	return true
}

// paused tells whether the gate is closed, and why.
func (g *gate) paused() (reason string, closed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reason, g.opened != nil
}

// wait returns when the gate is open or ctx is done.
func (g *gate) wait(ctx context.Context) error {
	for {
		g.mu.Lock()
		opened := g.opened
		g.mu.Unlock()
		if opened == nil {
			return nil
		}
		select {
		case <-opened:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// wrap returns src behind the gate.
func (g *gate) wrap(src flow.Source) flow.Source { return gated{src, g} }

type gated struct {
	src  flow.Source
	gate *gate
}

// Read waits while the gate is closed. What a read brings that was under way
// when it closed is held until it opens, and given up if the flow ends first.
func (s gated) Read(ctx context.Context) (flow.Batch, flow.Ack, error) {
	if err := s.gate.wait(ctx); err != nil {
		return flow.Batch{}, nil, err
	}
	b, ack, err := s.src.Read(ctx)
	if err != nil {
		return b, ack, err
	}
	if err := s.gate.wait(ctx); err != nil {
		_ = ack(context.WithoutCancel(ctx), err) // that it ends is what matters
		return flow.Batch{}, nil, err
	}
	return b, ack, nil
}
