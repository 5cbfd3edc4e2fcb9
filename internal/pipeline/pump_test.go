package pipeline

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// TestS15Barrier: a control is applied when all before it is settled, and what
// comes after it is not written before it is applied and acked.
func TestS15Barrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var settled, applied, tries atomic.Int32
		src := &fakeSource{batches: []flow.Batch{
			batchOf(write("a", 1), write("b", 1)), batchOf(write("c", 2)), {}, controlOf(flow.ControlDropped), batchOf(write("d", 3)),
		}}
		sink := sinkFunc(func(_ context.Context, b flow.Batch) ([]flow.Verdict, error) {
			<-time.After(time.Second)
			late := b.Changes[0].Time == at(3)
			if late != (applied.Load() == 1) {
				t.Errorf("%v was written with %d controls applied", b.Changes[0].Time, applied.Load())
			}
			if !late {
				settled.Add(int32(len(b.Changes)))
			}
			return allDone(b), nil
		})
		controls := controlsFunc(func(_ context.Context, c flow.Control) error {
			if settled.Load() != 3 || len(src.acked(0)) != 1 || len(src.acked(1)) != 1 {
				t.Errorf("applied with %d of 3 settled", settled.Load())
			}
			if tries.Add(1) < 3 {
				return transient("503")
			}
			if c.Kind != flow.ControlDropped || len(src.acked(3)) != 0 {
				t.Errorf("%s, acks %v", c.Kind, src.acked(3))
			}
			applied.Add(1)
			return nil
		})
		if err := New(Options{Stream: src, Sink: sink, Controls: controls}).Run(t.Context(), nil); err != nil {
			t.Error(err)
		}
		if a := src.acked(3); len(a) != 1 || a[0] != nil || applied.Load() != 1 {
			t.Errorf("acks %v, applied %d", a, applied.Load())
		}
	})
}

// TestControlFails: the ack of a control that can't be applied says so.
func TestControlFails(t *testing.T) {
	bad := errors.New("not our index")
	controls := controlsFunc(func(context.Context, flow.Control) error { return &flow.Error{Class: flow.Config, Err: bad} })
	both := controlOf(flow.ControlDropped)
	both.Changes = []flow.Change{write("a", 1)}
	for _, o := range []Options{
		{Stream: &fakeSource{batches: []flow.Batch{controlOf(flow.ControlDropped)}}, Controls: controls},
		{Snapshot: &fakeSource{batches: []flow.Batch{controlOf(flow.ControlSnapshotDone)}}, Controls: controls},
		{Stream: &fakeSource{batches: []flow.Batch{both}}},
	} {
		o.Sink = &recorder{}
		src, _ := o.Stream.(*fakeSource)
		if src == nil {
			src = o.Snapshot.(*fakeSource)
		}
		err := New(o).Run(t.Context(), nil)
		if a := src.acked(0); err == nil || len(a) != 1 || a[0] == nil {
			t.Errorf("error %v, acks %v; want both to fail", err, a)
		}
	}
}

// TestDrain: what was read is settled, nothing more is read, nil is returned.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := sinkFunc(func(_ context.Context, b flow.Batch) ([]flow.Verdict, error) {
			<-time.After(time.Minute)
			return allDone(b), nil
		})
		src := &fakeSource{batches: []flow.Batch{batchOf(write("a", 1)), batchOf(write("a", 2)), batchOf(write("b", 3))}, open: true}
		snap := &fakeSource{batches: []flow.Batch{batchOf(write("s", 1)), batchOf(write("t", 1)), batchOf(write("u", 1))}, open: true}
		drain := make(chan struct{})
		p := New(Options{Stream: src, Snapshot: snap, Sink: sink, SnapshotWriters: 2})
		go func() {
			<-time.After(time.Second)
			close(drain)
		}()
		if err := p.Run(t.Context(), drain); err != nil {
			t.Error(err)
		}
		for _, s := range []*fakeSource{src, snap} {
			for i := range s.handed() {
				// The third batch of the snapshot is read, or not, but never lost.
				if a := s.acked(i); len(a) != 1 || a[0] != nil {
					t.Errorf("batch %d: acks %v", i, a)
				}
			}
		}
		if s := p.Status(); s.Read != s.Total.Sum() || s.Read < 5 {
			t.Errorf("%d read, %d settled", s.Read, s.Total.Sum())
		}
	})
}

