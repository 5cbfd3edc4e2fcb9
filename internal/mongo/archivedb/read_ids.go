package archivedb

import (
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/cold"
	source "sluice/internal/mongo"
)

// ReadIDs returns those of the documents with these _id values that belong to
// sel, in order of _id, committed by a majority, from the primary. All are held
// at once: the caller bounds how many it asks for. At is the cluster time of
// the last reply.
func (db *DB) ReadIDs(ctx context.Context, sel cold.Selection, ids []bson.RawValue) (cold.Read, error) {
	var r cold.Read
	if len(ids) == 0 {
		return r, nil
	}
	sess, err := db.client.StartSession(options.Session().SetCausalConsistency(false))
	if err != nil {
		return r, source.Fault("start a session at", db.uri, err)
	}
	defer sess.EndSession(ctx)
	query := bson.D{{Key: "$and", Value: bson.A{
		bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}},
		withFilter(sel, cold.Bounds{}),
	}}}
	hint := options.Find().SetHint(bson.D{{Key: "_id", Value: 1}})
	cur, err := db.data(sel.NS).Find(mongo.NewSessionContext(ctx, sess), query, hint)
	if err == nil {
		for cur.Next(ctx) {
			if _, ok := belongs(cur.Current, sel, cold.Bounds{}); ok && asked(ids, cur.Current.Lookup("_id")) {
				r.Docs = append(r.Docs, cur.Current)
			}
		}
		if err = cur.Err(); err == nil {
			err = cur.Close(ctx)
		}
	}
	if err != nil {
		return cold.Read{}, db.explained("read documents by _id from", sel.NS, err, right{sel.NS.DB, sel.NS.Coll, "find"})
	}
	if t := sess.OperationTime(); t != nil {
		r.At = *t
	}
	return r, nil
}

// asked leaves out what only a collation takes for the same: "BOB" for "bob".
func asked(ids []bson.RawValue, id bson.RawValue) bool {
	if id.Type != bson.TypeString && id.Type != bson.TypeSymbol && id.Type != bson.TypeEmbeddedDocument {
		return true
	}
	return slices.ContainsFunc(ids, id.Equal)
}
