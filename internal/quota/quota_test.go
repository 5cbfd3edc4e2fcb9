package quota_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"sluice/internal/quota"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// waits starts an Acquire, and returns when it holds or waits; the channel gets
// its result.
func waits(ctx context.Context, q *quota.Quota, n int64) <-chan error {
	out := make(chan error, 1)
	go func() { out <- q.Acquire(ctx, n) }()
	synctest.Wait()
	return out
}

func is(t *testing.T, c <-chan error, done bool) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-c:
		if !done || err != nil {
			t.Fatalf("it holds (%v), want it to wait: %v", err, !done)
		}
	default:
		if done {
			t.Fatal("it waits, though there is room")
		}
	}
}

// TestS9Resize: a smaller size holds back until enough was given back, a larger
// one serves who waits, in order, and more than all passes alone.
func TestS9Resize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		q := quota.New(10)
		is(t, waits(ctx, q, 6), true)
		q.Resize(4)
		one, two := waits(ctx, q, 3), waits(ctx, q, 1)
		is(t, one, false)
		q.Resize(9)
		is(t, one, true)
		is(t, two, false)
		q.Release(6)
		is(t, two, true)
		all := waits(ctx, q, 100)
		is(t, all, false)
		q.Release(3)
		q.Release(1)
		is(t, all, true)
		q.Release(100)
		if n := q.Size(); n != 9 {
			t.Errorf("size %d", n)
		}
	})
}

// TestGivenUp: who gives up holds nothing and stands in nobody's way.
func TestGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := quota.New(10)
		is(t, waits(t.Context(), q, 8), true)
		ctx, cancel := context.WithCancel(t.Context())
		first, second := waits(ctx, q, 5), waits(t.Context(), q, 2)
		is(t, second, false)
		cancel()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		is(t, second, true)
		q.Release(10)
		is(t, waits(t.Context(), q, 10), true)
	})
}

// TestBound: with any sizes and any order, no more is held than the largest size
// that there was, and everybody is served.
func TestBound(t *testing.T) {
	q := quota.New(50)
	var held atomic.Int64
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			for range 500 {
				n := rng.Int64N(20) + 1
				if err := q.Acquire(context.Background(), n); err != nil {
					t.Error(err)
					return
				}
				if h := held.Add(n); h > 100 {
					t.Errorf("%d are held", h)
				}
				held.Add(-n)
				q.Release(n)
				q.Resize(rng.Int64N(100) + 1)
			}
		})
	}
	all.Wait()
}

// TestTryAcquire never waits, and never overtakes who does.
func TestTryAcquire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := quota.New(10)
		if !q.TryAcquire(6) || q.TryAcquire(5) || !q.TryAcquire(4) {
			t.Fatal("it takes what fits, and no more")
		}
		q.Release(4)
		w := waits(t.Context(), q, 9)
		is(t, w, false)
		if q.TryAcquire(1) {
			t.Fatal("it overtook who waits")
		}
		q.Release(6)
		is(t, w, true)
	})
}
