package archivedb

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/cold"
	"sluice/internal/lease"
)

// RunQuery says which runs are wanted. Empty fields ask for nothing; Limit 0 is
// all.
type RunQuery struct {
	Rule, NS string
	IDs      []string
	States   []cold.RunState
	Limit    int
}

// PutRun keeps r, in the place of its older row if there is one. A stored row
// with a higher fence stays: the error then wraps lease.ErrLost, class
// Conflict. Times are kept in milliseconds.
func (db *DB) PutRun(ctx context.Context, r cold.Run) error {
	const op = "write the run"
	fits := bson.D{{Key: "_id", Value: r.ID}, {Key: "fence", Value: bson.D{{Key: "$lte", Value: r.Fence}}}}
	// The insert of an upsert fails when the row is there under a higher fence,
	// or when another process inserts it right now: a second look tells.
	for try := 0; ; try++ {
		_, err := db.coll(runsColl).ReplaceOne(ctx, fits, r, options.Replace().SetUpsert(true))
		if !mongo.IsDuplicateKeyError(err) {
			return db.ownFault(op, runsColl, err)
		}
		var stored cold.Run
		err = db.coll(runsColl).FindOne(ctx, bson.D{{Key: "_id", Value: r.ID}}).Decode(&stored)
		if err != nil && (try > 2 || !errors.Is(err, mongo.ErrNoDocuments)) {
			return db.ownFault(op, runsColl, err)
		}
		if stored.Fence > r.Fence || try > 2 {
			return lost(op, r.ID, r.Fence, stored.Fence)
		}
	}
}

// lost says that a row has a higher fence than ours.
func lost(op, id string, ours, stored int64) error {
	return conflict(op, id, lease.ErrLost, fmt.Sprintf("it was changed under the fencing number %d, ours is %d", stored, ours))
}

// Runs returns the runs that q asks for, the newest first.
func (db *DB) Runs(ctx context.Context, q RunQuery) ([]cold.Run, error) {
	query := equal(bson.D{}, "rule", q.Rule)
	query = equal(query, "ns", q.NS)
	query = among(query, "_id", q.IDs)
	query = among(query, "state", q.States)
	o := options.Find().SetSort(bson.D{{Key: "_id", Value: -1}}).SetLimit(int64(max(q.Limit, 0)))
	return rows[cold.Run](ctx, db, runsColl, "read the runs", query, o)
}

func equal(q bson.D, field, value string) bson.D {
	if value == "" {
		return q
	}
	return append(q, bson.E{Key: field, Value: value})
}

func among[T any](q bson.D, field string, values []T) bson.D {
	if len(values) == 0 {
		return q
	}
	return append(q, bson.E{Key: field, Value: bson.D{{Key: "$in", Value: values}}})
}

// rows reads rows of the archive's own.
func rows[T any](ctx context.Context, db *DB, coll, op string, query bson.D, o ...options.Lister[options.FindOptions]) ([]T, error) {
	cur, err := db.coll(coll).Find(ctx, query, o...)
	if err != nil {
		return nil, db.ownFault(op, coll, err)
	}
	var all []T
	err = cur.All(ctx, &all)
	return all, db.ownFault(op, coll, err)
}
