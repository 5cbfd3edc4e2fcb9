package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"

	"sluice/internal/flow"
)

// attachOne attaches to one change at a time, and keeps count of what is held.
type attachOne struct {
	held, most, calls int
	// fail is how many calls fail first.
	fail int
	// flawed names the key that has a flaw.
	flawed string
}

func (a *attachOne) Attach(_ context.Context, changes []flow.Change) (int, func(), error) {
	if a.calls++; a.calls <= a.fail {
		return 0, nil, &flow.Error{Op: "attach", Class: flow.Transient, Err: errors.New("not now")}
	}
	c := &changes[0]
	if c.Op != flow.OpWrite {
		return 1, func() {}, nil
	}
	a.held++
	a.most = max(a.most, a.held)
	c.Attach = &flow.Attachment{Field: "file", Text: []byte(c.ID.StringValue())}
	if c.ID.StringValue() == a.flawed {
		c.Attach.Flaw = &flow.Verdict{Outcome: flow.DeadLetter, Reason: "file_incomplete", Err: errors.New("chunk 1 is missing")}
	}
	return 1, func() { a.held--; c.Attach.Text = nil }, nil
}

// TestS9AttachedPartByPart: what is attached is there while its part is sent, also
// again, and is let go before the next one.
func TestS9AttachedPartByPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &attachOne{fail: 2}
		var sent string
		guarded := 0
		d := &delivery{
			attach: a, tally: newTally(newLedger(nil)), retry: retrier{log: newErrlog(slog.New(slog.DiscardHandler)), watch: newWatch()},
			guard: func(changes []flow.Change) { guarded += len(changes) },
			sink: sinkFunc(func(_ context.Context, b flow.Batch) ([]flow.Verdict, error) {
				vs := allDone(b)
				for _, c := range b.Changes {
					sent += c.Op.String()
					if c.Attach != nil {
						sent += "(" + string(c.Attach.Text) + ")"
					}
				}
				if sent += " "; sent == "write(a) " {
					vs[0] = flow.Verdict{Outcome: flow.Retry, Reason: "rejected"}
				}
				return vs, nil
			}),
		}
		if err := d.run(t.Context(), batchOf(write("a", 1), write("b", 2), remove("c", 3), write("d", 4))); err != nil {
			t.Fatal(err)
		}
		if want := "write(a) write(a) write(b) delete write(d) "; sent != want {
			t.Errorf("sent %q, want %q", sent, want)
		}
		if a.held != 0 || a.most != 1 || guarded != 5 {
			t.Errorf("%d held at the end, %d at most; %d looked at just before they went out", a.held, a.most, guarded)
		}
	})
}

// TestS7FlawHasALetter: a document that is written without its file is done, and
// has a dead letter, which stays until the file is whole.
func TestS7FlawHasALetter(t *testing.T) {
	box := &letterBox{}
	put := func(flawed string, n int, outcome flow.Outcome) int64 {
		t.Helper()
		p := New(Options{
			Stream: &fakeSource{batches: []flow.Batch{batchOf(write("a", n), write("b", n))}},
			Sink: sinkFunc(func(_ context.Context, b flow.Batch) ([]flow.Verdict, error) {
				vs := allDone(b)
				for i := range vs {
					vs[i].Outcome = outcome
				}
				return vs, nil
			}),
			Attach: &attachOne{flawed: flawed}, DeadLetters: box, Lanes: 1,
		})
		if err := p.Run(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		st := p.Status()
		if st.Read != 2 || st.Total.Sum() != 2 || box.version("shop.orders/b") != 0 {
			t.Errorf("%+v, letter of b %d", st, box.version("shop.orders/b"))
		}
		return box.version("shop.orders/a")
	}
	if v := put("a", 5, flow.Done); v != versionAt(5) {
		t.Errorf("the letter has version %d", v)
	}
	if v := put("a", 6, flow.Done); v != versionAt(6) {
		t.Errorf("after another try the letter has version %d", v)
	}
	if v := put("", 7, flow.Done); v != 0 {
		t.Errorf("the file is whole, and the letter is open: %d", v)
	}
	if v := put("a", 4, flow.Superseded); v != 0 {
		t.Errorf("a newer one is in the index, and there is a letter: %d", v)
	}
	box.fail = func() error { return &flow.Error{Op: "put", Class: flow.Fatal, Err: errors.New("disk")} }
	p := New(Options{
		Stream: &fakeSource{batches: []flow.Batch{batchOf(write("a", 8))}}, Sink: &recorder{},
		Attach: &attachOne{flawed: "a"}, DeadLetters: box, Lanes: 1,
	})
	if err := p.Run(t.Context(), nil); flow.ClassOf(err) != flow.Fatal {
		t.Errorf("the letter is not durable, and the change is settled: %v", err)
	}
}
