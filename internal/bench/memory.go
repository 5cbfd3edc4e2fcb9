package main

import (
	"bytes"
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/transcode/shapes"
)

// memorySmall takes the peak memory of a copy of many small documents while
// inserts go on, so that stream and snapshot run together.
func (b *bench) memorySmall(ctx context.Context) error {
	if err := b.servers(ctx, false); err != nil {
		return err
	}
	ns, n := "bench.five_million", b.n(5_000_000)
	if err := b.fill(ctx, ns, n, shapes.Small); err != nil {
		return err
	}
	p := b.params(ns, n)
	p.State = b.state("memory-small")
	stop := b.keepInserting(ctx, ns, n)
	r, err := measure(ctx, "sluice-snapshot", p)
	if werr := stop(); err == nil {
		err = werr
	}
	if err != nil {
		return err
	}
	b.atMost("memory, small documents: peak RSS in MiB", r.RSSMiB, 64,
		"snapshot of %d documents at %.0f k/s, %d changes of the stream at the same time, discarding, default settings", r.Docs, r.rate()/1000, r.Stream)
	return collection(b.client, ns).Drop(ctx)
}

// keepInserting inserts documents from number on until stop, which returns the
// first error.
func (b *bench) keepInserting(ctx context.Context, ns string, number int) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		for at := number; ctx.Err() == nil; at += 2000 {
			if err := insert(ctx, collection(b.client, ns), at, 2000, shapes.Small); err != nil && ctx.Err() == nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	return func() error {
		cancel()
		return <-ended
	}
}

// memoryLarge tells the peak memory with documents near the largest there are.
func (b *bench) memoryLarge(ctx context.Context) error {
	if err := b.servers(ctx, false); err != nil {
		return err
	}
	ns, n := "bench.giants", max(4, b.n(60))
	coll := collection(b.client, ns)
	text := string(bytes.Repeat([]byte("lorem ipsum dol\n"), 15<<16)) // 15 MiB
	for i := range n {
		id := bson.D{{Key: "_id", Value: i}}
		if _, err := coll.ReplaceOne(ctx, id, append(id, bson.E{Key: "text", Value: text}), upsert()); err != nil {
			return err
		}
	}
	p := b.params(ns, n)
	p.State = b.state("memory-large")
	r, err := measure(ctx, "sluice-snapshot", p)
	if err != nil {
		return err
	}
	b.told("memory, documents of 15 MB: peak RSS in MiB", r.RSSMiB, "snapshot of %d documents, discarding, default settings", r.Docs)
	return coll.Drop(ctx)
}
