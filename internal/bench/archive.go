package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/transcode/shapes"
)

// old is an order of the shape medium, one made each second from 2020 on.
func old(i int) bson.Raw {
	doc := shapes.Medium(i)
	at := time.Date(2020, 1, 1, 0, 0, i, 0, time.UTC).UnixMilli()
	binary.LittleEndian.PutUint64(doc.Lookup("created").Value, uint64(at))
	return doc
}

// fillOld makes a collection hold n old documents, with the index that a rule
// needs, and gives the server time to bring its cache in order.
func (b *bench) fillOld(ctx context.Context, ns string, n int, doc shape) error {
	if err := b.emptyOld(ctx, ns); err != nil {
		return err
	}
	if err := insert(ctx, collection(b.client, ns), 0, n, doc); err != nil {
		return err
	}
	return b.client.Database("admin").RunCommand(ctx, bson.D{{Key: "fsync", Value: 1}}).Err()
}

// emptyOld makes it anew without documents.
func (b *bench) emptyOld(ctx context.Context, ns string) error {
	coll := collection(b.client, ns)
	if err := coll.Drop(ctx); err != nil {
		return err
	}
	_, err := coll.Indexes().CreateOne(ctx, mongo.IndexModel{Keys: bson.D{{Key: "created", Value: 1}, {Key: "_id", Value: 1}}})
	return err
}

// archiving is sluice-archive with n documents and a directory of its own in each round.
func (b *bench) archiving(ns string, n int) contender {
	state := func(round int) string { return b.state(fmt.Sprintf("%s-%d-%d", ns, n, round)) }
	return contender{
		piece: "sluice-archive",
		before: func(ctx context.Context, round int) error {
			if err := os.RemoveAll(state(round - 1)); err != nil {
				return err
			}
			return b.fillOld(ctx, ns, n, old)
		},
		params: func(round int) params {
			p := b.params(ns, n)
			p.State = state(round)
			return p
		},
	}
}

// archiveEndToEnd compares everything that an archive run does with go-chive's
// loop, which reads nothing back and compares nothing.
func (b *bench) archiveEndToEnd(ctx context.Context) error {
	if err := b.servers(ctx, false); err != nil {
		return err
	}
	ns, n := "bench.archived", b.n(60_000)
	ours := b.archiving(ns, n)
	theirs := ours
	theirs.piece = "go-chive"
	theirs.params = func(round int) params {
		p := ours.params(round)
		p.State += "-go-chive"
		return p
	}
	all, err := b.duel(ctx, 0, [2]contender{theirs, ours})
	if err != nil {
		return err
	}
	loop, run := all[0], all[1]
	b.atLeast("archive: rate over go-chive's loop", run.rate()/loop.rate(), 3,
		"%.1f k and %.1f k documents/s from read to deleted; %d documents of 1.5 KB; %s", run.rate()/1000, loop.rate()/1000, n, run.phases())
	b.atMost("archive: CPU over go-chive's loop", run.cpu()/loop.cpu(), 0.1,
		"%.1f and %.1f µs of CPU a document", run.cpu(), loop.cpu())
	return collection(b.client, ns).Drop(ctx)
}

// phases tells the share of each phase in the fastest run.
func (all runs) phases() string {
	best := all[0]
	for _, r := range all[1:] {
		if r.rate() > best.rate() {
			best = r
		}
	}
	var parts []string
	for _, p := range best.Phases {
		parts = append(parts, fmt.Sprintf("%s %.0f %%", p.Name, 100*p.Seconds/best.Seconds))
	}
	return "of the time: " + strings.Join(parts, ", ")
}

