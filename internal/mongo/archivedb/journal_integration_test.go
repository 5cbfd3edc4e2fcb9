//go:build integration

package archivedb

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/lease"
	"sluice/internal/lease/leasetest"
)

// isLost tells whether err is the one of a fence that was overtaken.
func isLost(err error) bool {
	return errors.Is(err, lease.ErrLost) && flow.ClassOf(err) == flow.Conflict
}

func TestA2RunsAreFenced(t *testing.T) {
	db := openDB(t)
	ctx := context.Background()
	put := func(r cold.Run) {
		t.Helper()
		if err := db.PutRun(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	r := cold.Run{
		ID: "2", Rule: "old", NS: "shop.orders", State: cold.RunOpen, Fence: 3, Field: "at", Kind: cold.AgeDate,
		Before: day(5), Delete: true, Started: day(6), Docs: 7,
	}
	put(r)
	put(r)
	r.Fence, r.State = 4, cold.RunClosed
	put(r)
	stale := r
	stale.Fence, stale.State = 3, cold.RunFailed
	if err := db.PutRun(ctx, stale); !isLost(err) {
		t.Errorf("an old owner writes: %v", err)
	}
	put(cold.Run{ID: "1", Rule: "old", NS: "shop.orders", State: cold.RunOpen})
	put(cold.Run{ID: "3", Rule: "new", NS: "shop.orders", State: cold.RunOpen})
	f := func(q RunQuery, want ...string) {
		t.Helper()
		runs, err := db.Runs(ctx, q)
		var ids []string
		for _, r := range runs {
			ids = append(ids, r.ID)
		}
		if err != nil || !slices.Equal(ids, want) {
			t.Errorf("%+v: %v %v, want %v", q, ids, err, want)
		}
	}
	f(RunQuery{}, "3", "2", "1")
	f(RunQuery{Limit: 2}, "3", "2")
	f(RunQuery{Rule: "old"}, "2", "1")
	f(RunQuery{NS: "shop.other"})
	f(RunQuery{IDs: []string{"1", "9"}}, "1")
	f(RunQuery{States: []cold.RunState{cold.RunClosed, cold.RunFailed}}, "2")
	runs, err := db.Runs(ctx, RunQuery{IDs: []string{"2"}})
	if err != nil || !reflect.DeepEqual(runs[0], r) {
		t.Errorf("got %+v %v, want %+v", runs, err, r)
	}
}

func TestA2PacksMoveFromStateToState(t *testing.T) {
	db := openDB(t)
	ctx := context.Background()
	p := cold.Pack{ID: "p1", Run: "r", Rule: "old", NS: "shop.orders", State: cold.PackPlanned, Fence: 2, DeleteAfter: day(9), Created: day(1)}
	f := func(p cold.Pack, from cold.PackState, want error) {
		t.Helper()
		err := db.PutPack(ctx, p, from)
		if !errors.Is(err, want) || want != nil && flow.ClassOf(err) != flow.Conflict {
			t.Errorf("from %q to %q under %d: %v, want %v", from, p.State, p.Fence, err, want)
		}
	}
	as := func(s cold.PackState, fence int64) cold.Pack {
		q := p
		q.State, q.Fence, q.Updated = s, fence, time.Now()
		return q
	}
	f(as(cold.PackSpooled, 2), cold.PackPlanned, lease.ErrConflict) // not there yet
	f(p, "", nil)
	f(p, "", nil)                                     // once more
	f(as(cold.PackSpooled, 2), "", lease.ErrConflict) // it is there
	f(as(cold.PackSpooled, 1), "", lease.ErrLost)     // under a higher number
	f(as(cold.PackSpooled, 1), cold.PackPlanned, lease.ErrLost)
	f(as(cold.PackSpooled, 2), cold.PackPlanned, nil)
	f(as(cold.PackSpooled, 2), cold.PackPlanned, nil) // its first answer was lost
	f(as(cold.PackPacked, 2), cold.PackPlanned, lease.ErrConflict)
	f(as(cold.PackDeleting, 5), cold.PackSpooled, nil)
	f(as(cold.PackPacked, 2), cold.PackSpooled, lease.ErrLost)
	// A delete transaction moves Next; a row that has not seen it leaves it.
	_, err := db.coll(packsColl).UpdateOne(ctx, bson.D{{Key: "_id", Value: "p1"}}, bson.D{{Key: "$inc", Value: bson.D{{Key: "next", Value: 9}, {Key: "deleted", Value: 9}}}})
	if err != nil {
		t.Fatal(err)
	}
	p.DeleteAfter = time.Time{}
	f(as(cold.PackDeleted, 5), cold.PackDeleting, nil)
	packs, err := db.Packs(ctx, PackQuery{Run: "r", States: []cold.PackState{cold.PackDeleted}})
	if err != nil || len(packs) != 1 || packs[0].Next != 9 || packs[0].Deleted != 9 || !packs[0].DeleteAfter.IsZero() || !packs[0].Created.Equal(day(1)) {
		t.Errorf("got %+v %v", packs, err)
	}
	f(cold.Pack{ID: "p0", Run: "r"}, "", nil)
	packs, err = db.Packs(ctx, PackQuery{})
	if err != nil || len(packs) != 2 || packs[0].ID != "p0" {
		t.Errorf("got %+v %v", packs, err)
	}
	for _, q := range []PackQuery{{Run: "x"}, {Rule: "x"}, {NS: "x.y"}, {IDs: []string{"x"}}, {States: []cold.PackState{cold.PackClosed}}} {
		if packs, err := db.Packs(ctx, q); err != nil || len(packs) != 0 {
			t.Errorf("%+v: %v %v", q, packs, err)
		}
	}
}

// Of many owners that move a pack at once, one does.
func TestA2OneOfManyMovesAPack(t *testing.T) {
	db := openDB(t)
	ctx := context.Background()
	p := cold.Pack{ID: "p", State: cold.PackPlanned}
	if err := db.PutPack(ctx, p, ""); err != nil {
		t.Fatal(err)
	}
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			q := p
			q.State, q.SHA256 = cold.PackSpooled, fmt.Sprint(i)
			switch err := db.PutPack(ctx, q, cold.PackPlanned); {
			case err == nil:
				won.Add(1)
			case flow.ClassOf(err) != flow.Conflict:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d owners moved it", won.Load())
	}
}

// Whatever the order of writes, the row of the highest fence is what stays.
func TestA2TheHighestFenceStays(t *testing.T) {
	db := openDB(t)
	ctx := context.Background()
	for round := range 5 {
		id := fmt.Sprint("r", round)
		var wg sync.WaitGroup
		for fence := range int64(12) {
			wg.Go(func() {
				if err := db.PutRun(ctx, cold.Run{ID: id, Fence: fence, Docs: fence}); err != nil && !isLost(err) {
					t.Error(err)
				}
				if err := db.SetMark(ctx, "rule", id, day(int(fence)+1), fence); err != nil && !isLost(err) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		runs, err := db.Runs(ctx, RunQuery{IDs: []string{id}})
		if err != nil || len(runs) != 1 || runs[0].Fence != 11 || runs[0].Docs != 11 {
			t.Errorf("got %+v %v", runs, err)
		}
		if at, err := db.Mark(ctx, "rule", id); err != nil || !at.Equal(day(12)) {
			t.Errorf("mark %v %v", at, err)
		}
	}
}

func TestA2MarksAreFenced(t *testing.T) {
	db := openDB(t)
	ctx := context.Background()
	mark := func(want time.Time) {
		t.Helper()
		if got, err := db.Mark(ctx, "old", "shop.orders"); err != nil || !got.Equal(want) {
			t.Errorf("got %v %v, want %v", got, err, want)
		}
	}
	mark(time.Time{})
	if err := db.SetMark(ctx, "old", "shop.orders", day(3), 5); err != nil {
		t.Fatal(err)
	}
	mark(day(3))
	if err := db.SetMark(ctx, "old", "shop.orders", day(9), 4); !isLost(err) {
		t.Errorf("an old owner moves it: %v", err)
	}
	mark(day(3))
	if err := db.SetMark(ctx, "old", "shop.orders", day(4), 6); err != nil {
		t.Fatal(err)
	}
	mark(day(4))
	if err := db.SetMark(ctx, "old", "shop.other", day(8), 1); err != nil {
		t.Fatal(err)
	}
	mark(day(4))
}

func value(t testing.TB, v any) bson.RawValue {
	t.Helper()
	typ, data, err := bson.MarshalValue(v)
	if err != nil {
		t.Fatal(err)
	}
	return bson.RawValue{Type: typ, Value: data}
}

func TestA3ExceptionsComeBack(t *testing.T) {
	db := openDB(t)
	ctx := context.Background()
	p := cold.Pack{ID: "p", Rule: "old", NS: "shop.orders"}
	all := []cold.Exception{
		{Pack: "p", Entry: 11, Outcome: cold.Changed, ID: value(t, "x")},
		{Pack: "p", Entry: 2, Outcome: cold.Gone, ID: value(t, 7)},
		{Pack: "p", Entry: 100, Outcome: cold.Changed, ID: value(t, bson.D{{Key: "a", Value: 1}})},
	}
	for range 2 {
		if err := db.PutExceptions(ctx, p, all); err != nil {
			t.Fatal(err)
		}
	}
	other := cold.Pack{ID: "q", Rule: "new", NS: "shop.orders"}
	if err := db.PutExceptions(ctx, other, []cold.Exception{{Pack: "q", Entry: 1, Outcome: cold.Changed, ID: value(t, 1)}}); err != nil {
		t.Fatal(err)
	}
	f := func(got []cold.Exception, err error, want ...int) {
		t.Helper()
		var entries []int
		for _, e := range got {
			entries = append(entries, e.Entry)
		}
		if err != nil || !slices.Equal(entries, want) {
			t.Errorf("got %v %v, want %v", entries, err, want)
		}
	}
	got, err := db.Exceptions(ctx, "p")
	f(got, err, 2, 11, 100)
	if !got[1].ID.Equal(value(t, "x")) || got[1].Outcome != cold.Changed || got[1].Pack != "p" {
		t.Errorf("got %+v", got[1])
	}
	got, err = db.RuleExceptions(ctx, "old", "shop.orders", cold.Changed, 0)
	f(got, err, 11, 100)
	got, err = db.RuleExceptions(ctx, "old", "shop.orders", cold.Changed, 1)
	f(got, err, 11)
	got, err = db.RuleExceptions(ctx, "old", "shop.other", cold.Changed, 0)
	f(got, err)
	if err := db.DropExceptions(ctx, append(all[:1:1], cold.Exception{Pack: "none", Entry: 5})); err != nil {
		t.Fatal(err)
	}
	got, err = db.Exceptions(ctx, "p")
	f(got, err, 2, 100)
}

func TestA5LedgerOfSessionsAndKeys(t *testing.T) {
	db := openDB(t)
	ctx := context.Background()
	session := func(n byte) bson.Binary { return bson.Binary{Subtype: 4, Data: slices.Repeat([]byte{n}, 16)} }
	put := func(r cold.LedgerRow) {
		t.Helper()
		for range 2 {
			if err := db.putLedger(ctx, r); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(cold.LedgerRow{ID: session(1), NS: "a.b", Rule: "r", Pack: "p", Object: "s3://x/y", At: day(5)})
	put(cold.LedgerRow{ID: session(2), NS: "a.b", At: day(1), From: bson.Timestamp{T: 100}, Keys: []bson.RawValue{value(t, 1), value(t, "k")}})
	rows, err := db.Ledger(ctx, []bson.Binary{session(1), session(9)})
	if err != nil || len(rows) != 1 || rows[0].Pack != "p" || rows[0].Object != "s3://x/y" || !rows[0].At.Equal(day(5)) {
		t.Errorf("got %+v %v", rows, err)
	}
	f := func(ns string, id any, at uint32, want int) {
		t.Helper()
		rows, err := db.LedgerKeys(ctx, ns, []bson.RawValue{value(t, id)}, bson.Timestamp{T: at})
		if err != nil || len(rows) != want {
			t.Errorf("%s %v at %d: %v %v", ns, id, at, rows, err)
		}
	}
	f("a.b", 1, 99, 0)
	f("a.b", 1, 100, 1)
	f("a.b", "k", 1_000_000, 1)
	f("a.b", 2, 100, 0)
	f("a.c", 1, 100, 0)
	if err := db.closeLedger(ctx, session(2), bson.Timestamp{T: 200}); err != nil {
		t.Fatal(err)
	}
	f("a.b", 1, 200, 1)
	f("a.b", 1, 201, 0)
	if n, err := db.LedgerGC(ctx, day(5)); err != nil || n != 1 {
		t.Errorf("removed %d, %v", n, err)
	}
	if rows, err := db.Ledger(ctx, []bson.Binary{session(1), session(2)}); err != nil || len(rows) != 1 {
		t.Errorf("got %+v %v", rows, err)
	}
	if rows, err := db.Ledger(ctx, nil); err != nil || rows != nil {
		t.Error(rows, err)
	}
}

func TestEnsureIndexesTwice(t *testing.T) {
	db := openDB(t)
	for range 2 {
		if err := db.EnsureIndexes(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestA2LeaseStore(t *testing.T) {
	databases := map[string]string{}
	leasetest.TestStore(t, func(t testing.TB) lease.Store {
		// Opened again in one test, it is the same store.
		db := openDB(t)
		if first, ok := databases[t.Name()]; ok {
			db.own = db.client.Database(first)
		} else {
			databases[t.Name()] = db.own.Name()
		}
		return db.Leases()
	})
}

// A delete transaction increments the beat: who renewed by the row as it was
// before must look again.
func TestA2LeaseSeesTheBeatOfADelete(t *testing.T) {
	db := openDB(t)
	ctx := context.Background()
	s := db.Leases()
	row := lease.Row{Name: "l", Owner: "me", Fence: 1, Beat: 1, TTL: time.Second}
	if err := s.Save(ctx, lease.Row{Name: "l"}, row); err != nil {
		t.Fatal(err)
	}
	_, err := db.coll(leasesColl).UpdateOne(ctx, bson.D{{Key: "_id", Value: "l"}, {Key: "owner", Value: "me"}, {Key: "fence", Value: int64(1)}},
		bson.D{{Key: "$inc", Value: bson.D{{Key: "beat", Value: int64(1)}}}})
	if err != nil {
		t.Fatal(err)
	}
	next := row
	next.Beat = 2
	if err := s.Save(ctx, row, next); !errors.Is(err, lease.ErrConflict) {
		t.Errorf("got %v", err)
	}
	if got, err := s.Load(ctx, "l"); err != nil || got.Beat != 2 || got.TTL != time.Second {
		t.Errorf("got %+v %v", got, err)
	}
}
