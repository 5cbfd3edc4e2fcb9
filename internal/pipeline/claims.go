package pipeline

import (
	"context"
	"sync"

	"sluice/internal/flow"
)

// claims keep a key in one batch at a time, over lanes and snapshot writers
// (rule S2): where documents move between places, the engine's versions, which
// are kept per place, can't tell a late snapshot document from a newer one. A nil
// *claims lets everything pass.
type claims struct {
	mu   sync.Mutex
	held map[key]struct{}
	// freed is closed when some are let go.
	freed chan struct{}
}

func newClaims() *claims { return &claims{held: make(map[key]struct{}), freed: make(chan struct{})} }

// take waits until none of the keys of changes is in another batch and takes
// them all, or none. release lets them go.
func (c *claims) take(ctx context.Context, changes []flow.Change, h *hasher) (release func(), err error) {
	if c == nil {
		return func() {}, nil
	}
	keys := make([]key, len(changes))
	for i := range changes {
		keys[i] = h.of(&changes[i])
	}
	for {
		freed, ok := c.try(keys)
		if ok {
			return func() { c.release(keys) }, nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// try takes keys if all are free; else freed is closed when it is worth another try.
func (c *claims) try(keys []key) (freed <-chan struct{}, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range keys {
		if _, taken := c.held[k]; taken {
			return c.freed, false
		}
	}
	for _, k := range keys {
		c.held[k] = struct{}{}
	}
	return nil, true
}

func (c *claims) release(keys []key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range keys {
		delete(c.held, k)
	}
	close(c.freed)
	c.freed = make(chan struct{})
}
