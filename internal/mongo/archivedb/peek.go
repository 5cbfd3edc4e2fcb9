package archivedb

import (
	"bytes"
	"context"
	"crypto/sha256"
	"slices"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"sluice/internal/cold"
	"sluice/internal/flow"
	source "sluice/internal/mongo"
)

// Peek tells what Restore would do, and writes nothing. What only the server can
// tell, it does not foresee: secondary unique indexes, and documents that it
// refuses. The returns are in the order of docs.
func (db *DB) Peek(ctx context.Context, ns flow.Namespace, docs []cold.Homecoming, on cold.OnConflict) ([]cold.Return, error) {
	ids := make(bson.A, len(docs))
	for i, d := range docs {
		ids[i] = d.ID
	}
	coll := db.client.Database(ns.DB).Collection(ns.Coll, options.Collection().
		SetReadPreference(readpref.Primary()).SetReadConcern(readconcern.Majority()))
	cur, err := coll.Find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}},
		options.Find().SetCollation(&options.Collation{Locale: "simple"}))
	if err != nil {
		return nil, source.Fault("read", ns.String(), err)
	}
	defer func() { _ = cur.Close(context.WithoutCancel(ctx)) }()
	returns := make([]cold.Return, len(docs))
	for i := range returns {
		returns[i].Returned = cold.Inserted
	}
	at := map[string]int{}
	for i, d := range docs {
		at[peekKey(d.ID)] = i
	}
	for cur.Next(ctx) {
		i, ok := at[peekKey(cur.Current.Lookup("_id"))]
		if !ok {
			continue
		}
		returns[i] = foresee(docs[i], bytes.Clone(cur.Current), on)
	}
	return returns, source.Fault("read", ns.String(), cur.Err())
}

// peekKey is a key by type and bytes, but equal whole numbers are one key.
func peekKey(id bson.RawValue) string {
	if n, ok := id.AsInt64OK(); ok && (id.Type != bson.TypeDouble || float64(n) == id.Double()) {
		return "n" + strconv.FormatInt(n, 10)
	}
	return string([]byte{byte(id.Type)}) + string(id.Value)
}

// foresee is what becomes of d where live is.
func foresee(d cold.Homecoming, live bson.Raw, on cold.OnConflict) cold.Return {
	if bytes.Equal(live, d.Doc) {
		return cold.Return{Returned: cold.Equal}
	}
	if on == cold.ReplaceOlder && slices.Contains(d.Replaceable, cold.Hash(sha256.Sum256(live))) {
		return cold.Return{Returned: cold.Replaced}
	}
	return cold.Return{Returned: cold.Conflicting, Live: live}
}
