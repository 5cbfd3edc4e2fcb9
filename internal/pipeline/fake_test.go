package pipeline

import (
	"context"
	"fmt"
	"io"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/transcode"
)

var shop = flow.Namespace{DB: "shop", Coll: "orders"}

// idOf returns v as a raw _id.
func idOf(v any) bson.RawValue {
	if v == nil {
		v = bson.Null{}
	}
	t, b, err := bson.MarshalValue(v)
	if err != nil {
		panic(err) // a test's own constant
	}
	return bson.RawValue{Type: t, Value: b}
}

// at returns the cluster time of the test's n-th second.
func at(n int) bson.Timestamp { return bson.Timestamp{T: flow.VersionEpoch + 1000 + uint32(n), I: 1} }

func versionAt(n int) int64 {
	v, err := flow.VersionOf(at(n))
	if err != nil {
		panic(err) // a test's own constant
	}
	return v
}

func write(id any, n int) flow.Change {
	return flow.Change{
		Op: flow.OpWrite, NS: shop, ID: idOf(id), Doc: bson.Raw(fmt.Sprintf("doc %d", n)),
		Version: versionAt(n), Time: at(n),
	}
}

func remove(id any, n int) flow.Change {
	return flow.Change{Op: flow.OpDelete, NS: shop, ID: idOf(id), Version: versionAt(n), Time: at(n)}
}

func batchOf(changes ...flow.Change) flow.Batch {
	b := flow.Batch{Changes: changes}
	for i := range changes {
		b.Bytes += size(&changes[i])
		if b.After.Before(changes[i].Time) {
			b.After = changes[i].Time
		}
	}
	return b
}

func controlOf(kind flow.ControlKind) flow.Batch {
	return flow.Batch{Control: &flow.Control{Kind: kind, NS: shop}}
}

// fakeSource hands out batches and keeps count of their acks.
type fakeSource struct {
	batches []flow.Batch
	// open: at the end it waits for more instead of returning io.EOF.
	open bool
	// onRead and onAck, if set, see each batch before it goes out and at its ack.
	onRead func(ctx context.Context, i int) error
	onAck  func(i int, err error)

	mu   sync.Mutex
	next int
	acks map[int][]error
}

func (s *fakeSource) Read(ctx context.Context) (flow.Batch, flow.Ack, error) {
	s.mu.Lock()
	i := s.next
	s.next++
	s.mu.Unlock()
	if i >= len(s.batches) {
		if !s.open {
			return flow.Batch{}, nil, io.EOF
		}
		<-ctx.Done()
		return flow.Batch{}, nil, ctx.Err()
	}
	if s.onRead != nil {
		if err := s.onRead(ctx, i); err != nil {
			s.mu.Lock()
			s.next--
			s.mu.Unlock()
			return flow.Batch{}, nil, err
		}
	}
	return s.batches[i], func(_ context.Context, err error) error {
		s.mu.Lock()
		if s.acks == nil {
			s.acks = make(map[int][]error)
		}
		s.acks[i] = append(s.acks[i], err)
		s.mu.Unlock()
		if s.onAck != nil {
			s.onAck(i, err)
		}
		return nil
	}, nil
}

// acked returns the acks of batch i.
func (s *fakeSource) acked(i int) []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acks[i]
}

// handed returns how many batches went out.
func (s *fakeSource) handed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return min(s.next, len(s.batches))
}

// sinkFunc is a sink in one function.
type sinkFunc func(ctx context.Context, b flow.Batch) ([]flow.Verdict, error)

func (f sinkFunc) Write(ctx context.Context, b flow.Batch) ([]flow.Verdict, error) { return f(ctx, b) }

type stageFunc func(ctx context.Context, b flow.Batch) (flow.Batch, error)

func (f stageFunc) Apply(ctx context.Context, b flow.Batch) (flow.Batch, error) { return f(ctx, b) }

type controlsFunc func(ctx context.Context, c flow.Control) error

func (f controlsFunc) Apply(ctx context.Context, c flow.Control) error { return f(ctx, c) }

// allDone says Done to everything.
func allDone(b flow.Batch) []flow.Verdict {
	v := make([]flow.Verdict, len(b.Changes))
	for i := range v {
		v[i].Outcome = flow.Done
	}
	return v
}

// recorder is a sink that keeps what it was sent.
type recorder struct {
	mu    sync.Mutex
	sends [][]flow.Change
	// answer, if set, gives the verdicts of the n-th send; nil verdicts: all done.
	answer func(n int, b flow.Batch) ([]flow.Verdict, error)
}

func (r *recorder) Write(_ context.Context, b flow.Batch) ([]flow.Verdict, error) {
	r.mu.Lock()
	n := len(r.sends)
	r.sends = append(r.sends, append([]flow.Change(nil), b.Changes...))
	r.mu.Unlock()
	if r.answer != nil {
		if v, err := r.answer(n, b); v != nil || err != nil {
			return v, err
		}
	}
	return allDone(b), nil
}

// text shows sends as "write 1@5 delete 2@6 | …", seconds for versions.
func (r *recorder) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []byte
	for i, s := range r.sends {
		if i > 0 {
			out = append(out, " | "...)
		}
		for j, c := range s {
			if j > 0 {
				out = append(out, ' ')
			}
			out = append(out, c.Op.String()+" "...)
			out = transcode.AppendID(out, c.ID)
			out = fmt.Appendf(out, "@%d", c.Version>>32-1000)
		}
	}
	return string(out)
}

// letterBox keeps dead letters in memory.
type letterBox struct {
	mu      sync.Mutex
	letters map[string]int64
	fail    func() error
}

func (l *letterBox) Put(_ context.Context, changes []flow.Change, verdicts []flow.Verdict) error {
	if l.fail != nil {
		if err := l.fail(); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.letters == nil {
		l.letters = make(map[string]int64)
	}
	for i := range changes {
		k := indexID(&changes[i])
		l.letters[k] = max(l.letters[k], changes[i].Version)
	}
	return nil
}

func (l *letterBox) Settled(_ context.Context, changes []flow.Change) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range changes {
		k := indexID(&changes[i])
		if v, ok := l.letters[k]; ok && v <= changes[i].Version {
			delete(l.letters, k)
		}
	}
	return nil
}

// version returns that of k's letter, 0 if there is none.
func (l *letterBox) version(k string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.letters[k]
}

// indexID names the document of a change in a fake index.
func indexID(c *flow.Change) string {
	return string(transcode.AppendID([]byte(c.NS.String()+"/"), c.ID))
}