// TestDrainWhileReading: a read that fails because it was ended is no failure.
func TestDrainWhileReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fakeSource{batches: []flow.Batch{batchOf(write("a", 1))}, onRead: func(ctx context.Context, _ int) error {
			<-ctx.Done()
			return errors.New("socket was closed: " + ctx.Err().Error())
		}}
		drain := make(chan struct{})
		close(drain)
		if err := New(Options{Stream: src, Sink: &recorder{}}).Run(t.Context(), drain); err != nil {
			t.Error(err)
		}
	})
}

// TestCut: with its context done the pump returns at once, and every batch in
// flight is acked once, with the cause; also those that wait for the budget,
// for a barrier or for a pause.
func TestCut(t *testing.T) {
	f := func(name string, o Options, src *fakeSource) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			cause := errors.New("second signal")
			ctx, cut := context.WithCancelCause(t.Context())
			o.Stream = src
			if o.Sink == nil {
				o.Sink = sinkFunc(func(ctx context.Context, b flow.Batch) ([]flow.Verdict, error) {
					<-ctx.Done()
					return nil, ctx.Err()
				})
			}
			start := time.Now()
			p := New(o)
			go func() {
				<-time.After(time.Minute)
				cut(cause)
			}()
			if err := p.Run(ctx, nil); !errors.Is(err, cause) {
				t.Errorf("%s: error %v, want %v", name, err, cause)
			}
			if took := time.Since(start); took != time.Minute {
				t.Errorf("%s: it took %s", name, took)
			}
			for i := range src.handed() {
				if a := src.acked(i); len(a) != 1 || !errors.Is(a[0], cause) {
					t.Errorf("%s: batch %d: acks %v", name, i, a)
				}
			}
			if s := p.Status(); s.QueueBytes != 0 || s.State != Idle {
				t.Errorf("%s: status %+v", name, s)
			}
		})
	}
	many := func() *fakeSource {
		return &fakeSource{open: true, batches: []flow.Batch{
			batchOf(write("a", 1)), batchOf(write("a", 2), write("b", 2)), batchOf(write("c", 3)), batchOf(write("d", 3)),
		}}
	}
	f("writing", Options{}, many())
	f("one lane", Options{Lanes: 1}, many())
	f("budget", Options{BudgetBytes: 2 * changeCost}, many())
	f("pause", Options{Lanes: 1, Sink: sinkFunc(func(context.Context, flow.Batch) ([]flow.Verdict, error) {
		return nil, transient("refused")
	})}, many())
	f("retry", Options{Lanes: 1, Sink: sinkFunc(func(_ context.Context, b flow.Batch) ([]flow.Verdict, error) {
		return verdicts(strings.Repeat("r", len(b.Changes))), nil
	})}, many())
	f("barrier", Options{}, &fakeSource{batches: []flow.Batch{batchOf(write("a", 1)), controlOf(flow.ControlDropped)}})
	f("control", Options{Controls: controlsFunc(func(context.Context, flow.Control) error { return transient("503") })},
		&fakeSource{batches: []flow.Batch{controlOf(flow.ControlDropped)}})
}

// TestFailureOfOneEndsAll: one lane's end is everyone's, with that error.
func TestFailureOfOneEndsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := sinkFunc(func(ctx context.Context, b flow.Batch) ([]flow.Verdict, error) {
			if b.Changes[0].ID.Int32() == 0 { // the first of its lane
				return verdicts("h"), nil
			}
			<-ctx.Done()
			return nil, ctx.Err()
		})
		src, snap := &fakeSource{open: true}, &fakeSource{open: true, batches: []flow.Batch{batchOf(write(int32(99), 1))}}
		for n := range 20 {
			src.batches = append(src.batches, batchOf(write(int32(n), n)))
		}
		err := New(Options{Stream: src, Snapshot: snap, Sink: sink, Lanes: 16, BatchBytes: 1}).Run(t.Context(), nil)
		if err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("error %v, want the halt", err)
		}
		for _, s := range []*fakeSource{src, snap} {
			for i := range s.handed() {
				if a := s.acked(i); len(a) != 1 || a[0] == nil {
					t.Errorf("batch %d: acks %v", i, a)
				}
			}
		}
	})
}

