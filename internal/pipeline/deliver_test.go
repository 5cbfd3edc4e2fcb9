package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/flow"
)

func transient(text string) error {
	return &flow.Error{Op: "bulk", Class: flow.Transient, Err: errors.New(text)}
}

// verdicts makes one verdict per letter: d done, s superseded, r retry, x dead
// letter, h halt.
func verdicts(letters string) []flow.Verdict {
	var out []flow.Verdict
	for _, l := range letters {
		switch l {
		case 'd':
			out = append(out, flow.Verdict{Outcome: flow.Done})
		case 's':
			out = append(out, flow.Verdict{Outcome: flow.Superseded})
		case 'r':
			out = append(out, flow.Verdict{Outcome: flow.Retry, Reason: "rejected"})
		case 'x':
			out = append(out, flow.Verdict{Outcome: flow.DeadLetter, Reason: "mapping", Err: errors.New("no number")})
		case 'h':
			out = append(out, flow.Verdict{Outcome: flow.Halt, Reason: "closed", Err: errors.New("index is closed")})
		}
	}
	return out
}

// script is a sink that answers its n-th write with the n-th line: letters as
// for verdicts, "transient" or "unknown"; then everything is done.
func script(lines ...string) *recorder {
	return &recorder{answer: func(n int, _ flow.Batch) ([]flow.Verdict, error) {
		if n >= len(lines) {
			return nil, nil
		}
		switch lines[n] {
		case "transient":
			return nil, transient("connection refused")
		case "unknown":
			return nil, errors.New("what is this")
		case "auth":
			return nil, &flow.Error{Op: "bulk", Class: flow.Auth, Err: errors.New("401")}
		case "document":
			return nil, &flow.Error{Op: "bulk", Class: flow.Document, Err: errors.New("too large")}
		}
		return verdicts(lines[n]), nil
	}}
}

// TestS7EveryVerdict: what is sent, what is acked and what is returned, for
// each kind of answer.
func TestS7EveryVerdict(t *testing.T) {
	f := func(wantSent, wantErr string, answers ...string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			rec, box := script(answers...), &letterBox{}
			src := &fakeSource{batches: []flow.Batch{batchOf(write("a", 5), write("b", 6)), batchOf(write("a", 7))}}
			// The second batch waits until the first was answered for the first time.
			src.onRead = func(context.Context, int) error { synctestYield(); return nil }
			p := New(Options{Stream: src, Sink: rec, DeadLetters: box, Lanes: 1})
			err := p.Run(t.Context(), nil)
			if got := rec.text(); got != wantSent {
				t.Errorf("%q: sent %q, want %q", answers, got, wantSent)
			}
			if (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
				t.Errorf("%q: error %v, want %q", answers, err, wantErr)
			}
			if ack := src.acked(0); len(ack) != 1 || (ack[0] == nil) != (wantErr == "") {
				t.Errorf("%q: acks %v, error %v", answers, ack, err)
			}
			if s := p.Status(); err == nil && (s.Total.Sum() != 3 || s.Read != 3) {
				t.Errorf("%q: %d verdicts of %d read", answers, s.Total.Sum(), s.Read)
			}
		})
	}
	f("write a@5 write b@6 | write a@7", "", "dd")
	f("write a@5 write b@6 | write a@7", "", "ss", "s")
	f("write a@5 write b@6 | write b@6 | write a@7", "", "dr")
	f("write a@5 write b@6 | write a@5 | write a@5 | write a@7", "", "rd", "r", "d")
	f("write a@5 write b@6 | write a@5 write b@6 | write a@7", "", "transient", "dd")
	f("write a@5 write b@6 | write a@5 write b@6 | write a@7", "", "unknown", "dd")
	f("write a@5 write b@6 | write a@7", "", "xd")
	f("write a@5 write b@6 | write b@6 | write b@6 | write a@7", "", "xr", "transient", "x")
	f("write a@5 write b@6 | write a@7 | write a@7", "", "dd", "transient", "document")
	f("write a@5 write b@6", "index is closed", "hd")
	f("write a@5 write b@6", "index is closed", "xh")
	f("write a@5 write b@6", "401", "auth")
	f("write a@5 write b@6", "2 changes", "ddd")
	f(strings.TrimSuffix(strings.Repeat("write a@5 write b@6 | ", 6), " | "), "6 times in a row: what is this",
		"unknown", "unknown", "unknown", "unknown", "unknown", "unknown")
	f(strings.Repeat("write a@5 write b@6 | ", 7)+"write a@7", "",
		"unknown", "unknown", "unknown", "transient", "unknown", "unknown", "dd")
}

