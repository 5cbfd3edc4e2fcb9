package archivedb

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

type markKey struct {
	Rule string `bson:"rule"`
	NS   string `bson:"ns"`
}

// markRow is up to what age a rule has archived a collection.
type markRow struct {
	Key   markKey   `bson:"_id"`
	At    time.Time `bson:"at"`
	Fence int64     `bson:"fence"`
}

// Mark returns the high-water mark of a rule on a namespace: the first time
// that is not archived. Zero without one.
func (db *DB) Mark(ctx context.Context, rule, ns string) (time.Time, error) {
	row, err := db.mark(ctx, markKey{rule, ns})
	return row.At, err
}

func (db *DB) mark(ctx context.Context, key markKey) (markRow, error) {
	var row markRow
	err := db.coll(marksColl).FindOne(ctx, bson.D{{Key: "_id", Value: key}}).Decode(&row)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return markRow{}, nil
	}
	return row, db.ownFault("read the mark", marksColl, err)
}

// SetMark moves the mark to t, in milliseconds. It refuses when the mark was
// set under a higher fence: the error then wraps lease.ErrLost, class Conflict.
func (db *DB) SetMark(ctx context.Context, rule, ns string, t time.Time, fence int64) error {
	const op = "set the mark"
	key := markKey{rule, ns}
	fits := bson.D{{Key: "_id", Value: key}, {Key: "fence", Value: bson.D{{Key: "$lte", Value: fence}}}}
	for try := 0; ; try++ {
		_, err := db.coll(marksColl).ReplaceOne(ctx, fits, markRow{key, t, fence}, options.Replace().SetUpsert(true))
		if !mongo.IsDuplicateKeyError(err) {
			return db.ownFault(op, marksColl, err)
		}
		row, err := db.mark(ctx, key)
		if err != nil {
			return err
		}
		if row.Fence > fence || try > 2 {
			return lost(op, rule+" "+ns, fence, row.Fence)
		}
	}
}
