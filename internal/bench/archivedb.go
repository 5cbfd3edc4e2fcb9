package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/lease"
	"sluice/internal/mongo/archivedb"
	"sluice/internal/transcode/shapes"
)

// deletes compares the guarded deletes of the archive with a DeleteOne per
// document by 16 workers, which compares nothing.
func (b *bench) deletes(ctx context.Context) error {
	if err := b.servers(ctx, false); err != nil {
		return err
	}
	ns, n := "bench.deletes", b.n(40_000)
	refill := func(ctx context.Context, _ int) error { return b.fill(ctx, ns, n, shapes.Medium) }
	same := func(int) params { return b.params(ns, n) }
	all, err := b.duel(ctx, 0, [2]contender{
		{piece: "delete-one", params: same, before: refill},
		{piece: "sluice-delete", params: same, before: refill},
	})
	if err != nil {
		return err
	}
	one, ours := all[0], all[1]
	b.atLeast("archive: rate of compared deletes over DeleteOne by 16 workers", ours.rate()/one.rate(), 8,
		"%.1f k and %.1f k deletes/s; %d documents of 1.5 KB; %.1f and %.1f µs of CPU each",
		ours.rate()/1000, one.rate()/1000, n, ours.cpu(), one.cpu())
	return collection(b.client, ns).Drop(ctx)
}

// restores compares restore, which reads back what it wrote, with unordered
// InsertMany of the driver, which does not.
func (b *bench) restores(ctx context.Context) error {
	if err := b.servers(ctx, false); err != nil {
		return err
	}
	ns, n := "bench.restores", b.n(60_000)
	empty := func(ctx context.Context, _ int) error { return collection(b.client, ns).Drop(ctx) }
	same := func(int) params { return b.params(ns, n) }
	all, err := b.duel(ctx, 0, [2]contender{
		{piece: "insert-many", params: same, before: empty},
		{piece: "sluice-restore", params: same, before: empty},
	})
	if err != nil {
		return err
	}
	plain, ours := all[0], all[1]
	b.atLeast("archive: rate of restore over unordered InsertMany", ours.rate()/plain.rate(), 1,
		"%.0f k and %.0f k documents/s; %d documents of 1.5 KB, restored ones read back and compared; %.1f and %.1f µs of CPU each",
		ours.rate()/1000, plain.rate()/1000, n, ours.cpu(), plain.cpu())
	return collection(b.client, ns).Drop(ctx)
}

// deleteOne is what simple archivers do: a DeleteOne per document, by 16 workers.
func deleteOne(ctx context.Context, p params) (result, error) {
	c, err := connect(p.URI)
	if err != nil {
		return result{}, err
	}
	defer func() { _ = c.Disconnect(ctx) }()
	coll := collection(c, p.Namespaces[0])
	doomed, err := readDoomed(ctx, coll)
	if err != nil {
		return result{}, err
	}
	g, inside := errgroup.WithContext(ctx)
	g.SetLimit(16)
	start := time.Now()
	for _, d := range doomed {
		g.Go(func() error {
			_, err := coll.DeleteOne(inside, bson.D{{Key: "_id", Value: d.ID}})
			return err
		})
	}
	err = g.Wait()
	return result{Docs: int64(len(doomed)), Seconds: since(start)}, err
}

// readDoomed reads what the manifest of a pack would hold.
func readDoomed(ctx context.Context, coll *mongo.Collection) ([]cold.Doomed, error) {
	cur, err := coll.Find(ctx, bson.D{}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		return nil, err
	}
	var doomed []cold.Doomed
	for cur.Next(ctx) {
		id := cur.Current.Lookup("_id")
		id.Value = append([]byte(nil), id.Value...)
		doomed = append(doomed, cold.Doomed{Entry: len(doomed), ID: id, Hash: sha256.Sum256(cur.Current)})
	}
	return doomed, cur.Err()
}

