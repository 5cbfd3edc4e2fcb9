package lease_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/flow"
	"sluice/internal/lease"
	"sluice/internal/lease/leasetest"
)

const ttl = 30 * time.Second

// flaky is a store that fails on command, before or after it has worked.
type flaky struct {
	lease.Store
	before, after atomic.Int64 // how many calls fail
	slow          atomic.Int64 // how long each call takes before it works
	saves         atomic.Int64
}

func down() error {
	return &flow.Error{Op: "reach store", Class: flow.Transient, Err: errors.New("no answer")}
}

func (f *flaky) Load(ctx context.Context, name string) (lease.Row, error) {
	if f.before.Load() > 0 {
		f.before.Add(-1)
		return lease.Row{}, down()
	}
	return f.Store.Load(ctx, name)
}

func (f *flaky) Save(ctx context.Context, old, next lease.Row) error {
	f.saves.Add(1)
	if f.before.Load() > 0 {
		f.before.Add(-1)
		return down()
	}
	time.Sleep(time.Duration(f.slow.Load()))
	err := f.Store.Save(ctx, old, next)
	if err == nil && f.after.Load() > 0 {
		f.after.Add(-1)
		return down()
	}
	return err
}

// fakeClock is the clock of a machine inside a synctest bubble; it can be
// suspended, which no timer sees.
type fakeClock struct {
	start     time.Time
	suspended atomic.Int64
}

func newClock() *fakeClock { return &fakeClock{start: time.Now()} }

func (c *fakeClock) now() time.Duration {
	return time.Since(c.start) + time.Duration(c.suspended.Load())
}

func options(s lease.Store, owner string) lease.Options {
	return lease.Options{Store: s, Name: "archive/r/shop.orders", Owner: owner, TTL: ttl, Clock: newClock().now}
}

func acquire(t *testing.T, o lease.Options) *lease.Lease {
	t.Helper()
	l, err := lease.Acquire(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func release(t *testing.T, l *lease.Lease) {
	t.Helper()
	if err := l.Release(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestHeldForAsLongAsItIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flaky{Store: leasetest.NewMemory()}
		l := acquire(t, options(f, "one"))
		for range 100 {
			time.Sleep(7 * time.Second)
			if err := l.Check(15 * time.Second); err != nil {
				t.Fatal(err)
			}
		}
		if n := f.saves.Load(); n < 70 || n > 72 {
			t.Errorf("700 s took %d saves, not one each 10 s", n)
		}
		release(t, l)
		if err := l.Check(0); !errors.Is(err, lease.ErrLost) {
			t.Errorf("after the release Check gave %v", err)
		}
		if l.Context().Err() == nil || !errors.Is(context.Cause(l.Context()), lease.ErrLost) {
			t.Errorf("the context has ended with %v", context.Cause(l.Context()))
		}
		release(t, l)
	})
}

func TestCheckTellsWhenTooLittleIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := acquire(t, options(leasetest.NewMemory(), "one"))
		defer release(t, l)
		time.Sleep(9 * time.Second)
		if err := l.Check(19 * time.Second); err != nil {
			t.Errorf("19 s are left: %v", err)
		}
		err := l.Check(21 * time.Second)
		if !errors.Is(err, lease.ErrLost) || flow.ClassOf(err) != flow.Conflict {
			t.Errorf("21 s are not left: %v", err)
		}
		if l.Check(0) != nil {
			t.Errorf("too little for one step is not the end: %v", l.Check(0))
		}
	})
}

// Validity counts from before the request: a slow answer shortens it.
func TestRenewalCountsFromBeforeTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flaky{Store: leasetest.NewMemory()}
		f.slow.Store(int64(8 * time.Second))
		l := acquire(t, options(f, "one"))
		if l.Check(21*time.Second) == nil {
			t.Error("8 s of the 30 are gone, yet 21 s (and the margin) are said to be left")
		}
		if err := l.Check(20 * time.Second); err != nil {
			t.Error(err)
		}
		f.slow.Store(0)
		release(t, l)
	})
}

func TestBeatMovedByOurOwnTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := leasetest.NewMemory()
		l := acquire(t, options(m, "one"))
		owner, fence := l.Fence()
		for range 500 {
			time.Sleep(time.Second)
			if err := m.Bump(l.Name(), owner, fence); err != nil {
				t.Fatal(err)
			}
			if err := l.Check(18 * time.Second); err != nil {
				t.Fatal(err)
			}
		}
		release(t, l)
	})
}

func TestTakenOverAfterSilenceOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := leasetest.NewMemory()
		first := acquire(t, options(m, "one"))
		time.Sleep(11 * time.Second) // one beat was at 10 s
		first.Abandon()
		start := time.Now()
		second := acquire(t, options(m, "two"))
		// The observer knows of no beat before its first look.
		if waited := time.Since(start); waited < ttl || waited > ttl+ttl/5 {
			t.Errorf("taken over after %v", waited)
		}
		_, f1 := first.Fence()
		_, f2 := second.Fence()
		if f2 != f1+1 {
			t.Errorf("fences %d, then %d", f1, f2)
		}
		if o1, _ := first.Fence(); m.Bump(first.Name(), o1, f1) == nil {
			t.Error("the first owner can still change something under its lease")
		}
		release(t, second)
	})
}

// Changes made under the lease count as signs of life.
func TestObserverSeesBeatsOfTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := leasetest.NewMemory()
		first := acquire(t, options(m, "one"))
		first.Abandon()
		owner, fence := first.Fence()
		ctx, cancel := context.WithTimeout(t.Context(), 10*ttl)
		defer cancel()
		go func() {
			for ctx.Err() == nil {
				time.Sleep(ttl / 2)
				_ = m.Bump(first.Name(), owner, fence)
			}
		}()
		if l, err := lease.Acquire(ctx, options(m, "two")); err == nil {
			t.Errorf("taken while its beat moved: %v", l.Name())
		} else if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		time.Sleep(ttl) // until the goroutine has seen the end
	})
}

func TestReleasedIsTakenSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := leasetest.NewMemory()
		first := acquire(t, options(m, "one"))
		go func() {
			time.Sleep(12 * time.Second)
			_ = first.Release(context.Background())
		}()
		start := time.Now()
		second := acquire(t, options(m, "two"))
		if waited := time.Since(start); waited > 12*time.Second+ttl/5 {
			t.Errorf("a lease that was given back was taken after %v", waited)
		}
		release(t, second)
	})
}

func TestLostWhenTheStoreIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flaky{Store: leasetest.NewMemory()}
		l := acquire(t, options(f, "one"))
		f.before.Store(1 << 40)
		start := time.Now()
		<-l.Context().Done()
		if d := time.Since(start); d > ttl || d < ttl-ttl/10 {
			t.Errorf("lost after %v", d)
		}
		bound, stop := l.Bind(t.Context())
		defer stop()
		<-bound.Done()
		if !errors.Is(context.Cause(bound), lease.ErrLost) {
			t.Errorf("the bound context ended with %v", context.Cause(bound))
		}
		release(t, l)
	})
}

func TestRidesOutShortFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flaky{Store: leasetest.NewMemory()}
		l := acquire(t, options(f, "one"))
		for range 20 {
			f.before.Store(2)
			time.Sleep(11 * time.Second)
			f.after.Store(1)
			time.Sleep(11 * time.Second)
			if err := l.Check(time.Second); err != nil {
				t.Fatal(err)
			}
		}
		release(t, l)
	})
}

// The answer to the first Save is lost, but not the Save.
func TestAcquireWithALostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flaky{Store: leasetest.NewMemory()}
		f.after.Store(1)
		start := time.Now()
		l := acquire(t, options(f, "one"))
		if d := time.Since(start); d >= ttl {
			t.Errorf("waited %v for itself", d)
		}
		release(t, l)
	})
}

// A machine that slept: no timer has seen it, Check does.
func TestFrozenOwnerNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		o := options(leasetest.NewMemory(), "one")
		o.Clock = c.now
		l := acquire(t, o)
		if err := l.Check(time.Second); err != nil {
			t.Fatal(err)
		}
		c.suspended.Store(int64(time.Hour))
		if err := l.Check(0); !errors.Is(err, lease.ErrLost) {
			t.Errorf("an hour of sleep went unseen: %v", err)
		}
		if l.Context().Err() == nil {
			t.Error("the context goes on")
		}
		release(t, l)
	})
}

// Another owner in the row ends the lease at the next beat, however that came.
func TestForeignOwnerEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := leasetest.NewMemory()
		l := acquire(t, options(m, "one"))
		row, err := lease.Holder(t.Context(), m, l.Name())
		if err != nil {
			t.Fatal(err)
		}
		next := row
		next.Owner, next.Fence = "thief", row.Fence+1
		if err := m.Save(t.Context(), row, next); err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Second)
		if err := l.Check(0); !errors.Is(err, lease.ErrLost) {
			t.Errorf("Check gave %v", err)
		}
		release(t, l)
		if row, _ := lease.Holder(t.Context(), m, l.Name()); row.Owner != "thief" {
			t.Errorf("the release of a lost lease freed that of %q", row.Owner)
		}
	})
}

func TestSystemClockGoesOn(t *testing.T) {
	clock := lease.SystemClock()
	a := clock()
	for range 1_000_000 {
		if clock() > a {
			return
		}
	}
	t.Error("the clock stands")
}
