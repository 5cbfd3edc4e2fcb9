package pipeline

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// leave takes all documents named in ids for such that do not belong into the index.
func leave(ids string) flow.Stage {
	return stageFunc(func(_ context.Context, b flow.Batch) (flow.Batch, error) {
		for i := range b.Changes {
			c := &b.Changes[i]
			if c.Op == flow.OpWrite && strings.Contains(ids, c.ID.StringValue()) {
				c.Op, c.Doc, c.Left = flow.OpDelete, nil, true
			}
		}
		return b, nil
	})
}

// TestS14ShapeLooksAtEveryDocument: those of the copy, those of the stream, and
// those that were read again.
func TestS14ShapeLooksAtEveryDocument(t *testing.T) {
	reread := stageFunc(func(_ context.Context, b flow.Batch) (flow.Batch, error) {
		for i := range b.Changes {
			if c := &b.Changes[i]; c.Op == flow.OpReread {
				*c = write(c.ID.StringValue(), 6)
			}
		}
		return b, nil
	})
	again := write("b", 6)
	again.Op, again.Doc = flow.OpReread, nil
	rec := &recorder{}
	p := New(Options{
		Stream: &fakeSource{batches: []flow.Batch{batchOf(write("a", 5), again, write("c", 7))}},
		Sink:   rec, Reread: reread, Shape: leave("ab"), Lanes: 1,
	})
	if err := p.Run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if got, want := rec.text(), "delete a@5 delete b@6 write c@7"; got != want {
		t.Errorf("the stream sent %q, want %q", got, want)
	}
	rec = &recorder{}
	p = New(Options{Snapshot: &fakeSource{batches: []flow.Batch{batchOf(write("a", 5), write("c", 5))}}, OldestOpen: func() (bson.Timestamp, bool) { return at(1), true }, Sink: rec, Shape: leave("a")})
	if err := p.Run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if got, want := rec.text(), "delete a@5 write c@5"; got != want {
		t.Errorf("the copy sent %q, want %q", got, want)
	}
	rec = &recorder{}
	repair := Repair{Sink: rec, Shape: leave("a")}
	if err := repair.Write(t.Context(), batchOf(write("a", 5), write("c", 5))); err != nil {
		t.Fatal(err)
	}
	if got, want := rec.text(), "delete a@5 write c@5"; got != want {
		t.Errorf("the repair sent %q, want %q", got, want)
	}
}

// TestS14LeftIsNotForgotten: a delete that is merged into a later one still
// removes the document.
func TestS14LeftIsNotForgotten(t *testing.T) {
	left := remove("a", 5)
	left.Left = true
	again := write("a", 6)
	again.Op, again.Doc = flow.OpReread, nil
	users, doc := remove("a", 7), write("a", 8)
	f := func(old, c flow.Change, want bool) flow.Change {
		t.Helper()
		m := combined(&old, &c)
		if m.Left != want {
			t.Errorf("%v and then %v: left %v, want %v", old.Op, c.Op, m.Left, want)
		}
		return m
	}
	f(left, doc, false)
	f(left, users, true)
	f(users, left, true)
	f(f(left, again, true), users, true)
	f(remove("a", 6), users, false)
}

// TestS7FaultsOfAStage: what a stage finds at fault is a dead letter, and the rest of
// its batch is written; a stage that can't work now is asked again.
func TestS7FaultsOfAStage(t *testing.T) {
	asked := 0
	shape := stageFunc(func(_ context.Context, b flow.Batch) (flow.Batch, error) {
		if asked++; asked == 1 {
			return b, &flow.Error{Op: "ask", Class: flow.Transient, Err: errors.New("nobody there")}
		}
		for i := range b.Changes {
			if c := &b.Changes[i]; strings.Contains("bc", c.ID.StringValue()) {
				c.Fault = &flow.Verdict{Outcome: flow.DeadLetter, Reason: "script", Err: errors.New("no")}
			}
		}
		return b, nil
	})
	rec, letters := &recorder{}, &letterBox{}
	p := New(Options{
		Stream: &fakeSource{batches: []flow.Batch{batchOf(write("a", 5), write("b", 5), write("c", 5), write("d", 5))}},
		Sink:   rec, Shape: shape, DeadLetters: letters, Lanes: 1,
	})
	if err := p.Run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if got, want := rec.text(), "write a@5 write d@5"; got != want || asked != 2 {
		t.Errorf("%q, want %q; asked %d times", got, want, asked)
	}
	if len(letters.letters) != 2 {
		t.Errorf("%v", letters.letters)
	}
}
