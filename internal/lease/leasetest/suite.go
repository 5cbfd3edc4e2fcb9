package leasetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"sluice/internal/flow"
	"sluice/internal/lease"
)

// TestStore runs the suite. open returns the store of the place that belongs to
// t.Name(): an empty one at first, the same one when it is called again with the
// same t.
func TestStore(t *testing.T, open func(t testing.TB) lease.Store) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(t *testing.T, open func(t testing.TB) lease.Store)
	}{
		{"Absent", testAbsent},
		{"SaveAndLoad", testSaveAndLoad},
		{"Conflict", testConflict},
		{"ConflictAtFirst", testConflictAtFirst},
		{"Names", testNames},
		{"Reopen", testReopen},
		{"OneWins", testOneWins},
		{"Lease", testLease},
		{"Context", testContext},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open) })
	}
}

// nobody is the row that Load returns of a lease that was never taken.
func nobody(name string) lease.Row { return lease.Row{Name: name} }

func testAbsent(t *testing.T, open func(testing.TB) lease.Store) {
	want(t, open(t), nobody("archive/orders/shop.orders"))
}

func testSaveAndLoad(t *testing.T, open func(testing.TB) lease.Store) {
	s := open(t)
	old := lease.Row{}
	for _, next := range []lease.Row{
		{Name: "a", Owner: "one", Fence: 1, Beat: 1, TTL: time.Second},
		{Name: "a", Owner: "one", Fence: 1, Beat: 2, TTL: time.Second},
		{Name: "a", Owner: "", Fence: 1, Beat: 3, TTL: time.Second},
		{Name: "a", Owner: "two", Fence: 2, Beat: 4, TTL: 90 * time.Minute},
		{Name: "a", Owner: "ö/\"two\"", Fence: 1 << 40, Beat: 1 << 41, TTL: time.Millisecond},
	} {
		if err := s.Save(t.Context(), old, next); err != nil {
			t.Fatalf("save %+v over %+v: %v", next, old, err)
		}
		want(t, s, next)
		old = next
	}
}

func testConflict(t *testing.T, open func(testing.TB) lease.Store) {
	s := open(t)
	is := lease.Row{Name: "a", Owner: "one", Fence: 3, Beat: 7, TTL: time.Second}
	if err := s.Save(t.Context(), lease.Row{}, is); err != nil {
		t.Fatal(err)
	}
	next := lease.Row{Name: "a", Owner: "two", Fence: 4, Beat: 8, TTL: time.Second}
	for _, old := range []lease.Row{
		{},
		{Name: "a", Owner: "two", Fence: 3, Beat: 7, TTL: time.Second},
		{Name: "a", Owner: "", Fence: 3, Beat: 7, TTL: time.Second},
		{Name: "a", Owner: "one", Fence: 2, Beat: 7, TTL: time.Second},
		{Name: "a", Owner: "one", Fence: 4, Beat: 7, TTL: time.Second},
		{Name: "a", Owner: "one", Fence: 3, Beat: 6, TTL: time.Second},
		{Name: "a", Owner: "one", Fence: 3, Beat: 8, TTL: time.Second},
	} {
		refused(t, s, old, next)
		want(t, s, is)
	}
}

func testConflictAtFirst(t *testing.T, open func(testing.TB) lease.Store) {
	s := open(t)
	refused(t, s,
		lease.Row{Name: "a", Owner: "one", Fence: 1, Beat: 1, TTL: time.Second},
		lease.Row{Name: "a", Owner: "one", Fence: 1, Beat: 2, TTL: time.Second})
	want(t, s, nobody("a"))
}

func testNames(t *testing.T, open func(testing.TB) lease.Store) {
	s := open(t)
	a := lease.Row{Name: "a", Owner: "one", Fence: 1, Beat: 1, TTL: time.Second}
	b := lease.Row{Name: "b", Owner: "two", Fence: 5, Beat: 9, TTL: time.Minute}
	for _, r := range []lease.Row{a, b} {
		if err := s.Save(t.Context(), lease.Row{}, r); err != nil {
			t.Fatal(err)
		}
	}
	want(t, s, a)
	want(t, s, b)
}

func testReopen(t *testing.T, open func(testing.TB) lease.Store) {
	row := lease.Row{Name: "a", Owner: "one", Fence: 1, Beat: 1, TTL: time.Second}
	if err := open(t).Save(t.Context(), lease.Row{}, row); err != nil {
		t.Fatal(err)
	}
	want(t, open(t), row)
}

func testOneWins(t *testing.T, open func(testing.TB) lease.Store) {
	s := open(t)
	var old lease.Row
	for round := range int64(5) {
		var (
			wg   sync.WaitGroup
			mu   sync.Mutex
			wins []lease.Row
		)
		for i := range 8 {
			wg.Go(func() {
				next := lease.Row{Name: "a", Owner: fmt.Sprint(i), Fence: round + 1, Beat: round + 1, TTL: time.Second}
				err := s.Save(t.Context(), old, next)
				if err == nil {
					mu.Lock()
					defer mu.Unlock()
					wins = append(wins, next)
				} else if !errors.Is(err, lease.ErrConflict) {
					t.Errorf("a save that lost gave %v, not ErrConflict", err)
				}
			})
		}
		wg.Wait()
		if len(wins) != 1 {
			t.Fatalf("%d of 8 saves over the same row won", len(wins))
		}
		want(t, s, wins[0])
		old = wins[0]
	}
}

// testLease plays a whole life on the store, in real time.
func testLease(t *testing.T, open func(testing.TB) lease.Store) {
	o := lease.Options{Store: open(t), Name: "a", Owner: "one", TTL: time.Minute}
	first, err := lease.Acquire(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lease.TryAcquire(t.Context(), o); !errors.Is(err, lease.ErrConflict) {
		t.Fatalf("a lease that is held was taken: %v", err)
	}
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	second, err := lease.TryAcquire(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	_, f1 := first.Fence()
	_, f2 := second.Fence()
	if f2 <= f1 {
		t.Fatalf("the fence went from %d to %d", f1, f2)
	}
	if err := second.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func testContext(t *testing.T, open func(testing.TB) lease.Store) {
	s := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Load(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Fatalf("Load with an ended context gave %v", err)
	}
	row := lease.Row{Name: "a", Owner: "one", Fence: 1, Beat: 1, TTL: time.Second}
	if err := s.Save(ctx, lease.Row{}, row); !errors.Is(err, context.Canceled) {
		t.Fatalf("Save with an ended context gave %v", err)
	}
	want(t, s, nobody("a"))
}

func want(t *testing.T, s lease.Store, row lease.Row) {
	t.Helper()
	got, err := s.Load(t.Context(), row.Name)
	if err != nil {
		t.Fatal(err)
	}
	if got != row {
		t.Fatalf("stored is %+v, want %+v", got, row)
	}
}

func refused(t *testing.T, s lease.Store, old, next lease.Row) {
	t.Helper()
	err := s.Save(t.Context(), old, next)
	if !errors.Is(err, lease.ErrConflict) || flow.ClassOf(err) != flow.Conflict {
		t.Fatalf("save over %+v gave %v (%s), want ErrConflict of class conflict", old, err, flow.ClassOf(err))
	}
}
