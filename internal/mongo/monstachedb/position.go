package monstachedb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	source "sluice/internal/mongo"
)

// Position is how far Monstache has come.
type Position struct {
	// Time is that of an event that it has taken; zero if it has saved none. It may
	// be lost, so that of several streams it is the one that is furthest behind.
	Time bson.Timestamp
	// Streams are those whose token was looked at, sorted: "", "db" or "db.coll".
	Streams []string
}

// Position reads how far Monstache has come. With tokens, covers tells of each
// stream ("" for the deployment, a database, or a collection) whether it counts.
func (db *DB) Position(ctx context.Context, covers func(stream string) bool) (Position, error) {
	if db.o.Tokens {
		return db.earliestToken(ctx, covers)
	}
	const op = "read the position of Monstache"
	raw, err := db.own.Collection(timesColl).FindOne(ctx, byID(db.o.Name)).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return Position{}, nil
	}
	if err != nil {
		return Position{}, db.fault(op, timesColl, err, "find")
	}
	t, i, ok := raw.Lookup("ts").TimestampOK()
	if !ok || t == 0 {
		return Position{}, db.foreign(timesColl, fmt.Errorf("ts of %q is no timestamp", db.o.Name))
	}
	return Position{Time: bson.Timestamp{T: t, I: i}}, nil
}

// earliestToken reads the tokens of all streams that count.
func (db *DB) earliestToken(ctx context.Context, covers func(string) bool) (Position, error) {
	var p Position
	err := db.eachToken(ctx, func(stream string, token bson.Raw) error {
		if !covers(stream) {
			return nil
		}
		t, ok := source.TokenTime(token)
		if !ok {
			return db.foreign(tokensColl, fmt.Errorf("the token of stream %q can't be read", stream))
		}
		if p.Time.IsZero() || t.Before(p.Time) {
			p.Time = t
		}
		p.Streams = append(p.Streams, stream)
		return nil
	})
	slices.Sort(p.Streams)
	return p, err
}

// eachToken calls one with each stream that has a token.
func (db *DB) eachToken(ctx context.Context, one func(stream string, token bson.Raw) error) error {
	const op = "read the tokens of Monstache"
	cur, err := db.own.Collection(tokensColl).Find(ctx, bson.D{{Key: "resumeName", Value: db.o.Name}})
	if err != nil {
		return db.fault(op, tokensColl, err, "find")
	}
	defer func() { _ = cur.Close(ctx) }()
	for cur.Next(ctx) {
		stream, ok := cur.Current.Lookup("streamID").StringValueOK()
		if !ok {
			return db.foreign(tokensColl, errors.New("a token has no streamID"))
		}
		token, _ := cur.Current.Lookup("token").DocumentOK()
		if err := one(stream, token); err != nil {
			return err
		}
	}
	return db.fault(op, tokensColl, cur.Err(), "find")
}

// Copied returns the collections whose direct reads have finished, as "db.coll";
// false if there is no such list.
func (db *DB) Copied(ctx context.Context) (names []string, there bool, err error) {
	const op = "read the finished direct reads of Monstache"
	var row struct {
		NS []string `bson:"ns"`
	}
	err = db.own.Collection(copiedColl).FindOne(ctx, byID(db.o.Name)).Decode(&row)
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		return nil, false, nil
	case err != nil:
		return nil, false, db.fault(op, copiedColl, err, "find")
	}
	return row.NS, true, nil
}

// AddCopied adds to that list.
func (db *DB) AddCopied(ctx context.Context, names []string) error {
	const op = "note the finished direct reads for Monstache"
	now := time.Now()
	_, err := db.own.Collection(copiedColl).UpdateOne(ctx, byID(db.o.Name), bson.D{
		{Key: "$addToSet", Value: bson.D{{Key: "ns", Value: bson.D{{Key: "$each", Value: names}}}}},
		{Key: "$set", Value: bson.D{{Key: "updated", Value: now}}},
		{Key: "$setOnInsert", Value: bson.D{{Key: "created", Value: now}}},
	}, options.UpdateOne().SetUpsert(true))
	return db.fault(op, copiedColl, err, "insert", "update")
}
