package pipeline

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// chunk is the set of snapshot chunks in flight, as a source would report it.
type chunk struct {
	low  bson.Timestamp
	open bool
}

func (c *chunk) oldest() (bson.Timestamp, bool) { return c.low, c.open }

// snapDoc is a document read by a snapshot at second n.
func snapDoc(id any, n int) flow.Change {
	c := write(id, n)
	c.Version--
	return c
}

// TestS5Filter: only a document that was read before its deletion is skipped.
func TestS5Filter(t *testing.T) {
	f := func(doc flow.Change, want flow.Op, deletes ...flow.Change) {
		t.Helper()
		c := &chunk{at(10), true}
		ts, h := newTombstones(c.oldest), newHasher(newSeeds())
		ts.remember(deletes, h)
		docs := []flow.Change{doc}
		if ts.filter(docs, h); docs[0].Op != want {
			t.Errorf("%s, want %s", docs[0].Op, want)
		}
	}
	f(snapDoc("a", 10), flow.OpSkip, remove("a", 11))
	f(snapDoc("a", 10), flow.OpSkip, remove("a", 12), remove("a", 11))
	f(snapDoc("a", 10), flow.OpWrite, remove("b", 11))
	f(snapDoc("a", 12), flow.OpWrite, remove("a", 11)) // it came back before its chunk was read
	f(snapDoc("a", 10), flow.OpWrite, remove("a", 10)) // the chunk was read after the deletion
	f(snapDoc("a", 10), flow.OpWrite, write("a", 11))
	f(snapDoc(int32(1), 10), flow.OpSkip, write("x", 11), remove(1.0, 11))
	f(remove("a", 10), flow.OpDelete, remove("a", 11))
}

// TestS5LateChunk: a document of a slow chunk, held back by retries until the
// engine forgot the deletion, does not come back.
func TestS5LateChunk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &chunk{at(10), true}
		start := time.Now()
		var deleted time.Time
		sink := sinkFunc(func(_ context.Context, b flow.Batch) ([]flow.Verdict, error) {
			if !b.Snapshot {
				if d := b.Changes[0]; d.Op != flow.OpDelete {
					t.Errorf("%s", d.Op)
				}
				deleted = time.Now()
				return allDone(b), nil
			}
			if time.Since(start) < 10*time.Minute {
				return verdicts(strings.Repeat("r", len(b.Changes))), nil
			}
			for _, d := range b.Changes {
				if d.Op != flow.OpSkip {
					t.Errorf("%s of a document that was deleted %s ago", d.Op, time.Since(deleted))
				}
			}
			return allDone(b), nil
		})
		src := &fakeSource{batches: []flow.Batch{batchOf(remove("a", 20))}, onRead: func(context.Context, int) error {
			<-time.After(time.Minute) // the document is on its way by then
			return nil
		}}
		b := batchOf(snapDoc("a", 10))
		b.Snapshot = true
		snap := &fakeSource{batches: []flow.Batch{b}}
		p := New(Options{Stream: src, Snapshot: snap, Sink: sink, OldestOpen: c.oldest})
		if err := p.Run(t.Context(), nil); err != nil {
			t.Error(err)
		}
		if s := p.Status(); s.Total.Done != 2 {
			t.Errorf("counts %+v, want two done", s.Total)
		}
	})
}

// TestS5RememberedBeforeSent: while the deletion is on its way, it is known.
func TestS5RememberedBeforeSent(t *testing.T) {
	c := &chunk{at(10), true}
	var p *Pump
	sink := sinkFunc(func(_ context.Context, b flow.Batch) ([]flow.Verdict, error) {
		docs := []flow.Change{snapDoc("a", 10)}
		if p.tombs.filter(docs, newHasher(p.seeds)); docs[0].Op != flow.OpSkip {
			t.Error("the deletion was sent before it was remembered")
		}
		return allDone(b), nil
	})
	// A deletion that only the re-read finds counts too.
	gone := write("a", 20)
	gone.Op, gone.Doc, gone.MissingIsDelete = flow.OpReread, nil, true
	stage := stageFunc(func(_ context.Context, b flow.Batch) (flow.Batch, error) {
		b.Changes[0].Op = flow.OpDelete
		return b, nil
	})
	p = New(Options{Stream: &fakeSource{batches: []flow.Batch{batchOf(gone)}}, Sink: sink, Reread: stage, OldestOpen: c.oldest})
	if err := p.Run(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// TestS5Prune: what no chunk can need is forgotten, what one may need is not.
func TestS5Prune(t *testing.T) {
	c := &chunk{at(1), true}
	ts, h := newTombstones(c.oldest), newHasher(newSeeds())
	for n := range 3000 {
		c.low = at(max(1, n-100)) // the oldest chunk moves on
		ts.remember([]flow.Change{remove(int32(n), n)}, h)
	}
	if n := ts.n.Load(); n < 100 || n > 2*minSweep {
		t.Errorf("%d are remembered, want a hundred and what was not swept yet", n)
	}
	docs := []flow.Change{snapDoc(int32(2999), 2950)}
	if ts.filter(docs, h); docs[0].Op != flow.OpSkip {
		t.Error("a deletion was forgotten too early")
	}
	ts.tidy()
	if ts.n.Load() == 0 {
		t.Error("tidy forgot while a chunk is open")
	}
	c.open = false
	ts.tidy()
	if ts.n.Load() != 0 || len(ts.gone) != 0 {
		t.Error("something is remembered without a chunk")
	}
	ts.remember([]flow.Change{remove("a", 5000)}, h)
	if ts.n.Load() != 0 {
		t.Error("a deletion is remembered without a chunk")
	}
	none := newTombstones(nil)
	none.remember([]flow.Change{remove("a", 1)}, h)
	none.tidy()
	if none.n.Load() != 0 {
		t.Error("a deletion is remembered without a snapshot")
	}
}

// TestS5ClockBeforeEpoch: a time that makes no version remembers everything.
func TestS5ClockBeforeEpoch(t *testing.T) {
	c := &chunk{bson.Timestamp{T: 1}, true}
	ts, h := newTombstones(c.oldest), newHasher(newSeeds())
	ts.remember([]flow.Change{remove("a", 1)}, h)
	if ts.n.Load() != 1 {
		t.Error("the deletion is not remembered")
	}
}
