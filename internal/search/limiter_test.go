package search

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestLimiterBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(3, 1<<20, nil)
		var mu sync.Mutex
		in, most, total := 0, 0, 0
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, err := l.acquire(t.Context()); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				in++
				most = max(most, in)
				mu.Unlock()
				time.Sleep(time.Second)
				mu.Lock()
				in--
				total++
				mu.Unlock()
				l.release()
			})
		}
		all.Wait()
		if most != 3 || total != 20 || l.in != 0 || len(l.waiting) != 0 {
			t.Errorf("most %d, total %d, in %d, waiting %d", most, total, l.in, len(l.waiting))
		}
	})
}

func TestLimiterCancelledWaiterTakesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(1, 1<<20, nil)
		if _, err := l.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error)
		go func() { _, err := l.acquire(ctx); done <- err }()
		synctest.Wait()
		cancel(cause)
		if err := <-done; !errors.Is(err, cause) {
			t.Fatal(err)
		}
		// The turn and the end may come at the same moment.
		ctx, cancel = context.WithCancelCause(t.Context())
		go func() { _, err := l.acquire(ctx); done <- err }()
		synctest.Wait()
		cancel(cause)
		l.release()
		if err := <-done; err == nil {
			l.release()
		}
		if _, err := l.acquire(t.Context()); err != nil || l.in != 1 {
			t.Fatal(err, l.in)
		}
	})
}

// Rejections make bulks fewer and smaller, once for all that were on their way
// together; successes bring both back.
func TestS7RejectionsSlowDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(8, 1<<20, nil)
		expect := func(allowed float64, body int) {
			t.Helper()
			if l.allowed != allowed || l.body != body {
				t.Errorf("allowed %v, body %d; want %v, %d", l.allowed, l.body, allowed, body)
			}
		}
		first := time.Now()
		time.Sleep(time.Second)
		l.rejected(first)
		l.rejected(first) // was on its way then
		expect(4, 1<<19)
		for range 20 {
			time.Sleep(time.Second)
			l.rejected(time.Now())
		}
		expect(1, minBody)
		for range 100 {
			l.accepted()
		}
		expect(8, 1<<20)
		time.Sleep(time.Second)
		l.failed(time.Now())
		expect(8, 1<<19)
		if got := l.tooLarge(600_000); got != 300_000 {
			t.Error(got)
		}
		for range 100 {
			l.accepted()
		}
		expect(8, 300_000)
	})
}