// TestReadFails: trouble of a source passes, or ends the pump.
func TestReadFails(t *testing.T) {
	f := func(give error, times int, want string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			src := &fakeSource{batches: []flow.Batch{batchOf(write("a", 1))}}
			src.onRead = func(context.Context, int) error {
				if times--; times >= 0 {
					return give
				}
				return nil
			}
			rec := &recorder{}
			err := New(Options{Stream: src, Sink: rec}).Run(t.Context(), nil)
			if want == "" && (err != nil || len(rec.sends) != 1) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%v: error %v, %d sends, want %q", give, err, len(rec.sends), want)
			}
		})
	}
	f(transient("no primary"), 50, "")
	f(errors.New("odd"), 3, "")
	f(errors.New("odd"), 50, "odd")
	f(errors.Join(io.EOF), 1, "") // a cut connection is not the end
	f(&flow.Error{Op: "open change stream", Class: flow.Lost}, 1, "open change stream")
}

func TestRunTwiceOrIncomplete(t *testing.T) {
	p := New(Options{Stream: &fakeSource{}, Sink: &recorder{}})
	if err := p.Run(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if p.Run(t.Context(), nil) == nil || New(Options{Sink: &recorder{}}).Run(t.Context(), nil) == nil ||
		New(Options{Stream: &fakeSource{}}).Run(t.Context(), nil) == nil {
		t.Error("a pump ran that can't")
	}
}

// TestAckFails: a source that can't take an ack ends the pump.
func TestAckFails(t *testing.T) {
	for _, b := range []flow.Batch{batchOf(write("a", 1)), {}, controlOf(flow.ControlCreated)} {
		src := sourceFunc(func(context.Context) (flow.Batch, flow.Ack, error) {
			return b, func(context.Context, error) error { return errors.New("no tracker") }, nil
		})
		for _, o := range []Options{{Stream: src}, {Snapshot: src}} {
			o.Sink = &recorder{}
			if err := New(o).Run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "no tracker") {
				t.Errorf("error %v, want that of the ack", err)
			}
		}
	}
}

type sourceFunc func(context.Context) (flow.Batch, flow.Ack, error)

func (f sourceFunc) Read(ctx context.Context) (flow.Batch, flow.Ack, error) { return f(ctx) }

// TestS9Budget: what is in flight never exceeds the budget, and neither source
// can take all of it.
func TestS9Budget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 10_000
		doc := bson.Raw(make([]byte, 1000))
		fill := func(n int) *fakeSource {
			s := &fakeSource{}
			for i := range n {
				c := write(int32(i), 1)
				c.Doc = doc[:i%len(doc)]
				s.batches = append(s.batches, batchOf(c, c))
			}
			return s
		}
		var p *Pump
		var mu sync.Mutex
		var peak int64
		sink := sinkFunc(func(_ context.Context, b flow.Batch) ([]flow.Verdict, error) {
			<-time.After(time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			peak = max(peak, p.Status().QueueBytes)
			return allDone(b), nil
		})
		src, snap := fill(500), fill(500)
		src.batches = append(src.batches, flow.Batch{Bytes: 50 * limit, Changes: []flow.Change{write("large", 2)}})
		p = New(Options{
			Stream: src, Snapshot: snap, Sink: sink, BudgetBytes: limit, Lanes: 1, SnapshotWriters: 8,
			OldestOpen: func() (bson.Timestamp, bool) { return at(1), true },
		})
		if err := p.Run(t.Context(), nil); err != nil {
			t.Error(err)
		}
		if peak > limit || peak < limit/2 {
			t.Errorf("peak of %d bytes, want close to %d, never more", peak, limit)
		}
	})
}

