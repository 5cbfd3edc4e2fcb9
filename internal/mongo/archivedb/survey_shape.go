package archivedb

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"sluice/internal/cold"
	"sluice/internal/flow"
)

// shape is what a collection is, whatever lies in it.
type shape struct {
	kind      string
	uuid      string
	options   bson.Raw
	collation bson.Raw
	indexes   []bson.Raw
	choice    choice
}

// data is the collection of ns as it is read and deleted from: the primary,
// majority.
func (db *DB) data(ns flow.Namespace) *mongo.Collection {
	return db.client.Database(ns.DB).Collection(ns.Coll, options.Collection().
		SetReadPreference(readpref.Primary()).
		SetReadConcern(readconcern.Majority()).
		SetWriteConcern(writeconcern.Majority()))
}

// shapeOf looks at the collection of sel, and chooses the index.
func (db *DB) shapeOf(ctx context.Context, sel cold.Selection) (shape, error) {
	info, err := db.info(ctx, sel.NS)
	if err != nil {
		return shape{}, err
	}
	s := shape{kind: kindOf(info)}
	if s.kind == cold.KindMissing {
		return s, nil
	}
	if o, ok := info.Lookup("options").DocumentOK(); ok {
		s.options = o
		s.collation, _ = o.Lookup("collation").DocumentOK()
	}
	if _, id, ok := info.Lookup("info", "uuid").BinaryOK(); ok && len(id) == 16 {
		s.uuid = fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
	}
	if s.kind == cold.KindView || s.kind == cold.KindTimeSeries {
		return s, nil
	}
	cur, err := db.data(sel.NS).Indexes().List(ctx)
	if err == nil {
		s.indexes, err = all(ctx, cur)
	}
	if serverCode(err) == codeNamespaceNotFound {
		return shape{kind: cold.KindMissing}, nil
	}
	if err != nil {
		return s, db.explained("list the indexes of", sel.NS, err, right{sel.NS.DB, sel.NS.Coll, "listIndexes"})
	}
	s.choice = choose(sel, s.indexes, s.collation)
	return s, nil
}

// info is what listCollections says of ns, nil if there is none.
func (db *DB) info(ctx context.Context, ns flow.Namespace) (bson.Raw, error) {
	cur, err := db.client.Database(ns.DB).ListCollections(ctx, bson.D{{Key: "name", Value: ns.Coll}})
	var infos []bson.Raw
	if err == nil {
		infos, err = all(ctx, cur)
	}
	if err != nil {
		return nil, db.explained("look up", ns, err, right{ns.DB, "", "listCollections"})
	}
	if len(infos) == 0 {
		return nil, nil
	}
	return infos[0], nil
}

// all reads a cursor to its end.
func all(ctx context.Context, cur *mongo.Cursor) ([]bson.Raw, error) {
	var docs []bson.Raw
	for cur.Next(ctx) {
		docs = append(docs, slices.Clone(cur.Current))
	}
	return docs, errors.Join(cur.Err(), cur.Close(ctx))
}

func kindOf(info bson.Raw) string {
	if info == nil {
		return cold.KindMissing
	}
	switch typ, _ := info.Lookup("type").StringValueOK(); typ {
	case "view":
		return cold.KindView
	case "timeseries":
		return cold.KindTimeSeries
	}
	if capped, _ := info.Lookup("options", "capped").BooleanOK(); capped {
		return cold.KindCapped
	}
	return cold.KindCollection
}

// totals asks for the size of the collection; estimates of the server.
func (db *DB) totals(ctx context.Context, ns flow.Namespace) (docs, bytes int64, err error) {
	cur, err := db.data(ns).Aggregate(ctx, mongo.Pipeline{{{Key: "$collStats", Value: bson.D{{Key: "storageStats", Value: bson.D{}}}}}})
	var parts []bson.Raw // one per shard
	if err == nil {
		parts, err = all(ctx, cur)
	}
	if err != nil {
		return 0, 0, db.explained("ask for the size of", ns, err, right{ns.DB, ns.Coll, "collStats"})
	}
	for _, p := range parts {
		n, _ := p.Lookup("storageStats", "count").AsInt64OK()
		size, _ := p.Lookup("storageStats", "size").AsInt64OK()
		docs, bytes = docs+n, bytes+size
	}
	return docs, bytes, nil
}

// sharding asks for the shard key of ns; nil if it is not sharded.
func (db *DB) sharding(ctx context.Context, ns flow.Namespace) (bson.Raw, error) {
	raw, err := db.client.Database("config").Collection("collections").
		FindOne(ctx, bson.D{{Key: "_id", Value: ns.String()}, {Key: "dropped", Value: bson.D{{Key: "$ne", Value: true}}}}).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil, nil
	}
	if err != nil {
		return nil, db.explained("ask for the shard key of", ns, err, right{"config", "collections", "find"})
	}
	key, _ := raw.Lookup("key").DocumentOK()
	return slices.Clone(key), nil
}