// sluiceDelete deletes a collection as the documents of one pack.
func sluiceDelete(ctx context.Context, p params) (result, error) {
	db, err := archivedb.Open(ctx, archivedb.Options{URI: p.URI, Database: "bench_archive"})
	if err != nil {
		return result{}, err
	}
	defer func() { _ = db.Close(ctx) }()
	c, err := connect(p.URI)
	if err != nil {
		return result{}, err
	}
	defer func() { _ = c.Disconnect(ctx) }()
	if err := c.Database("bench_archive").Drop(ctx); err != nil {
		return result{}, err
	}
	doomed, err := readDoomed(ctx, collection(c, p.Namespaces[0]))
	if err != nil {
		return result{}, err
	}
	ns, _ := flow.ParseNamespace(p.Namespaces[0])
	guard := cold.Guard{
		Fence:        cold.Fence{Lease: "bench", Owner: "bench", Number: 1},
		Selection:    cold.Selection{NS: ns, Field: "created", Kind: cold.AgeDate, Before: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)},
		Pack:         cold.Pack{ID: "p", Rule: "bench", NS: ns.String(), State: cold.PackDeleting, Fence: 1, Docs: len(doomed)},
		Transactions: true,
	}
	if err := db.Leases().Save(ctx, lease.Row{}, lease.Row{Name: "bench", Owner: "bench", Fence: 1, TTL: time.Hour}); err != nil {
		return result{}, err
	}
	if err := db.PutPack(ctx, guard.Pack, ""); err != nil {
		return result{}, err
	}
	start := time.Now()
	d, err := db.Begin(ctx, guard)
	if err != nil {
		return result{}, err
	}
	r, err := deleteAll(ctx, d, doomed)
	r.Seconds = since(start)
	if cerr := d.Close(ctx); err == nil {
		err = cerr
	}
	return r, err
}

func deleteAll(ctx context.Context, d *archivedb.Deletion, doomed []cold.Doomed) (result, error) {
	const batch = 1000
	for at := 0; at < len(doomed); at += batch {
		fates, err := d.Delete(ctx, at, doomed[at:min(at+batch, len(doomed))])
		if err != nil {
			return result{}, err
		}
		for _, f := range fates {
			if f.Outcome != cold.Deleted {
				return result{}, fmt.Errorf("entry %d is %s", f.Entry, f.Outcome)
			}
		}
	}
	return result{Docs: int64(len(doomed))}, nil
}

// insertMany inserts documents in memory in one call of the driver.
func insertMany(ctx context.Context, p params) (result, error) {
	return insertAll(ctx, p, shapes.Medium)
}

func insertAll(ctx context.Context, p params, doc shape) (result, error) {
	c, err := connect(p.URI)
	if err != nil {
		return result{}, err
	}
	defer func() { _ = c.Disconnect(ctx) }()
	docs := make([]any, p.N)
	for i := range docs {
		docs[i] = doc(i)
	}
	start := time.Now()
	_, err = collection(c, p.Namespaces[0]).InsertMany(ctx, docs, options.InsertMany().SetOrdered(false))
	return result{Docs: p.N, Seconds: since(start)}, err
}

// sluiceRestore restores the same documents.
func sluiceRestore(ctx context.Context, p params) (result, error) {
	db, err := archivedb.Open(ctx, archivedb.Options{URI: p.URI})
	if err != nil {
		return result{}, err
	}
	defer func() { _ = db.Close(ctx) }()
	docs := make([]cold.Homecoming, p.N)
	for i := range docs {
		doc := shapes.Medium(i)
		docs[i] = cold.Homecoming{ID: doc.Lookup("_id"), Doc: doc}
	}
	ns, _ := flow.ParseNamespace(p.Namespaces[0])
	start := time.Now()
	out, err := db.Restore(ctx, ns, docs, cold.KeepLive)
	r := result{Docs: p.N, Seconds: since(start)}
	for i := range out {
		if err == nil && out[i].Returned != cold.Inserted {
			err = fmt.Errorf("document %d: %s", i, out[i].Returned)
		}
	}
	return r, err
}
