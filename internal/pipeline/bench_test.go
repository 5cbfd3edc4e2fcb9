package pipeline

import (
	"context"
	"encoding/binary"
	"io"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// endless is a source of batches of changes, n in all, with ever new keys.
type endless struct {
	perBatch, left int
	seq            uint32
	distinct       uint32
	doc            bson.Raw
}

func (e *endless) Read(context.Context) (flow.Batch, flow.Ack, error) {
	n := min(e.perBatch, e.left)
	if n == 0 {
		return flow.Batch{}, nil, io.EOF
	}
	e.left -= n
	changes := make([]flow.Change, n)
	ids := make([]byte, 12*n)
	for i := range changes {
		e.seq++
		id := ids[12*i : 12*i+12]
		binary.BigEndian.PutUint32(id, e.seq%e.distinct)
		changes[i] = flow.Change{
			Op: flow.OpWrite, NS: shop, Doc: e.doc, Version: int64(e.seq),
			ID: bson.RawValue{Type: bson.TypeObjectID, Value: id},
		}
	}
	return flow.Batch{Changes: changes, Bytes: n * len(e.doc)}, func(context.Context, error) error { return nil }, nil
}

type discard struct{ verdicts []flow.Verdict }

func (d *discard) Write(_ context.Context, b flow.Batch) ([]flow.Verdict, error) {
	return d.verdicts[:len(b.Changes)], nil
}

func benchPump(b *testing.B, opts Options, distinct uint32) {
	b.ReportAllocs()
	done := flow.Batch{Changes: make([]flow.Change, 200_000)}
	opts.Stream = &endless{perBatch: 1000, left: b.N, distinct: distinct, doc: make(bson.Raw, 269)}
	opts.Sink = &discard{allDone(done)}
	p := New(opts)
	b.ResetTimer()
	if err := p.Run(context.Background(), nil); err != nil {
		b.Fatal(err)
	}
	if s := p.Status(); s.Total.Sum() != int64(b.N) {
		b.Fatalf("%d verdicts for %d changes", s.Total.Sum(), b.N)
	}
}

// BenchmarkPump is the pump's own cost per change, source and discarding sink
// included; for inserts only, which never fold.
func BenchmarkPump(b *testing.B)        { benchPump(b, Options{}, 1<<32-1) }
func BenchmarkPumpOneLane(b *testing.B) { benchPump(b, Options{Lanes: 1}, 1<<32-1) }
func BenchmarkPumpMetrics(b *testing.B) { benchPump(b, Options{Metrics: NewMetrics(nil)}, 1<<32-1) }
func BenchmarkPumpHotKeys(b *testing.B) { benchPump(b, Options{}, 100) }

// BenchmarkMerge is what folding and gathering cost per change.
func BenchmarkMerge(b *testing.B) {
	b.ReportAllocs()
	p := New(Options{})
	l := newLane(p)
	s := splitter{hash: newHasher(p.seeds), lanes: []*lane{l}, parts: make([][]item, 1)}
	src := &endless{perBatch: 4000, left: 4000, distinct: 1 << 31, doc: make(bson.Raw, 269)}
	batch, _, _ := src.Read(context.Background())
	s.split(context.Background(), &flight{}, batch.Changes)
	items := append([]item(nil), l.queue...)
	b.ResetTimer()
	for n := 0; n < b.N; n += len(items) {
		l.queue = append(l.queue[:0], items...)
		for l.merge() {
			l.delivery.tally.flush(nil)
		}
	}
}

// BenchmarkKey is the cost of a key's hash.
func BenchmarkKey(b *testing.B) {
	h := newHasher(newSeeds())
	c := flow.Change{NS: shop, ID: idOf(bson.NewObjectID())}
	for b.Loop() {
		h.of(&c)
	}
}
