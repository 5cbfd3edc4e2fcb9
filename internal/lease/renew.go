package lease

import (
	"context"
	"errors"
	"time"

	"sluice/internal/flow"
)

// renew beats each third of the TTL until ctx ends or the lease is lost.
func (l *Lease) renew(ctx context.Context) {
	defer close(l.ended)
	third := l.o.TTL / 3
	wait := third
	for {
		// A lease that can't be renewed ends on time, not at the next try.
		timer := time.NewTimer(min(wait, max(l.left(), 0)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if l.left() <= 0 {
			l.lost("it could not be renewed in time")
			return
		}
		if err := l.beat(ctx); err == nil {
			wait = third
		} else if errors.Is(err, ErrLost) {
			l.lost("another owner has taken it")
			return
		} else if ctx.Err() == nil {
			l.o.Logger.Warn("the lease could not be renewed; trying again", "lease", l.o.Name, flow.LogErr, err)
			wait = third / 4
		}
	}
}

func (l *Lease) lost(reason string) {
	l.o.Logger.Warn("the lease is lost", "lease", l.o.Name, flow.LogReason, reason)
	l.lose(ErrLost)
}

// beat renews once. A beat that our own transactions have moved is read again.
func (l *Lease) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.o.TTL/3)
	defer cancel()
	for {
		l.mu.Lock()
		old := l.row
		l.mu.Unlock()
		next := old
		next.Beat, next.TTL = old.Beat+1, l.o.TTL
		sent := l.o.Clock()
		err := l.o.Store.Save(ctx, old, next)
		if err == nil {
			l.mu.Lock()
			l.row, l.until = next, sent+l.o.TTL-l.o.TTL/margin
			l.mu.Unlock()
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		// A conflict is one with our own transactions or with a new owner; after
		// any other error the row may have our beat or not.
		ours, lerr := l.reload(ctx)
		switch {
		case lerr != nil:
			return lerr
		case !ours:
			return ErrLost
		case !errors.Is(err, ErrConflict):
			return err
		}
	}
}