// TestHaltKeepsTheClass: the exit code comes from the class.
func TestHaltKeepsTheClass(t *testing.T) {
	f := func(give, want flow.Class) {
		t.Helper()
		rec := &recorder{answer: func(int, flow.Batch) ([]flow.Verdict, error) {
			return []flow.Verdict{{Outcome: flow.Halt, Err: &flow.Error{Class: give, Err: errors.New("no")}}}, nil
		}}
		err := New(Options{Stream: &fakeSource{batches: []flow.Batch{batchOf(write("a", 5))}}, Sink: rec}).Run(t.Context(), nil)
		if got := flow.ClassOf(err); got != want {
			t.Errorf("class %s, want %s", got, want)
		}
	}
	f(flow.Auth, flow.Auth)
	f(flow.Config, flow.Config)
	f(flow.Transient, flow.Fatal)
	f(flow.Unknown, flow.Fatal)
}

// TestS9SinkDown: a sink that is down for an hour stops the reading and loses
// nothing; the pauses grow to their maximum.
func TestS9SinkDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		rec := &recorder{answer: func(int, flow.Batch) ([]flow.Verdict, error) {
			if time.Since(start) < time.Hour {
				return nil, transient("connection refused")
			}
			return nil, nil
		}}
		src := &fakeSource{}
		for n := range 100 {
			src.batches = append(src.batches, batchOf(write(int32(n), n)))
		}
		p := New(Options{Stream: src, Sink: rec, Lanes: 2, BudgetBytes: 10 * changeCost})
		done := make(chan error)
		go func() { done <- p.Run(t.Context(), nil) }()
		<-time.After(30 * time.Minute)
		if s := p.Status(); s.State != BlockedSink || s.Reason != whatWrite || !strings.Contains(s.Error, "refused") ||
			time.Since(s.Since) < 29*time.Minute {
			t.Errorf("status %+v, want a sink that is blocked for half an hour", s)
		}
		if n := src.handed(); n > 10 {
			t.Errorf("%d batches were read while the sink was down, the budget holds fewer", n)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if late := time.Since(start) - time.Hour; late > maxPause+time.Second {
			t.Errorf("it went on %s after the sink came back", late)
		}
		if n := len(rec.sends); n > 2*int(time.Hour/(maxPause/2))+100 {
			t.Errorf("%d attempts in an hour", n)
		}
		if s := p.Status(); s.Total.Done != 100 || s.State != Idle {
			t.Errorf("status %+v, want 100 done", s)
		}
	})
}

// TestS7LetterBeforeAck: a batch is not acked before its dead letter is durable.
func TestS7LetterBeforeAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		box := &letterBox{fail: func() error {
			if tries++; tries < 4 {
				return transient("disk full")
			}
			return nil
		}}
		src := &fakeSource{batches: []flow.Batch{batchOf(write("a", 5))}}
		src.onAck = func(int, error) {
			if box.version(indexID(ptr(write("a", 5)))) == 0 {
				t.Error("acked without its letter")
			}
		}
		p := New(Options{Stream: src, Sink: script("x"), DeadLetters: box})
		if err := p.Run(t.Context(), nil); err != nil {
			t.Error(err)
		}
		if s := p.Status(); s.Total.DeadLetter != 1 || s.Retries[whatLetters] != 3 {
			t.Errorf("status %+v, want one letter after three retries", s)
		}
	})
}

