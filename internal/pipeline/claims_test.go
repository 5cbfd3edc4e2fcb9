package pipeline

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// TestS2OneBatchHasAKey: where documents move, a snapshot document and a change of
// its key are never on their way at one time; without places they may be.
func TestS2OneBatchHasAKey(t *testing.T) {
	f := func(places, unversioned bool, want int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			busy, most := 0, 0
			lock := make(chan struct{}, 1)
			sink := sinkFunc(func(_ context.Context, b flow.Batch) ([]flow.Verdict, error) {
				lock <- struct{}{}
				busy++
				most = max(most, busy)
				<-lock
				<-time.After(time.Second)
				lock <- struct{}{}
				busy--
				<-lock
				return allDone(b), nil
			})
			page := batchOf(snapDoc("a", 10))
			page.Snapshot, page.Low = true, at(10)
			c := &chunk{at(10), true}
			p := New(Options{
				Stream:   &fakeSource{batches: []flow.Batch{batchOf(write("a", 11)), batchOf(write("b", 12))}},
				Snapshot: &fakeSource{batches: []flow.Batch{page}},
				Sink:     sink, OldestOpen: c.oldest, Lanes: 1, Places: places, Unversioned: unversioned,
			})
			if err := p.Run(t.Context(), nil); err != nil {
				t.Error(err)
			}
			if most != want {
				t.Errorf("%d batches at one time, want %d", most, want)
			}
		})
	}
	f(true, false, 1)
	f(false, true, 1)
	f(false, false, 2)
}

// TestS2OvertakenWithoutVersions: where the engine can refuse nothing, every change is
// remembered, and what a copy or a repair brings of one that it has overtaken is left.
func TestS2OvertakenWithoutVersions(t *testing.T) {
	f := func(doc flow.Change, want flow.Op, changes ...flow.Change) {
		t.Helper()
		c := &chunk{at(10), true}
		ts, h := newTombstones(c.oldest), newHasher(newSeeds())
		ts.unversioned = true
		ts.remember(changes, h)
		docs := []flow.Change{doc}
		if ts.filter(docs, h); docs[0].Op != want {
			t.Errorf("%+v, want %s", docs[0], want)
		}
	}
	f(snapDoc("a", 10), flow.OpSkip, write("a", 11))
	f(snapDoc("a", 10), flow.OpSkip, remove("a", 11))
	f(remove("a", 10), flow.OpSkip, write("a", 11)) // a repair found it missing
	f(snapDoc("a", 10), flow.OpWrite, write("b", 11))
	f(snapDoc("a", 12), flow.OpWrite, write("a", 11))
	f(remove("a", 12), flow.OpDelete, write("a", 11))
}

// TestS14OvertakenDocument: with places every change is remembered, and a
// document that it has overtaken comes as a delete of what is older.
func TestS14OvertakenDocument(t *testing.T) {
	f := func(doc flow.Change, want flow.Op, changes ...flow.Change) {
		t.Helper()
		c := &chunk{at(10), true}
		ts, h := newTombstones(c.oldest), newHasher(newSeeds())
		ts.places = true
		ts.remember(changes, h)
		docs := []flow.Change{doc}
		ts.filter(docs, h)
		got := &docs[0]
		if got.Op != want || got.Left != (want == flow.OpDelete) || (got.Doc == nil) != (want == flow.OpDelete) || got.Version != doc.Version {
			t.Errorf("%+v, want %s", got, want)
		}
	}
	f(snapDoc("a", 10), flow.OpDelete, write("a", 11))
	f(snapDoc("a", 10), flow.OpDelete, remove("a", 11))
	f(snapDoc("a", 10), flow.OpWrite, write("b", 11))
	f(snapDoc("a", 12), flow.OpWrite, write("a", 11))
}

// TestS14MergedChangesKnowAllThatWas: what is known of several changes is what is
// known of each; if one does not know, nobody does.
func TestS14MergedChangesKnowAllThatWas(t *testing.T) {
	doc := func(n int) bson.Raw { return bson.Raw{byte(n)} }
	know := func(docs ...bson.Raw) *flow.Before { return &flow.Before{Docs: docs} }
	f := func(want *flow.Before, all ...*flow.Before) {
		t.Helper()
		c := write("a", 1)
		c.Before = all[0]
		for i, b := range all[1:] {
			next := write("a", 2+i)
			if i%2 == 0 {
				next = remove("a", 2+i)
			}
			next.Before = b
			c = combined(&c, &next)
		}
		if (c.Before == nil) != (want == nil) || want != nil && len(c.Before.Docs) != len(want.Docs) {
			t.Errorf("%+v, want %+v", c.Before, want)
		}
	}
	f(know(), know(), know())
	f(know(doc(1), doc(2), doc(3)), know(doc(1)), know(doc(2)), know(), know(doc(3)))
	f(nil, know(doc(1)), nil)
	f(nil, nil, know())
	f(nil, nil, nil)
	// Of a source that went back in time the older one is not sent, but known.
	rec := &recorder{}
	newer, older := write("a", 5), write("a", 3)
	newer.Before, older.Before = know(doc(1)), know(doc(2))
	p := New(Options{Stream: &fakeSource{batches: []flow.Batch{batchOf(newer, older)}}, Sink: rec, Lanes: 1})
	if err := p.Run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if b := rec.sends[0][0].Before; b == nil || len(b.Docs) != 2 {
		t.Errorf("%+v", b)
	}
}
