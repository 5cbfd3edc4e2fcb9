package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/transcode/shapes"
)

// streamInserts compares the rate at which inserts are followed with that of a
// reader of the change stream that does nothing else.
func (b *bench) streamInserts(ctx context.Context) error {
	if err := b.servers(ctx, false); err != nil {
		return err
	}
	const before = 1000
	ns, n := "bench.inserts", b.n(600_000)
	if err := b.fill(ctx, ns, before, shapes.Small); err != nil {
		return err
	}
	p, err := b.follow(ctx, ns, before)
	if err != nil {
		return err
	}
	if err := insert(ctx, collection(b.client, ns), before, n, shapes.Small); err != nil {
		return err
	}
	p.N = int64(n)
	raw, ours, err := b.race(ctx, p)
	if err != nil {
		return err
	}
	b.atLeast("stream of inserts, discarding: rate over a raw reader", ours.rate()/raw.rate(), 0.9,
		"%.0f k and %.0f k events/s; %.2f and %.2f µs of CPU an event; %d events; peak RSS %.0f MiB",
		ours.rate()/1000, raw.rate()/1000, ours.cpu(), raw.cpu(), n, ours.rss())
	return collection(b.client, ns).Drop(ctx)
}

// streamUpdates compares updates that are re-read in batches with a reader that
// lets the server look each one up.
func (b *bench) streamUpdates(ctx context.Context) error {
	if err := b.servers(ctx, false); err != nil {
		return err
	}
	ns, n := "bench.updates", b.n(100_000)
	if err := b.fill(ctx, ns, n, shapes.Medium); err != nil {
		return err
	}
	p, err := b.follow(ctx, ns, n)
	if err != nil {
		return err
	}
	if err := updateAll(ctx, collection(b.client, ns)); err != nil {
		return err
	}
	p.Lookup = true
	raw, ours, err := b.race(ctx, p)
	if err != nil {
		return err
	}
	b.atLeast("stream of updates, discarding: rate over a raw updateLookup reader", ours.rate()/raw.rate(), 1.4,
		"%.0f k and %.0f k updates/s; %.2f and %.2f µs of CPU an update; %d distinct documents; peak RSS %.0f MiB",
		ours.rate()/1000, raw.rate()/1000, ours.cpu(), raw.cpu(), n, ours.rss())
	queries := ours.best(func(r result) float64 { return float64(r.Queries) }, higher) // the worst run counts
	b.atMost("stream of updates: queries per 100 updates", queries*100/float64(n), 1, "%.0f queries for %d updates", queries, n)
	return collection(b.client, ns).Drop(ctx)
}

func updateAll(ctx context.Context, coll *mongo.Collection) error {
	_, err := coll.UpdateMany(ctx, bson.D{}, bson.D{{Key: "$inc", Value: bson.D{{Key: "bench", Value: 1}}}})
	return err
}

// race lets a raw reader and sluice read the same events.
func (b *bench) race(ctx context.Context, p params) (raw, ours runs, err error) {
	start := p.State
	all, err := b.duel(ctx, 0, [2]contender{
		{piece: "raw-stream", params: func(int) params { return p }},
		{
			piece: "sluice-stream",
			// Every round goes on from the same saved position.
			before: func(_ context.Context, round int) error {
				return os.CopyFS(fmt.Sprintf("%s-%d", start, round), os.DirFS(start))
			},
			params: func(round int) params {
				p := p
				p.State = fmt.Sprintf("%s-%d", start, round)
				return p
			},
		},
	})
	return all[0], all[1], err
}

// follow copies a namespace to its end, so that processes that get the same
// State go on with its stream. After is the time at which that begins.
func (b *bench) follow(ctx context.Context, ns string, n int) (params, error) {
	p := b.params(ns, n)
	p.State, p.Once, p.Profile = b.state("follow-"+ns), true, ""
	stop := b.nudge(ctx)
	_, err := measure(ctx, "sluice-snapshot", p)
	stop()
	if err != nil {
		return p, err
	}
	p.After, err = b.now(ctx)
	p.Once, p.Profile = false, b.profile
	return p, err
}

// nudge keeps the server's clock going by small writes elsewhere, so that a
// copy is final soon: an idle server moves its streams every ten seconds only.
func (b *bench) nudge(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			id := bson.D{{Key: "_id", Value: 1}}
			_, _ = collection(b.client, "bench_nudge.clock").ReplaceOne(ctx, id, append(id, bson.E{Key: "i", Value: i}), upsert()) // the next one will do
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}