// TestS7LetterLost: if a letter can't be kept, its batch is not settled.
func TestS7LetterLost(t *testing.T) {
	box := &letterBox{fail: func() error { return &flow.Error{Class: flow.Fatal, Err: errors.New("no letters")} }}
	src := &fakeSource{batches: []flow.Batch{batchOf(write("a", 5))}}
	err := New(Options{Stream: src, Sink: script("x"), DeadLetters: box}).Run(t.Context(), nil)
	if ack := src.acked(0); err == nil || len(ack) != 1 || ack[0] == nil {
		t.Errorf("error %v, acks %v, want both to fail", err, ack)
	}
	src = &fakeSource{batches: []flow.Batch{batchOf(write("a", 5))}}
	if err := New(Options{Stream: src, Sink: script("x")}).Run(t.Context(), nil); err == nil {
		t.Error("a dead letter went nowhere")
	}
}

// TestS7SettledClosesLetters: the book is told of what is done, and of no more.
func TestS7SettledClosesLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := &letterBox{}
		rec := script("xd", "rd", "d")
		src := &fakeSource{batches: []flow.Batch{batchOf(write("a", 5), write("b", 5)), batchOf(write("a", 6), write("c", 6))}}
		src.onRead = func(context.Context, int) error { synctestYield(); return nil }
		k := indexID(ptr(write("a", 5)))
		var during int64
		inner := rec.answer
		rec.answer = func(n int, b flow.Batch) ([]flow.Verdict, error) {
			if n == 2 {
				during = box.version(k)
			}
			return inner(n, b)
		}
		if err := New(Options{Stream: src, Sink: rec, DeadLetters: box, Lanes: 1}).Run(t.Context(), nil); err != nil {
			t.Error(err)
		}
		if during == 0 || box.version(k) != 0 {
			t.Errorf("letter at version %d before the retry, %d after; want one, then none", during, box.version(k))
		}
	})
}

// TestS7TooManyInRow: the flow halts at the thousandth dead letter in a row,
// and says why most of them died.
func TestS7TooManyInRow(t *testing.T) {
	f := func(total int, good func(n int) bool, wantLetters int) {
		t.Helper()
		box := &letterBox{}
		rec := &recorder{answer: func(_ int, b flow.Batch) ([]flow.Verdict, error) {
			var v []flow.Verdict
			for i := range b.Changes {
				n := int(b.Changes[i].ID.Int32())
				switch {
				case good(n):
					v = append(v, verdicts("d")...)
				case n%3 == 0:
					v = append(v, flow.Verdict{Outcome: flow.DeadLetter, Reason: "too_long"})
				default:
					v = append(v, verdicts("x")...)
				}
			}
			return v, nil
		}}
		src := &fakeSource{}
		for n := range total {
			src.batches = append(src.batches, batchOf(write(int32(n), 5)))
		}
		err := New(Options{Stream: src, Sink: rec, DeadLetters: box, Lanes: 1, BudgetBytes: 1}).Run(t.Context(), nil)
		if got := len(box.letters); got != wantLetters {
			t.Errorf("%d letters, want %d", got, wantLetters)
		}
		halts := wantLetters < total && !good(0)
		if halts && (err == nil || !strings.Contains(err.Error(), `"mapping"`) || !strings.Contains(err.Error(), shop.String())) {
			t.Errorf("error %v, want one that names %s and the most common reason", err, shop)
		}
		if !halts && err != nil {
			t.Error(err)
		}
	}
	f(1200, func(int) bool { return false }, 1000)
	f(999, func(int) bool { return false }, 999)
	f(900, func(n int) bool { return n%10 != 3 }, 90)
}