// archiveLinear compares ten times the documents.
func (b *bench) archiveLinear(ctx context.Context) error {
	if err := b.servers(ctx, false); err != nil {
		return err
	}
	few, many := b.n(40_000), 10*b.n(40_000)
	all, err := b.duel(ctx, 0, [2]contender{b.archiving("bench.archived_few", few), b.archiving("bench.archived_many", many)})
	if err != nil {
		return err
	}
	one, ten := all[0], all[1]
	seconds := func(r result) float64 { return r.Seconds }
	cpu := func(r result) float64 { return r.CPU }
	b.atMost("archive: time of ten times the documents", ten.best(seconds, lower)/one.best(seconds, lower), 10.5,
		"%.2f s for %d and %.2f s for %d documents of 1.5 KB", one.best(seconds, lower), few, ten.best(seconds, lower), many)
	b.atMost("archive: CPU of ten times the documents", ten.best(cpu, lower)/one.best(cpu, lower), 10.5,
		"%.2f s and %.2f s; peak RSS %.0f and %.0f MiB", one.best(cpu, lower), ten.best(cpu, lower), one.rss(), ten.rss())
	for _, ns := range []string{"bench.archived_few", "bench.archived_many"} {
		if err := collection(b.client, ns).Drop(ctx); err != nil {
			return err
		}
	}
	return nil
}

// archiveRestore compares a restore from packs, which reads back what it wrote
// and puts a hold on each key, with unordered InsertMany of the driver.
func (b *bench) archiveRestore(ctx context.Context) error {
	if err := b.servers(ctx, false); err != nil {
		return err
	}
	ns, n := "bench.restored", b.n(60_000)
	ours := b.archiving(ns, n)
	if err := ours.before(ctx, 0); err != nil {
		return err
	}
	p := ours.params(0)
	if _, err := measure(ctx, ours.piece, p); err != nil {
		return err
	}
	empty := func(ctx context.Context, _ int) error {
		if err := b.client.Database("sluice").Collection("archive_holds").Drop(ctx); err != nil {
			return err
		}
		return b.emptyOld(ctx, ns)
	}
	same := func(int) params { return p }
	all, err := b.duel(ctx, 0, [2]contender{
		{piece: "insert-old", params: same, before: empty},
		{piece: "sluice-restore-archive", params: same, before: empty},
	})
	if err != nil {
		return err
	}
	plain, back := all[0], all[1]
	b.atLeast("archive: rate of restore out of packs over unordered InsertMany", back.rate()/plain.rate(), 1,
		"%.0f k and %.0f k documents/s; %d documents of 1.5 KB and an index; %.1f and %.1f µs of CPU each",
		back.rate()/1000, plain.rate()/1000, n, back.cpu(), plain.cpu())
	return collection(b.client, ns).Drop(ctx)
}

// archiveMemory takes the peak memory of an archive run, and of a restore, over
// documents near the largest there are.
func (b *bench) archiveMemory(ctx context.Context) error {
	if err := b.servers(ctx, false); err != nil {
		return err
	}
	ns, n := "bench.archived_giants", max(4, b.n(40))
	if err := b.emptyOld(ctx, ns); err != nil {
		return err
	}
	for i := range n {
		if _, err := collection(b.client, ns).InsertOne(ctx, giant(i)); err != nil {
			return err
		}
	}
	p := b.params(ns, n)
	p.State = b.state("archive-memory")
	r, err := measure(ctx, "sluice-archive", p)
	if err != nil {
		return err
	}
	b.atMost("archive, documents of 16 MB: peak RSS in MiB", r.RSSMiB, 96,
		"%d documents of %.1f MB read, packed, uploaded, verified and deleted in %.1f s", r.Docs, float64(len(giant(0)))/1e6, r.Seconds)
	if r, err = measure(ctx, "sluice-restore-archive", p); err != nil {
		return err
	}
	b.told("restore, documents of 16 MB: peak RSS in MiB", r.RSSMiB, "the same documents in %.1f s", r.Seconds)
	return collection(b.client, ns).Drop(ctx)
}

// giant is a document of some 15.9 MB: long text that packs to about a half.
func giant(i int) bson.Raw {
	var parts []string
	for size, k := 0, i*1100; size < 15_870_000; k++ {
		text := shapes.Large(k).Lookup("body").StringValue()
		parts = append(parts, text)
		size += len(text)
	}
	doc, err := bson.Marshal(bson.D{
		{Key: "_id", Value: i},
		{Key: "created", Value: time.Date(2020, 1, 1, 0, 0, i, 0, time.UTC)},
		{Key: "text", Value: strings.Join(parts, "")},
	})
	if err != nil {
		return nil // text can always be encoded
	}
	return doc
}
