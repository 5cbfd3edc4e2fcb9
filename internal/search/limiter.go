package search

import (
	"context"
	"slices"
	"sync"
	"time"
)

// minBody is how small bodies get while the engine rejects them.
const minBody = 64 << 10

// limiter bounds how many bulks are in flight and how large they are. A
// rejection halves both, at most once for all requests that were on their way
// together; each success raises both a little.
type limiter struct {
	metrics *Metrics

	mu      sync.Mutex
	in      int
	allowed float64
	most    int
	body    int
	largest int // what the engine is known to take
	lowered time.Time
	waiting []chan struct{}
}

func newLimiter(most, body int, m *Metrics) *limiter {
	m.limit(most)
	return &limiter{metrics: m, allowed: float64(most), most: most, body: body, largest: body}
}

// acquire waits for a place; the time it returns goes to rejected.
func (l *limiter) acquire(ctx context.Context) (started time.Time, err error) {
	l.mu.Lock()
	if l.in < int(l.allowed) && len(l.waiting) == 0 {
		l.in++
		l.mu.Unlock()
		l.metrics.flying(1)
		return time.Now(), nil
	}
	turn := make(chan struct{}, 1)
	l.waiting = append(l.waiting, turn)
	l.mu.Unlock()
	select {
	case <-turn:
		l.metrics.flying(1)
		return time.Now(), nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.waiting, turn); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	} else { // the turn came at the same moment: pass it on
		l.in--
		l.wake()
	}
	return time.Time{}, context.Cause(ctx)
}

// release gives a place back.
func (l *limiter) release() {
	l.metrics.flying(-1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.in--
	l.wake()
}

// wake lets in whom there is room for. Called under the lock.
func (l *limiter) wake() {
	for len(l.waiting) > 0 && l.in < int(l.allowed) {
		l.in++
		l.waiting[0] <- struct{}{}
		l.waiting = l.waiting[1:]
	}
}

// bodyBytes is the size to which bodies are built now.
func (l *limiter) bodyBytes() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.body
}

// accepted follows a request of which nothing was rejected.
func (l *limiter) accepted() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.allowed < float64(l.most) {
		l.allowed = min(float64(l.most), l.allowed+1/l.allowed)
		l.metrics.limit(int(l.allowed))
		l.wake()
	}
	if l.body < l.largest {
		l.body = min(l.largest, l.body+max(1, l.body/8))
	}
}

// rejected follows a request that was sent at started and met a 429.
func (l *limiter) rejected(started time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !started.After(l.lowered) {
		return
	}
	l.lowered = time.Now()
	l.allowed = max(1, l.allowed/2)
	l.metrics.limit(int(l.allowed))
	l.shrink()
}

// failed follows a request of unknown outcome: a smaller one may get through.
func (l *limiter) failed(started time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if started.After(l.lowered) {
		l.lowered = time.Now()
		l.shrink()
	}
}

// tooLarge follows a 413 for size bytes; it returns the new size of bodies.
func (l *limiter) tooLarge(size int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.largest = min(l.largest, max(minBody, size/2))
	l.body = min(l.body, l.largest)
	return l.body
}

func (l *limiter) shrink() { l.body = min(l.body, max(minBody, l.body/2)) }
