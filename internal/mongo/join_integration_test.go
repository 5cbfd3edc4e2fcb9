//go:build integration

package mongo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/testkit"
)

// writer writes random changes to a collection until it is stopped.
type writer struct {
	coll *mongo.Collection
	keys int
	wg   sync.WaitGroup
	stop context.CancelFunc
}

func startWriters(t *testing.T, coll *mongo.Collection, keys, n int) *writer {
	ctx, cancel := context.WithCancel(context.Background())
	w := &writer{coll: coll, keys: keys, stop: cancel}
	for g := range n {
		w.wg.Go(func() {
			r := rand.New(rand.NewPCG(7, uint64(g)))
			for ctx.Err() == nil {
				if err := w.step(ctx, r); err != nil && ctx.Err() == nil && !passing(err) {
					t.Error(err)
					return
				}
			}
		})
	}
	t.Cleanup(w.end)
	return w
}

func (w *writer) end() { w.stop(); w.wg.Wait() }

func passing(err error) bool {
	var le mongo.LabeledError
	var we mongo.WriteException
	if errors.As(err, &we) && we.WriteConcernError != nil {
		return true // it was written
	}
	var se mongo.ServerError
	if errors.As(err, &se) {
		for _, code := range []int{91, 189, 10058, 10107, 11600, 11602, 13435, 13436} { // an election; one that is met again on the retry has no label
			if se.HasErrorCode(code) {
				return true
			}
		}
	}
	return mongo.IsDuplicateKeyError(err) || mongo.IsNetworkError(err) || mongo.IsTimeout(err) ||
		errors.As(err, &le) && (le.HasErrorLabel("TransientTransactionError") || le.HasErrorLabel("RetryableWriteError") ||
			le.HasErrorLabel("UnknownTransactionCommitResult"))
}

func (w *writer) step(ctx context.Context, r *rand.Rand) error {
	if r.IntN(8) > 0 {
		return w.one(ctx, r, r.IntN(w.keys))
	}
	s, err := w.coll.Database().Client().StartSession()
	if err != nil {
		return err
	}
	defer s.EndSession(context.WithoutCancel(ctx))
	if err := s.StartTransaction(); err != nil {
		return err
	}
	sc := mongo.NewSessionContext(ctx, s)
	base := r.IntN(w.keys)
	for i := range 2 + r.IntN(8) {
		if err := w.one(sc, r, (base+i%3)%w.keys); err != nil {
			_ = s.AbortTransaction(context.WithoutCancel(ctx))
			return err
		}
	}
	return s.CommitTransaction(ctx)
}

func (w *writer) one(ctx context.Context, r *rand.Rand, id int) error {
	key := bson.D{{Key: "_id", Value: id}}
	var err error
	switch r.IntN(7) {
	case 0, 1:
		_, err = w.coll.ReplaceOne(ctx, key, body(r, id), options.Replace().SetUpsert(true))
	case 2, 3:
		_, err = w.coll.UpdateOne(ctx, key, bson.D{{Key: "$set", Value: bson.D{{Key: "r", Value: r.Int64()}}}})
	case 4:
		_, err = w.coll.DeleteOne(ctx, key)
	case 5:
		if _, err = w.coll.DeleteOne(ctx, key); err == nil {
			_, err = w.coll.InsertOne(ctx, body(r, id))
		}
	default:
		_, err = w.coll.UpdateMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: id}, {Key: "$lt", Value: id + 5}}}},
			bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: 1}}}})
	}
	return err
}

func body(r *rand.Rand, id int) bson.D {
	return bson.D{
		{Key: "_id", Value: id},
		{Key: "n", Value: r.IntN(1000)},
		{Key: "r", Value: r.Int64()},
		{Key: "text", Value: strings.Repeat("x", r.IntN(300))},
	}
}

func seed(t *testing.T, coll *mongo.Collection, n int) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	for at := 0; at < n; at += 5000 {
		var batch []any
		for i := at; i < min(at+5000, n); i++ {
			batch = append(batch, body(r, i))
		}
		_, err := coll.InsertMany(t.Context(), batch)
		must(t, err)
	}
}

// small makes many chunks and many replies of a small collection.
func small(uri string, colls ...*mongo.Collection) Options {
	o := Options{URI: uri, Snapshot: SnapshotOptions{Parallel: 3, ChunkBytes: 100 << 10, BatchBytes: 10 << 10}}
	for _, c := range colls {
		o.Namespaces = append(o.Namespaces, nsOf(c).String())
	}
	return o
}

func TestS4SnapshotJoinsStream(t *testing.T) {
	uri := testkit.SharedMongo(t).URI()
	for round := range rounds(2, 20) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			coll := newDB(t, uri).Collection("docs")
			seed(t, coll, 20000)
			w := startWriters(t, coll, 25000, 4)
			p := startPump(t, small(uri, coll), "", newModel())
			testkit.Eventually(t, 60e9, func() error {
				if k := p.m.kinds(nsOf(coll)); k != "<>" {
					return fmt.Errorf("controls so far: %s; %+v", k, p.s.Progress())
				}
				return p.failure()
			})
			w.end()
			p.waitEqual(coll)
			t.Logf("%d changes in %d batches", p.m.changes, p.m.batches)
		})
	}
}
