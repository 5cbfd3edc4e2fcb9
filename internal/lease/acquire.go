package lease

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/internal/flow"
)

// Acquire waits until the lease is ours: at once if nobody holds it, else when
// its owner gives it back, or when its beat has not moved for the TTL in its row
// by our own monotonic clock. Transient errors of the store are waited out. The
// error is that of ctx, or another one of the store.
func Acquire(ctx context.Context, o Options) (*Lease, error) {
	o.fill()
	w := watch{o: o}
	for told := false; ; {
		l, held, err := w.try(ctx)
		switch {
		case l != nil:
			return l, nil
		case err != nil && (flow.ClassOf(err) != flow.Transient || ctx.Err() != nil):
			return nil, err
		case err != nil:
			o.Logger.Warn("the store of leases does not answer; trying again", "lease", o.Name, flow.LogErr, err)
		case !told:
			told = true
			o.Logger.Info("waiting for a lease that another process holds", "lease", o.Name, "owner", held.Owner)
		}
		timer := time.NewTimer(w.pause())
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, fault("wait for lease", o.Name, context.Cause(ctx))
		case <-timer.C:
		}
	}
}

// TryAcquire takes the lease if nobody holds it. Else the error wraps
// ErrConflict and names the owner; it can't tell whether that owner is alive:
// only Acquire, which watches it, can.
func TryAcquire(ctx context.Context, o Options) (*Lease, error) {
	o.fill()
	w := watch{o: o}
	l, held, err := w.try(ctx)
	if l == nil && err == nil {
		err = fault("take lease", o.Name, fmt.Errorf("%w: %s holds it", ErrConflict, held.Owner))
	}
	return l, err
}

// watch observes a lease that another owner holds.
type watch struct {
	o     Options
	seen  Row
	since time.Time // when the reply that showed seen first had come
	wrote Row       // what we tried to save last: the outcome may be unknown
}

// try takes the lease if it is free or its owner is silent for too long.
func (w *watch) try(ctx context.Context) (*Lease, Row, error) {
	for {
		sent := w.o.Clock()
		row, err := w.o.Store.Load(ctx, w.o.Name)
		if err != nil {
			return nil, row, fault("load lease", w.o.Name, err)
		}
		if w.wrote.Owner != "" && row.Owner == w.wrote.Owner {
			// The answer to our Save was lost, but not the Save. It counts from
			// now: nobody takes it before a TTL from when its beat was seen.
			return w.again(ctx, row, sent)
		}
		if !same(row, w.seen) || w.since.IsZero() {
			w.seen, w.since = row, time.Now()
		}
		if row.Owner != "" && time.Since(w.since) < row.TTL {
			return nil, row, nil
		}
		l, err := w.take(ctx, row)
		if !errors.Is(err, ErrConflict) {
			return l, row, err
		}
	}
}

// take saves us as the owner in the place of row.
func (w *watch) take(ctx context.Context, row Row) (*Lease, error) {
	next := Row{Name: w.o.Name, Owner: w.o.Owner, Fence: row.Fence + 1, Beat: row.Beat + 1, TTL: w.o.TTL}
	old := row
	if isZero(row) {
		old = Row{}
	}
	sent := w.o.Clock()
	w.wrote = next
	if err := w.o.Store.Save(ctx, old, next); err != nil {
		if errors.Is(err, ErrConflict) {
			return nil, err
		}
		return nil, fault("take lease", w.o.Name, err)
	}
	if row.Owner != "" {
		w.o.Logger.Warn("took over a lease whose owner is silent", "lease", w.o.Name, "owner", row.Owner)
	}
	return hold(ctx, w.o, next, sent), nil
}

// again confirms a row that is ours by one more beat.
func (w *watch) again(ctx context.Context, row Row, sent time.Duration) (*Lease, Row, error) {
	next := row
	next.Beat++
	if err := w.o.Store.Save(ctx, row, next); err != nil {
		return nil, row, fault("take lease", w.o.Name, err)
	}
	return hold(ctx, w.o, next, sent), next, nil
}

// pause is how long to wait before looking again.
func (w *watch) pause() time.Duration {
	ttl := w.seen.TTL
	if ttl <= 0 {
		ttl = w.o.TTL
	}
	left := ttl - time.Since(w.since)
	return max(min(left, ttl/6), time.Millisecond)
}

func same(a, b Row) bool { return a.Owner == b.Owner && a.Fence == b.Fence && a.Beat == b.Beat }

func isZero(r Row) bool { return r.Owner == "" && r.Fence == 0 && r.Beat == 0 && r.TTL == 0 }

// Holder returns the stored row, for status pages; a zero Owner is a lease that
// nobody holds.
func Holder(ctx context.Context, s Store, name string) (Row, error) {
	row, err := s.Load(ctx, name)
	return row, fault("load lease", name, err)
}
