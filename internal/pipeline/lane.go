package pipeline

import (
	"context"
	"sync"

	"sluice/internal/flow"
)

// item is one change in the queue of a lane.
type item struct {
	c *flow.Change
	k key
	f *flight
}

// share is a run of neighbouring items of one flight.
type share struct {
	f *flight
	n int
}

// lane writes the changes of its keys one merged batch after the other: while
// one is on its way, the next gather behind it, so an idle lane sends at once
// and a busy one sends much (rule S2). One goroutine runs it, another fills it.
type lane struct {
	pump  *Pump
	limit int
	wake  chan struct{} // holds one token when there may be something to take

	mu    sync.Mutex
	queue []item
	ended bool
	dead  error

	// What follows belongs to the running goroutine.
	taken    []item
	head     int
	fold     folder
	batch    flow.Batch
	shares   []share
	txn      int64 // version of the last item taken, if it was of a transaction
	delivery *delivery
}

func newLane(p *Pump) *lane {
	l := &lane{pump: p, limit: p.opts.BatchBytes, wake: make(chan struct{}, 1)}
	l.delivery = p.newDelivery()
	h := newHasher(p.seeds)
	l.delivery.guard = func(changes []flow.Change) { p.tombs.remember(changes, h) }
	return l
}

// push queues items, which are copied. On a lane that died they settle at once
// with its error.
func (l *lane) push(ctx context.Context, items []item) {
	l.mu.Lock()
	dead := l.dead
	if dead == nil {
		l.queue = append(l.queue, items...)
	}
	l.mu.Unlock()
	if dead != nil {
		l.fail(ctx, items, dead)
		return
	}
	l.signal()
}

// end says that no more items come.
func (l *lane) end() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.signal()
}

func (l *lane) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run writes what is queued until end, and then the rest. When it returns an
// error, all that was or will be queued is settled with it.
func (l *lane) run(ctx context.Context) error {
	err := l.loop(ctx)
	if err == nil {
		return nil
	}
	l.mu.Lock()
	l.dead = err
	rest := l.queue
	l.queue = nil
	l.mu.Unlock()
	l.fail(ctx, l.taken[l.head:], err)
	l.fail(ctx, rest, err)
	return err
}

func (l *lane) loop(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if l.merge() {
			if err := l.write(ctx); err != nil {
				return err
			}
			continue
		}
		if l.isEnded() {
			return nil
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
		}
	}
}

// isEnded tells whether the lane has ended and nothing is queued.
func (l *lane) isEnded() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended && len(l.queue) == 0
}

// swap takes over what was queued since the last time.
func (l *lane) swap() bool {
	clear(l.taken)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken, l.queue = l.queue, l.taken[:0]
	l.head = 0
	return len(l.taken) > 0
}

// merge gathers the next batch from the queue, up to the limit of bytes, with
// one change per key; it returns false when the queue is empty.
func (l *lane) merge() bool {
	l.fold.begin()
	l.shares = l.shares[:0]
	l.txn = 0
	l.batch = flow.Batch{Changes: l.batch.Changes[:0]}
	for l.head < len(l.taken) || l.swap() {
		if !l.take(&l.taken[l.head]) {
			break
		}
		l.head++
	}
	return len(l.shares) > 0
}

// weight is what a change adds to a batch.
func (l *lane) weight(c *flow.Change) int {
	if c.Op == flow.OpReread {
		return l.delivery.docSize
	}
	return size(c)
}

// take adds an item to the batch, or returns false when the batch is full. A
// transaction is not cut in two: its changes of one key are one write (rule S1).
func (l *lane) take(it *item) bool {
	if it.c.Op == flow.OpSkip {
		l.delivery.tally.add(it.c, verdict(flow.Done))
		l.share(it.f)
		return true
	}
	slot := l.fold.find(it.k)
	if l.fold.has(slot) {
		return l.takeAgain(it, &l.batch.Changes[slot.at])
	}
	more := l.weight(it.c)
	if l.isFull(it.c, more) {
		return false
	}
	l.share(it.f)
	l.fold.put(slot, it.k, len(l.batch.Changes))
	l.batch.Changes = append(l.batch.Changes, *it.c)
	l.batch.Bytes += more
	return true
}

// takeAgain merges an item into old, the change of its key that is in the batch
// already (rules S1, S2), or returns false when the batch is full.
func (l *lane) takeAgain(it *item, old *flow.Change) bool {
	if it.c.Version < old.Version { // a source that went back in time: the newer one stays
		if l.isFull(it.c, 0) {
			return false
		}
		l.share(it.f)
		l.delivery.tally.add(it.c, folded)
		old.Before = old.Before.With(it.c.Before)
		return true
	}
	c := combined(old, it.c)
	more := l.weight(&c) - l.weight(old)
	if l.isFull(it.c, more) {
		return false
	}
	l.share(it.f)
	l.delivery.tally.add(old, folded)
	*old = c
	l.batch.Bytes += more
	return true
}

// isFull tells whether c, which would add some bytes, belongs to the next
// batch. If not, c is the last that was taken.
func (l *lane) isFull(c *flow.Change, more int) bool {
	full := more > 0 && l.batch.Bytes+more > l.limit && len(l.batch.Changes) > 0
	if full && (!c.Txn || c.Version != l.txn) {
		return true
	}
	l.txn = 0
	if c.Txn {
		l.txn = c.Version
	}
	return false
}

// share counts one item of f into the batch.
func (l *lane) share(f *flight) {
	if k := len(l.shares) - 1; k >= 0 && l.shares[k].f == f {
		l.shares[k].n++
		return
	}
	l.shares = append(l.shares, share{f, 1})
	if l.batch.After.Before(f.after) {
		l.batch.After = f.after
	}
}

// write carries the merged batch to its verdicts and settles it.
func (l *lane) write(ctx context.Context) error {
	l.delivery.tally.flush(nil)
	var err error
	if len(l.batch.Changes) > 0 {
		err = l.delivery.run(ctx, l.batch)
	}
	clear(l.batch.Changes)
	for _, s := range l.shares {
		if e := l.pump.settle(ctx, s.f, s.n, err); err == nil {
			err = e
		}
	}
	clear(l.shares)
	return err
}

// fail settles items with err.
func (l *lane) fail(ctx context.Context, items []item, err error) {
	for i := range items {
		_ = l.pump.settle(ctx, items[i].f, 1, err) // err is what matters now
	}
}