// TestS9NoStarvation: a snapshot that would fill the budget does not hold the
// stream up, nor the other way round.
func TestS9NoStarvation(t *testing.T) {
	f := func(name string, stuck func(b flow.Batch) bool, flowing string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			ctx, cut := context.WithCancel(t.Context())
			sink := sinkFunc(func(ctx context.Context, b flow.Batch) ([]flow.Verdict, error) {
				if stuck(b) {
					<-ctx.Done()
					return nil, ctx.Err()
				}
				return allDone(b), nil
			})
			fill := func(snapshot bool) *fakeSource {
				s := &fakeSource{open: true}
				for i := range 100 {
					b := batchOf(write(int32(i), 1))
					b.Snapshot, b.Bytes = snapshot, 1000
					s.batches = append(s.batches, b)
				}
				return s
			}
			sources := map[string]*fakeSource{"stream": fill(false), "snapshot": fill(true)}
			p := New(Options{
				Stream: sources["stream"], Snapshot: sources["snapshot"], Sink: sink,
				BudgetBytes: 10_000, SnapshotWriters: 50,
			})
			go func() {
				<-time.After(time.Minute)
				for i := range sources[flowing].batches {
					if len(sources[flowing].acked(i)) != 1 {
						t.Errorf("%s: batch %d of the %s is starved", name, i, flowing)
						break
					}
				}
				cut()
			}()
			if err := p.Run(ctx, nil); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	f("snapshot stuck", func(b flow.Batch) bool { return b.Snapshot }, "stream")
	f("stream stuck", func(b flow.Batch) bool { return !b.Snapshot }, "snapshot")
}

// TestIdleLaneSendsAtOnce: no timer stands between a change and its write.
func TestIdleLaneSendsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		rec := &recorder{}
		src := &fakeSource{batches: []flow.Batch{batchOf(write("a", 1))}, open: true}
		drain := make(chan struct{})
		p := New(Options{Stream: src, Sink: rec})
		done := make(chan error)
		go func() { done <- p.Run(t.Context(), drain) }()
		synctest.Wait()
		if len(rec.sends) != 1 || time.Since(start) != 0 || len(src.acked(0)) != 1 {
			t.Errorf("%d sends after %s", len(rec.sends), time.Since(start))
		}
		if s := p.Status(); s.State != Idle {
			t.Errorf("state %s", s.State)
		}
		close(drain)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestS2OneLanePerKey: the forms of one key meet in one lane, and keys spread.
func TestS2OneLanePerKey(t *testing.T) {
	p := New(Options{Lanes: 4})
	var lanes []*lane
	for range 4 {
		lanes = append(lanes, newLane(p))
	}
	s := splitter{hash: newHasher(p.seeds), lanes: lanes, parts: make([][]item, 4)}
	var changes []flow.Change
	for n := range 4000 {
		changes = append(changes, write(int32(n), 1), write(float64(n), 2))
	}
	s.split(t.Context(), &flight{}, changes)
	for i, l := range lanes {
		keys := make(map[key]int)
		for _, it := range l.queue {
			keys[it.k]++
		}
		if len(keys) < 800 || len(keys) > 1200 {
			t.Errorf("lane %d has %d keys of 4000", i, len(keys))
		}
		for k, n := range keys {
			if n != 2 {
				t.Errorf("lane %d has key %v %d times, want both forms", i, k, n)
			}
		}
	}
	if slices.ContainsFunc(s.parts, func(p []item) bool { return len(p) > 0 }) {
		t.Error("items are left in the splitter")
	}
}

// TestLaneEndsEmpty: a lane that was ended between two looks at its queue still
// has to write what came before.
func TestLaneEndsEmpty(t *testing.T) {
	l := newLane(New(Options{}))
	l.push(t.Context(), []item{{}})
	l.end()
	if l.isEnded() {
		t.Error("it ended with an item in its queue")
	}
	if l.swap(); !l.isEnded() {
		t.Error("it did not end")
	}
}

// While the sink is down, the stream is not read: what was read lies in
// memory, and no more comes.
func TestS9DownSinkStopsReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reads, writes atomic.Int64
		var up atomic.Bool
		stream := sourceFunc(func(context.Context) (flow.Batch, flow.Ack, error) {
			time.Sleep(time.Second)
			n := reads.Add(1)
			if n > 50 {
				return flow.Batch{}, nil, io.EOF
			}
			return batchOf(remove(n, int(n))), func(context.Context, error) error { return nil }, nil
		})
		sink := sinkFunc(func(_ context.Context, b flow.Batch) ([]flow.Verdict, error) {
			writes.Add(1)
			if !up.Load() {
				return nil, &flow.Error{Op: "write", Class: flow.Transient, Err: errors.New("down")}
			}
			return slices.Repeat([]flow.Verdict{{Outcome: flow.Done}}, len(b.Changes)), nil
		})
		p := New(Options{Stream: stream, Sink: sink, Lanes: 1})
		ended := make(chan error, 1)
		go func() { ended <- p.Run(t.Context(), nil) }()
		for writes.Load() < 2 {
			time.Sleep(time.Second)
		}
		time.Sleep(2 * time.Second) // a read that was under way
		before := reads.Load()
		time.Sleep(10 * time.Minute)
		if n := reads.Load(); n > before {
			t.Errorf("%d batches were read while the sink was down", n-before)
		}
		up.Store(true)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if got := p.Status().Total.Sum(); got != 50 {
			t.Errorf("%d changes settled, want 50", got)
		}
	})
}
