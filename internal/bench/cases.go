package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/transcode"
	"sluice/internal/transcode/shapes"
)

// transcode compares one pass over raw BSON with what such tools do today:
// decode to a map by the driver, then encoding/json.
func (b *bench) transcode(context.Context) error {
	kinds := []struct {
		name string
		doc  shape
		want float64
	}{{"small", shapes.Small, 25}, {"medium", shapes.Medium, 25}, {"wide", shapes.Wide, 20}, {"large", shapes.Large, 6}}
	plan, err := transcode.Compile(transcode.Options{}, transcode.Fields{})
	if err != nil {
		return err
	}
	for _, k := range kinds {
		docs := make([]bson.Raw, 200)
		for i := range docs {
			docs[i] = k.doc(i)
		}
		ours := testing.Benchmark(func(t *testing.B) {
			var st transcode.Stats
			buf := make([]byte, 0, 1<<20)
			t.ReportAllocs()
			for i := range t.N {
				if buf, err = plan.Append(buf[:0], docs[i%len(docs)], &st); err != nil {
					t.Fatal(err)
				}
			}
		})
		base := testing.Benchmark(func(t *testing.B) {
			for i := range t.N {
				var m bson.M
				if err := bson.Unmarshal(docs[i%len(docs)], &m); err != nil {
					t.Fatal(err)
				}
				if _, err := json.Marshal(m); err != nil {
					t.Fatal(err)
				}
			}
		})
		ratio := float64(base.NsPerOp()) / float64(max(1, ours.NsPerOp()))
		b.atLeast("transcoder, "+k.name+": speed over decode-to-map", ratio, k.want, "%d ns and %d allocations per document, %d ns decoded to a map and marshalled",
			ours.NsPerOp(), ours.AllocsPerOp(), base.NsPerOp())
	}
	return nil
}

func (b *bench) snapshotDiscard(ctx context.Context) error {
	if err := b.servers(ctx, false); err != nil {
		return err
	}
	for _, k := range []struct {
		name string
		n    int
		doc  shape
	}{{"small", b.n(2_000_000), shapes.Small}, {"medium", b.n(400_000), shapes.Medium}} {
		ns := "bench." + k.name
		if err := b.fill(ctx, ns, k.n, k.doc); err != nil {
			return err
		}
		p := params{URI: b.mongod.URI(), Namespaces: []string{ns}, N: int64(k.n), Once: false}
		raw, err := best(ctx, 3, "raw-find", p)
		if err != nil {
			return err
		}
		var ours result
		for i := range 3 {
			p.State = b.state(fmt.Sprintf("snapshot-%s-%d", k.name, i))
			r, err := measure(ctx, "sluice-snapshot", p)
			if err != nil {
				return err
			}
			if i == 0 || r.perDoc() < ours.perDoc() {
				ours = r
			}
		}
		b.atMost("snapshot, "+k.name+": CPU over raw find + transcode", ours.perDoc()/raw.perDoc(), 2.0,
			"%.2f µs and %.2f µs of CPU per document; %.0f k and %.0f k documents/s; %d documents; peak RSS %.0f MiB",
			ours.perDoc(), raw.perDoc(), ours.rate()/1000, raw.rate()/1000, k.n, ours.RSSMiB)
	}
	return nil
}

func (b *bench) state(name string) string { return filepath.Join(b.dir, "state-"+name) }

// follow prepares a copied namespace, so that the next process goes on with
// its stream. It returns the time at which the stream begins.
func (b *bench) follow(ctx context.Context, ns, state string, n int) (params, error) {
	p := params{URI: b.mongod.URI(), Namespaces: []string{ns}, State: state, N: int64(n), Once: true}
	if _, err := measure(ctx, "sluice-snapshot", p); err != nil {
		return p, err
	}
	after, err := b.now(ctx)
	p.After, p.Once = after, false
	return p, err
}

func (b *bench) streamInserts(ctx context.Context) error {
	if err := b.servers(ctx, false); err != nil {
		return err
	}
	const base = 1000
	ns, n := "bench.inserts", b.n(600_000)
	coll := collection(b.client, ns)
	if err := coll.Drop(ctx); err != nil {
		return err
	}
	if err := insert(ctx, coll, 0, base, shapes.Small); err != nil {
		return err
	}
	var states []params
	for i := range 3 {
		p, err := b.follow(ctx, ns, b.state(fmt.Sprintf("inserts-%d", i)), base)
		if err != nil {
			return err
		}
		states = append(states, p)
	}
	if err := insert(ctx, coll, base, n, shapes.Small); err != nil {
		return err
	}
	var raw, ours result
	for _, p := range states {
		p.N = int64(n)
		r, err := measure(ctx, "raw-stream", p)
		if err != nil {
			return err
		}
		if r.rate() > raw.rate() || raw.Docs == 0 {
			raw = r
		}
		if r, err = measure(ctx, "sluice-stream", p); err != nil {
			return err
		}
		if r.rate() > ours.rate() || ours.Docs == 0 {
			ours = r
		}
	}
	b.atLeast("stream of inserts: rate over a raw reader", ours.rate()/raw.rate(), 0.9,
		"%.0f k and %.0f k events/s; CPU %.2f µs and %.2f µs per event; %d events", ours.rate()/1000, raw.rate()/1000, ours.perDoc(), raw.perDoc(), n)
	return nil
}

