//go:build integration

package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// writer is a live user of a collection: it inserts, updates, replaces,
// deletes, inserts again what it deleted, and does the same in transactions
// that touch one key several times.
type writer struct {
	coll *mongo.Collection
	keys int
	ops  atomic.Int64

	stop context.CancelFunc
	wg   sync.WaitGroup
	err  atomic.Pointer[error]
}

// startWriter starts n goroutines that write to keys 0..keys-1 of coll until Stop.
func startWriter(t *testing.T, coll *mongo.Collection, keys, n int, seed uint64) *writer {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &writer{coll: coll, keys: keys, stop: cancel}
	for g := range n {
		w.wg.Go(func() {
			w.run(ctx, rand.New(rand.NewPCG(seed, uint64(g))))
		})
	}
	t.Cleanup(func() { cancel(); w.wg.Wait() })
	return w
}

// Stop ends the writer and fails the test if a write failed for good.
func (w *writer) Stop(t *testing.T) {
	t.Helper()
	w.stop()
	w.wg.Wait()
	if p := w.err.Load(); p != nil {
		t.Fatalf("writer: %v", *p)
	}
}

func (w *writer) run(ctx context.Context, r *rand.Rand) {
	for ctx.Err() == nil {
		err := w.step(ctx, r)
		if err != nil && ctx.Err() == nil && !passing(err) {
			w.err.CompareAndSwap(nil, &err)
			return
		}
		w.ops.Add(1)
	}
}

// passing tells errors that a user's program tries again after: elections,
// write conflicts, keys that two goroutines inserted at once.
func passing(err error) bool {
	var le mongo.LabeledError
	if errors.As(err, &le) && (le.HasErrorLabel("TransientTransactionError") || le.HasErrorLabel("RetryableWriteError") || le.HasErrorLabel("UnknownTransactionCommitResult")) {
		return true
	}
	var se mongo.ServerError
	if errors.As(err, &se) {
		for _, code := range []int{91, 189, 10058, 10107, 11600, 11602, 13435, 13436} { // an election; one that is met again on the retry has no label
			if se.HasErrorCode(code) {
				return true
			}
		}
	}
	return mongo.IsDuplicateKeyError(err) || mongo.IsNetworkError(err) || mongo.IsTimeout(err)
}

func (w *writer) step(ctx context.Context, r *rand.Rand) error {
	id := r.IntN(w.keys)
	if r.IntN(10) == 0 {
		return w.transaction(ctx, r)
	}
	return w.one(ctx, r, id)
}

// one does one random write to one key.
func (w *writer) one(ctx context.Context, r *rand.Rand, id int) error {
	var err error
	switch r.IntN(8) {
	case 0, 1:
		_, err = w.coll.ReplaceOne(ctx, bson.D{{Key: "_id", Value: id}}, body(r, id), options.Replace().SetUpsert(true))
	case 2, 3, 4:
		_, err = w.coll.UpdateByID(ctx, id, bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: 1}}}, {Key: "$set", Value: bson.D{{Key: "r", Value: r.Int64()}}}})
	case 5:
		_, err = w.coll.DeleteOne(ctx, bson.D{{Key: "_id", Value: id}})
	case 6:
		if _, err = w.coll.DeleteOne(ctx, bson.D{{Key: "_id", Value: id}}); err == nil {
			_, err = w.coll.InsertOne(ctx, body(r, id))
		}
	default:
		_, err = w.coll.UpdateMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: id}, {Key: "$lt", Value: id + 5}}}},
			bson.D{{Key: "$set", Value: bson.D{{Key: "many", Value: r.Int32()}}}})
	}
	return err
}

// transaction touches a few keys, some of them twice.
func (w *writer) transaction(ctx context.Context, r *rand.Rand) error {
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
	for i := range 2 + r.IntN(6) {
		if err := w.one(sc, r, (base+i%3)%w.keys); err != nil {
			_ = s.AbortTransaction(context.WithoutCancel(ctx))
			return err
		}
	}
	return s.CommitTransaction(ctx)
}

func body(r *rand.Rand, id int) bson.D {
	return bson.D{
		{Key: "_id", Value: id},
		{Key: "n", Value: r.IntN(1000)},
		{Key: "r", Value: r.Int64()},
		{Key: "name", Value: fmt.Sprintf("name-%d", r.IntN(100))},
		{Key: "tags", Value: bson.A{"a", "b"}},
	}
}

// seedDocs inserts n documents with _id 0..n-1.
func seedDocs(t *testing.T, coll *mongo.Collection, n int) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	for at := 0; at < n; at += 5000 {
		var batch []any
		for i := at; i < min(at+5000, n); i++ {
			batch = append(batch, body(r, i))
		}
		if _, err := coll.InsertMany(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
}
