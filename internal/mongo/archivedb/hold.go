package archivedb

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
	"golang.org/x/sync/errgroup"

	"sluice/internal/flow"
)

// holdBatch is how many keys one command on the holds takes.
const holdBatch = 1000

// holdLanes is how many commands on the holds go on at once.
const holdLanes = 3

// Hold keeps the rules off keys of ns until a time: what was restored is not
// archived again at once (rule A8). A longer hold stays as long as it is.
func (db *DB) Hold(ctx context.Context, ns flow.Namespace, ids []bson.RawValue, until time.Time) error {
	g, inside := errgroup.WithContext(ctx)
	g.SetLimit(holdLanes)
	for part := range slices.Chunk(ids, holdBatch) {
		g.Go(func() error { return db.hold(inside, ns, part, until) })
	}
	return db.ownFault("write the holds", holdsColl, g.Wait())
}

// hold inserts the holds, which costs the server half of what an upsert does,
// and makes those longer that are there.
func (db *DB) hold(ctx context.Context, ns flow.Namespace, ids []bson.RawValue, until time.Time) error {
	err := db.own.RunCommand(ctx, holdCommand(ns, ids, until)).Err()
	for try := 0; try < restoreTries && err != nil && ctx.Err() == nil && restoreAgain(err); try++ {
		if err := pause(ctx, try); err != nil {
			return err
		}
		err = db.own.RunCommand(ctx, holdCommand(ns, ids, until)).Err()
	}
	var failed mongo.WriteException
	if !errors.As(err, &failed) || failed.WriteConcernError != nil {
		return err
	}
	var models []mongo.WriteModel
	for _, e := range failed.WriteErrors {
		if e.Code != codeDuplicateKey {
			return err
		}
		models = append(models, mongo.NewUpdateOneModel().SetUpsert(true).
			SetFilter(bson.D{{Key: "_id", Value: holdKey(ns, ids[e.Index])}}).
			SetUpdate(bson.D{{Key: "$max", Value: bson.D{{Key: "until", Value: until}}}}))
	}
	_, err = db.coll(holdsColl).BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
	return err
}

// holdCommand builds the insert by hand: the driver would take each row apart
// again to look for its _id.
func holdCommand(ns flow.Namespace, ids []bson.RawValue, until time.Time) bson.Raw {
	cmd := make([]byte, 4, 128*len(ids)+512)
	cmd = bsoncore.AppendStringElement(cmd, "insert", holdsColl)
	cmd = bsoncore.AppendBooleanElement(cmd, "ordered", false)
	cmd, at := appendDoc(cmd, bson.TypeEmbeddedDocument, "writeConcern")
	cmd = bsoncore.AppendStringElement(cmd, "w", "majority")
	cmd = end(cmd, at)
	cmd, list := appendDoc(cmd, bson.TypeArray, "documents")
	for n, id := range ids {
		var row, key int32
		cmd = appendName(cmd, bson.TypeEmbeddedDocument, n)
		row, cmd = bsoncore.ReserveLength(cmd)
		cmd, key = appendDoc(cmd, bson.TypeEmbeddedDocument, "_id")
		cmd = bsoncore.AppendStringElement(cmd, "ns", ns.String())
		cmd = bsoncore.AppendValueElement(cmd, "id", bsoncore.Value{Type: bsoncore.Type(id.Type), Data: id.Value})
		cmd = end(cmd, key)
		cmd = bsoncore.AppendDateTimeElement(cmd, "until", until.UnixMilli())
		cmd = end(cmd, row)
	}
	return finish(cmd, list)
}

func holdKey(ns flow.Namespace, id bson.RawValue) bson.D {
	return bson.D{{Key: "ns", Value: ns.String()}, {Key: "id", Value: id}}
}

// Held returns which of ids are on hold, by their place in ids, and until when.
// The time that counts is the server's.
func (db *DB) Held(ctx context.Context, ns flow.Namespace, ids []bson.RawValue) (map[int]time.Time, error) {
	held := map[int]time.Time{}
	for from := 0; from < len(ids); from += holdBatch {
		part := ids[from:min(from+holdBatch, len(ids))]
		keys := make(bson.A, len(part))
		for i, id := range part {
			keys[i] = holdKey(ns, id)
		}
		type hold struct {
			Key struct {
				ID bson.RawValue `bson:"id"`
			} `bson:"_id"`
			Until time.Time `bson:"until"`
		}
		found, err := rows[hold](ctx, db, holdsColl, "read the holds", append(among(bson.D{}, "_id", keys), notOver()...))
		if err != nil {
			return nil, err
		}
		until := make(map[string]time.Time, len(found))
		for _, h := range found {
			until[numberText(h.Key.ID)] = h.Until.UTC()
		}
		for i, id := range part {
			if t, ok := until[numberText(id)]; ok {
				held[from+i] = t
			}
		}
	}
	return held, nil
}

// notOver is the condition that a hold has not ended, by the server's clock.
func notOver() bson.D {
	return bson.D{{Key: "$expr", Value: bson.D{{Key: "$gt", Value: bson.A{"$until", "$$NOW"}}}}}
}

// numberText is keyText, but the same for equal whole numbers of any type but
// Decimal128: the server takes them for the same key.
func numberText(id bson.RawValue) string {
	if f, ok := id.DoubleOK(); ok && f == float64(int64(f)) {
		return "n" + string(int64Bytes(int64(f)))
	}
	if n, ok := id.AsInt64OK(); ok && (id.Type == bson.TypeInt32 || id.Type == bson.TypeInt64) {
		return "n" + string(int64Bytes(n))
	}
	return keyText(id)
}

// allHolds is the range of the keys of ns in the index.
func allHolds(ns flow.Namespace) bson.D {
	least := bson.RawValue{Type: bson.TypeMinKey}
	most := bson.RawValue{Type: bson.TypeMaxKey}
	return bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: holdKey(ns, least)}, {Key: "$lte", Value: holdKey(ns, most)}}}}
}

// HasHolds tells whether any key of ns is on hold.
func (db *DB) HasHolds(ctx context.Context, ns flow.Namespace) (bool, error) {
	one := options.Find().SetLimit(1).SetProjection(bson.D{{Key: "_id", Value: 1}})
	found, err := rows[bson.Raw](ctx, db, holdsColl, "read the holds", append(allHolds(ns), notOver()...), one)
	return len(found) > 0, err
}

// ReleaseHolds removes the holds of ns that end at or before a time, and returns
// how many there were. A zero time removes all.
func (db *DB) ReleaseHolds(ctx context.Context, ns flow.Namespace, before time.Time) (int64, error) {
	filter := allHolds(ns)
	if !before.IsZero() {
		filter = append(filter, bson.E{Key: "until", Value: bson.D{{Key: "$lte", Value: before}}})
	}
	res, err := db.coll(holdsColl).DeleteMany(ctx, filter)
	if err != nil {
		return 0, db.ownFault("remove the holds", holdsColl, err)
	}
	return res.DeletedCount, nil
}
