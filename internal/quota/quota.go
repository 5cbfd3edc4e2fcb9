package quota

import (
	"container/list"
	"context"
	"sync"
)

// Quota bounds what is held at one time. It is safe from several goroutines.
type Quota struct {
	mu      sync.Mutex
	size    int64
	held    int64
	waiting list.List // of *waiter, first come first
}

// waiter is one Acquire that waits.
type waiter struct {
	n     int64
	ready chan struct{} // closed when it holds n
}

// New returns a Quota of that size, above 0.
func New(size int64) *Quota { return &Quota{size: size} }

// Acquire waits until n fits beside what is held, in the order of the calls; more
// than the whole size is given when nothing is held, so that nobody waits for
// ever. The error is that of ctx; nothing is held then.
func (q *Quota) Acquire(ctx context.Context, n int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.Lock()
	if q.waiting.Len() == 0 && q.fits(n) {
		q.held += n
		q.mu.Unlock()
		return nil
	}
	w := &waiter{n: n, ready: make(chan struct{})}
	e := q.waiting.PushBack(w)
	q.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-w.ready: // it came at the same moment: given back
		q.held -= n
	default:
		q.waiting.Remove(e)
	}
	q.wake()
	return ctx.Err()
}

// TryAcquire takes n if it fits now and nobody waits; false: nothing is held. Who
// holds something may call it, as it never waits.
func (q *Quota) TryAcquire(n int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting.Len() > 0 || !q.fits(n) {
		return false
	}
	q.held += n
	return true
}

// Release gives back n of what was acquired.
func (q *Quota) Release(n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held -= n
	q.wake()
}

// Resize changes the size. What is held beyond a smaller one stays held until it
// is given back; until then nobody gets more.
func (q *Quota) Resize(size int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.size = size
	q.wake()
}

// Size is the size now.
func (q *Quota) Size() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.size
}

func (q *Quota) fits(n int64) bool { return q.held == 0 || q.held+n <= q.size }

// wake serves who waits, in order.
func (q *Quota) wake() {
	for e := q.waiting.Front(); e != nil; e = q.waiting.Front() {
		w, ok := e.Value.(*waiter)
		if !ok || !q.fits(w.n) {
			return
		}
		q.waiting.Remove(e)
		q.held += w.n
		close(w.ready)
	}
}
