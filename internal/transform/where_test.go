package transform

import (
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

func raw(t *testing.T, v any) bson.Raw {
	t.Helper()
	b, err := bson.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// open compiles one condition on shop.*: n is at least 10.
func open(t *testing.T) *Where {
	t.Helper()
	w, err := Compile([]Condition{{
		Name: "shop.*", Fits: func(ns flow.Namespace) bool { return ns.DB == "shop" },
		Query: raw(t, bson.D{{Key: "n", Value: bson.D{{Key: "$gte", Value: 10}}}}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func doc(t *testing.T, n int) bson.Raw {
	return raw(t, bson.D{{Key: "_id", Value: 1}, {Key: "n", Value: n}})
}

var orders = flow.Namespace{DB: "shop", Coll: "orders"}

func apply(t *testing.T, w *Where, b flow.Batch) flow.Change {
	t.Helper()
	out, err := w.Apply(t.Context(), b)
	if err != nil || len(out.Changes) != 1 {
		t.Fatalf("%v: %d changes", err, len(out.Changes))
	}
	return out.Changes[0]
}

// What does not match becomes a delete with its version, whatever is said of
// deletes; nothing else is touched.
func TestS14WhatDoesNotMatchIsDeleted(t *testing.T) {
	w := open(t)
	archived := &flow.Archived{Rule: "old"}
	f := func(c flow.Change, want flow.Op, left, hasDoc bool) {
		t.Helper()
		c.Version = 7
		got := apply(t, w, flow.Batch{Changes: []flow.Change{c}})
		if got.Op != want || got.Left != left || (got.Doc != nil) != hasDoc || got.Version != 7 {
			t.Errorf("%+v became %+v", c, got)
		}
		if left && got.Archived != nil {
			t.Errorf("%+v is still an archive's", got)
		}
	}
	other := flow.Namespace{DB: "other", Coll: "orders"}
	f(flow.Change{Op: flow.OpWrite, NS: orders, Doc: doc(t, 10)}, flow.OpWrite, false, true)
	f(flow.Change{Op: flow.OpWrite, NS: orders, Doc: doc(t, 9)}, flow.OpDelete, true, false)
	f(flow.Change{Op: flow.OpWrite, NS: other, Doc: doc(t, 9)}, flow.OpWrite, false, true)
	f(flow.Change{Op: flow.OpDelete, NS: orders}, flow.OpDelete, false, false)
	f(flow.Change{Op: flow.OpSkip, NS: orders, Doc: doc(t, 9)}, flow.OpSkip, false, true)
	// The last document that a merged change wrote is not kept, nor marked.
	f(flow.Change{Op: flow.OpDelete, NS: orders, Doc: doc(t, 9), Archived: archived}, flow.OpDelete, true, false)
	f(flow.Change{Op: flow.OpDelete, NS: orders, Doc: doc(t, 11), Archived: archived}, flow.OpDelete, false, true)
}

// A copy deletes what it leaves out, but for the copy that fills an empty index.
func TestS14CopyDeletesWhatItLeavesOut(t *testing.T) {
	snapshot := func() flow.Batch {
		return flow.Batch{Snapshot: true, Changes: []flow.Change{{Op: flow.OpWrite, NS: orders, Doc: doc(t, 1), Version: 3}}}
	}
	begin, done := flow.Control{Kind: flow.ControlSnapshotBegin, NS: orders}, flow.Control{Kind: flow.ControlSnapshotDone, NS: orders}
	f := func(w *Where, b flow.Batch, want flow.Op) {
		t.Helper()
		if got := apply(t, w, b); got.Op != want {
			t.Errorf("%v, want %v", got.Op, want)
		}
	}
	w := open(t)
	f(w, snapshot(), flow.OpDelete)
	w.Hear(begin)
	f(w, snapshot(), flow.OpDelete)

	w = open(t)
	w.Empty(orders)
	f(w, snapshot(), flow.OpDelete) // not that copy
	w.Hear(begin)
	f(w, snapshot(), flow.OpSkip)
	stream := snapshot()
	stream.Snapshot = false
	f(w, stream, flow.OpDelete)
	repair := snapshot()
	repair.Repair = true
	f(w, repair, flow.OpDelete)
	w.Hear(done)
	f(w, snapshot(), flow.OpDelete)

	for _, kind := range []flow.ControlKind{flow.ControlDropped, flow.ControlReplaced, flow.ControlSnapshotBegin} {
		w = open(t)
		w.Empty(orders)
		w.Hear(begin)
		w.Hear(flow.Control{Kind: kind, NS: orders})
		f(w, snapshot(), flow.OpDelete)
	}
}

func TestFirstConditionThatFitsCounts(t *testing.T) {
	always := func(flow.Namespace) bool { return true }
	w, err := Compile([]Condition{
		{Name: "a", Fits: func(ns flow.Namespace) bool { return ns.Coll == "orders" }, Query: raw(t, bson.D{{Key: "n", Value: 1}})},
		{Name: "b", Fits: always, Query: raw(t, bson.D{{Key: "n", Value: 2}})},
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time from what is known
		for coll, n := range map[string]int{"orders": 1, "lines": 2} {
			for value := 1; value <= 2; value++ {
				c := apply(t, w, flow.Batch{Changes: []flow.Change{{Op: flow.OpWrite, NS: flow.Namespace{DB: "shop", Coll: coll}, Doc: doc(t, value)}}})
				if (c.Op == flow.OpWrite) != (value == n) {
					t.Errorf("%s %d: %v", coll, value, c.Op)
				}
			}
		}
	}
}

func TestCompileNamesTheCondition(t *testing.T) {
	_, err := Compile([]Condition{{Name: "shop.orders", Query: raw(t, bson.D{{Key: "$where", Value: "x"}})}})
	if err == nil || !strings.Contains(err.Error(), "where[shop.orders]: $where is not supported here") {
		t.Error(err)
	}
}

func TestWhereAllocatesNothing(t *testing.T) {
	w := open(t)
	b := flow.Batch{Changes: []flow.Change{{Op: flow.OpWrite, NS: orders, Doc: doc(t, 12)}}}
	if n := testing.AllocsPerRun(100, func() { _, _ = w.Apply(t.Context(), b) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
