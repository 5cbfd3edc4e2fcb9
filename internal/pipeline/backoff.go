package pipeline

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	firstPause = 50 * time.Millisecond
	maxPause   = 10 * time.Second
)

// backoff makes growing pauses: each up to twice the one before, at random
// between half and the whole, so that lanes do not come back in step.
type backoff struct{ next time.Duration }

// wait pauses, or returns ctx's cause when it is done first.
func (b *backoff) wait(ctx context.Context) error {
	if b.next == 0 {
		b.next = firstPause
	}
	pause := b.next/2 + rand.N(b.next/2+1)
	b.next = min(2*b.next, maxPause)
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// reset makes the next pause a short one again.
func (b *backoff) reset() { b.next = 0 }