func (b *bench) streamUpdates(ctx context.Context) error {
	if err := b.servers(ctx, false); err != nil {
		return err
	}
	ns, n := "bench.updates", b.n(100_000)
	coll := collection(b.client, ns)
	if err := b.fill(ctx, ns, n, shapes.Medium); err != nil {
		return err
	}
	var states []params
	for i := range 3 {
		p, err := b.follow(ctx, ns, b.state(fmt.Sprintf("updates-%d", i)), n)
		if err != nil {
			return err
		}
		states = append(states, p)
	}
	if err := updateAll(ctx, coll); err != nil {
		return err
	}
	var raw, ours result
	for _, p := range states {
		p.N, p.Lookup = int64(n), true
		r, err := measure(ctx, "raw-stream", p)
		if err != nil {
			return err
		}
		if r.rate() > raw.rate() || raw.Docs == 0 {
			raw = r
		}
		if r, err = measure(ctx, "sluice-stream", p); err != nil {
			return err
		}
		if r.rate() > ours.rate() || ours.Docs == 0 {
			ours = r
		}
	}
	b.atLeast("stream of updates: rate over a raw updateLookup reader", ours.rate()/raw.rate(), 1.4,
		"%.0f k and %.0f k updates/s; CPU %.2f µs and %.2f µs per update", ours.rate()/1000, raw.rate()/1000, ours.perDoc(), raw.perDoc())
	b.atMost("stream of updates: queries per 100 updates", float64(ours.Queries)*100/float64(n), 1, "%d queries for %d updates", ours.Queries, n)
	return nil
}

func updateAll(ctx context.Context, coll *mongo.Collection) error {
	_, err := coll.UpdateMany(ctx, bson.D{}, bson.D{{Key: "$inc", Value: bson.D{{Key: "bench", Value: 1}}}})
	return err
}

func (b *bench) memorySmall(ctx context.Context) error {
	if err := b.servers(ctx, false); err != nil {
		return err
	}
	ns, n := "bench.five_million", b.n(5_000_000)
	if err := b.fill(ctx, ns, n, shapes.Small); err != nil {
		return err
	}
	p := params{URI: b.mongod.URI(), Namespaces: []string{ns}, State: b.state("memory-small"), N: int64(n)}
	// Inserts go on meanwhile, so that stream and snapshot run together.
	writing, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		for at := n; writing.Err() == nil; at += 2000 {
			if err := insert(writing, collection(b.client, ns), at, 2000, shapes.Small); err != nil && writing.Err() == nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	r, err := measure(ctx, "sluice-snapshot", p)
	stop()
	if werr := <-ended; err == nil {
		err = werr
	}
	if err != nil {
		return err
	}
	b.atMost("memory: MiB, snapshot of small documents and stream", r.RSSMiB, 64, "%d documents at %.0f k/s, default settings, inserts going on", r.Docs, r.rate()/1000)
	return collection(b.client, ns).Drop(ctx)
}

func (b *bench) memoryLarge(ctx context.Context) error {
	if err := b.servers(ctx, false); err != nil {
		return err
	}
	ns, n := "bench.giants", b.n(60)
	giant := func(i int) bson.Raw {
		raw, _ := bson.Marshal(bson.D{{Key: "_id", Value: i}, {Key: "text", Value: string(make15MB())}})
		return raw
	}
	coll := collection(b.client, ns)
	for i := range n {
		if _, err := coll.ReplaceOne(ctx, bson.D{{Key: "_id", Value: i}}, giant(i), upsert()); err != nil {
			return err
		}
	}
	p := params{URI: b.mongod.URI(), Namespaces: []string{ns}, State: b.state("memory-large"), N: int64(n)}
	r, err := measure(ctx, "sluice-snapshot", p)
	if err != nil {
		return err
	}
	b.note("memory: MiB, documents of 15 MB", fmt.Sprintf("%.0f", r.RSSMiB), "told", true, fmt.Sprintf("%d documents", r.Docs))
	return coll.Drop(ctx)
}