// TestS7ShareOfAMinute: more than a tenth of a minute's documents halt the flow.
func TestS7ShareOfAMinute(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	people := flow.Namespace{DB: "shop", Coll: "people"}
	f := func(good, bad int, spread time.Duration, want bool) {
		t.Helper()
		b := newBreaker()
		at := now
		tripped := false
		for i := range bad {
			b.settled(shop, good/bad, true, at)
			b.settled(people, 1, true, at)
			err := b.bad(shop, fmt.Sprint("r", i%4/3), at)
			if tripped = tripped || err != nil; err != nil && !strings.Contains(err.Error(), `"r0"`) {
				t.Errorf("error %v, want the reason r0", err)
			}
			at = at.Add(spread / time.Duration(bad))
		}
		if tripped != want {
			t.Errorf("%d bad, %d good within %s: halted %v, want %v", bad, good, spread, tripped, want)
		}
	}
	f(1600, 200, 10*time.Second, true)
	f(2000, 200, 10*time.Second, false)
	f(400, 100, 10*time.Second, false) // too few to say
	f(1600, 200, time.Hour, false)
	slow := newBreaker() // one a minute: the share of a minute says nothing
	for i := range maxInRow {
		if err := slow.bad(shop, "mapping", now.Add(time.Duration(i)*time.Minute)); (err != nil) != (i == maxInRow-1) {
			t.Errorf("%d in a row: %v", i+1, err)
		}
	}
	var none *breaker
	none.settled(shop, 1, true, now)
	if err := none.bad(shop, "x", now); err != nil {
		t.Error(err)
	}
}

// TestS7RowInOneBatch: the order inside a batch counts.
func TestS7RowInOneBatch(t *testing.T) {
	b := newBreaker()
	d := &delivery{
		breaker: b, letters: &letterBox{}, tally: newTally(newLedger(nil)),
		retry: retrier{log: newErrlog(New(Options{}).opts.Logger), watch: newWatch()},
	}
	judge := func(letters string) {
		t.Helper()
		batch := flow.Batch{}
		for i := range letters {
			batch.Changes = append(batch.Changes, write(int32(i), 5))
		}
		if _, _, err := d.judge(t.Context(), &batch, verdicts(letters)); err != nil {
			t.Error(err)
		}
	}
	judge("xxdx")
	judge("x")
	if got := b.ns[shop].row; got != 2 {
		t.Errorf("%d in a row, want 2", got)
	}
	judge("xxd")
	if got := b.ns[shop].row; got != 0 {
		t.Errorf("%d in a row, want 0", got)
	}
	judge("x")
	judge("dd")
	if got := b.ns[shop].row; got != 0 {
		t.Errorf("%d in a row, want 0", got)
	}
}

// TestS8Reread: the stage sees the latest time of what was merged, its trouble
// passes, and what it leaves undone is an error.
func TestS8Reread(t *testing.T) {
	again := func(id string, n int) flow.Change {
		c := write(id, n)
		c.Op, c.Doc = flow.OpReread, nil
		return c
	}
	tries := 0
	stage := stageFunc(func(_ context.Context, b flow.Batch) (flow.Batch, error) {
		if tries++; tries < 3 {
			return b, transient("no primary")
		}
		if b.After != at(9) {
			t.Errorf("read at %v, want %v", b.After, at(9))
		}
		for i := range b.Changes {
			if b.Changes[i].Op == flow.OpReread {
				b.Changes[i].Op = flow.OpDelete
			}
		}
		return b, nil
	})
	got, _ := merged(t, Options{Reread: stage}, batchOf(again("a", 9)), batchOf(again("b", 3), write("c", 4)))
	if want := "write first@1 | delete a@9 delete b@3 write c@4"; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
	for _, stage := range []flow.Stage{
		nil,
		stageFunc(func(_ context.Context, b flow.Batch) (flow.Batch, error) { return b, nil }),
		stageFunc(func(_ context.Context, b flow.Batch) (flow.Batch, error) { return flow.Batch{}, nil }),
	} {
		src := &fakeSource{batches: []flow.Batch{batchOf(again("a", 5))}}
		rec := &recorder{}
		err := New(Options{Stream: src, Sink: rec, Reread: stage}).Run(t.Context(), nil)
		if flow.ClassOf(err) != flow.Fatal || len(rec.sends) > 0 {
			t.Errorf("error %v, %d sends; want a fatal error and none", err, len(rec.sends))
		}
	}
}
