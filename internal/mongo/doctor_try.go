package mongo

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"sluice/internal/flow"
)

// sampleBytes bounds what Sample returns.
const sampleBytes = 8 << 20

// Sample returns up to n documents of c that fit the flow's filter: the oldest
// and the newest by _id. The bytes are the caller's.
func (d *Doctor) Sample(ctx context.Context, o Options, c Collection, n int) ([]bson.Raw, error) {
	s, err := d.source(o)
	if err != nil {
		return nil, err
	}
	ctx, done := context.WithTimeout(ctx, doctorPatience)
	defer done()
	filter := any(bson.D{})
	if q := s.sel.filter(c.NS); q != nil {
		filter = q
	}
	coll := d.client.Database(c.NS.DB).Collection(c.NS.Coll, options.Collection().SetReadPreference(s.prefs.copies))
	var docs []bson.Raw
	for _, way := range []int{1, -1} {
		find := options.Find().SetLimit(int64(max(1, n/2)))
		if c.Kind == KindView {
			find.SetLimit(int64(n))
		} else {
			find.SetSort(bson.D{{Key: "_id", Value: way}})
		}
		docs, err = gather(ctx, coll, filter, find, docs)
		if err != nil {
			return docs, fault("read a sample of", c.NS.String(), err)
		}
		if c.Kind == KindView {
			break
		}
	}
	return docs, nil
}

// gather appends what find finds, without what docs has already.
func gather(ctx context.Context, coll *mongo.Collection, filter any, find *options.FindOptionsBuilder, docs []bson.Raw) ([]bson.Raw, error) {
	cur, err := coll.Find(ctx, filter, find)
	if err != nil {
		return docs, err
	}
	defer func() { _ = cur.Close(context.WithoutCancel(ctx)) }()
	total, before := 0, docs
	for cur.Next(ctx) && total < sampleBytes/2 {
		id := cur.Current.Lookup("_id")
		same := func(o bson.Raw) bool {
			return bytes.Equal(o.Lookup("_id").Value, id.Value) && o.Lookup("_id").Type == id.Type
		}
		if slices.ContainsFunc(before, same) {
			continue
		}
		total += len(cur.Current)
		docs = append(docs, slices.Clone(cur.Current))
	}
	return docs, cur.Err()
}

// Writes tries whether we may keep what is ours in the database db: make a
// collection with an index, insert, update, find and remove. All of it happens
// in a transaction that is given up; a standalone server is asked for what
// changes nothing. why says who needs it.
func (d *Doctor) Writes(ctx context.Context, db, why string) flow.Findings {
	const check = "mongodb.own_database"
	var f flow.Findings
	ctx, done := context.WithTimeout(ctx, doctorPatience)
	defer done()
	own := d.client.Database(db, options.Database().SetReadConcern(readconcern.Local()).SetWriteConcern(writeconcern.Majority()))
	name := "doctor_" + rand.Text()
	var err error
	if d.hello.setName != "" || d.hello.mongos {
		err = d.writeAndGiveUp(ctx, own, name)
	} else {
		err = writeNothing(ctx, own.Collection(name))
	}
	switch {
	case err == nil:
		f.OK(check, db, "the database %s can be written", db)
	case denies(err):
		f.Add(flow.FindingError, check, db, fmt.Sprintf("the user may not write to the database %s", db), why+": "+plain(err).Error(),
			`grant the actions find, insert, update, remove, createCollection and createIndex on {db: "`+db+`", collection: ""}`)
	default:
		f.Fail(flow.FindingError, check, db, fault("write to the database", db, err), "")
	}
	return f
}

func (d *Doctor) writeAndGiveUp(ctx context.Context, own *mongo.Database, name string) error {
	session, err := d.client.StartSession()
	if err != nil {
		return err
	}
	defer session.EndSession(context.WithoutCancel(ctx))
	if err := session.StartTransaction(options.Transaction().SetReadConcern(readconcern.Local())); err != nil {
		return err
	}
	tx := mongo.NewSessionContext(ctx, session)
	defer func() { _ = session.AbortTransaction(context.WithoutCancel(tx)) }()
	coll := own.Collection(name)
	if err := own.CreateCollection(tx, name); err != nil {
		return err
	}
	if _, err := coll.Indexes().CreateOne(tx, mongo.IndexModel{Keys: bson.D{{Key: "a", Value: 1}}}); err != nil {
		return err
	}
	if _, err := coll.InsertOne(tx, bson.D{{Key: "_id", Value: 1}}); err != nil {
		return err
	}
	if _, err := coll.UpdateOne(tx, bson.D{{Key: "_id", Value: 1}}, bson.D{{Key: "$set", Value: bson.D{{Key: "a", Value: 1}}}}); err != nil {
		return err
	}
	if err := coll.FindOne(tx, bson.D{{Key: "_id", Value: 1}}).Err(); err != nil {
		return err
	}
	_, err = coll.DeleteOne(tx, bson.D{{Key: "_id", Value: 1}})
	return err
}

// writeNothing asks for writes that find nothing to change.
func writeNothing(ctx context.Context, coll *mongo.Collection) error {
	nothing := bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: bson.A{}}}}}
	if _, err := coll.UpdateMany(ctx, nothing, bson.D{{Key: "$set", Value: bson.D{{Key: "a", Value: 1}}}}); err != nil {
		return err
	}
	if err := coll.FindOne(ctx, nothing).Err(); err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return err
	}
	_, err := coll.DeleteMany(ctx, nothing)
	return err
}

// Removes tries whether the archive may find and remove documents of ns; none
// fits what it asks for.
func (d *Doctor) Removes(ctx context.Context, rule string, ns flow.Namespace) flow.Findings {
	const check = "mongodb.rights"
	var f flow.Findings
	ctx, done := context.WithTimeout(ctx, doctorPatience)
	defer done()
	_, err := d.client.Database(ns.DB).Collection(ns.Coll).DeleteMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: bson.A{}}}}})
	switch {
	case err == nil:
		f.OK(check, ns.String(), "documents can be removed")
	case denies(err):
		f.Add(flow.FindingError, check, ns.String(), fmt.Sprintf("rule %s: the user may not remove documents of %s", rule, ns),
			"what is archived could not be deleted",
			fmt.Sprintf("grant find, remove, listIndexes and collStats on {db: %q, collection: %q} (for restore also insert and update); or set delete: false", ns.DB, ns.Coll))
	default:
		f.Fail(flow.FindingError, check, ns.String(), fault("try to remove from", ns.String(), err), "")
	}
	return f
}
