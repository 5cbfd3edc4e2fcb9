package monstachedb

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	source "sluice/internal/mongo"
)

// Save writes that everything up to t, inclusive, is done, so that Monstache goes
// on after it: as the time, or as a token for each stream that has one and counts,
// or else for each of streams. moved tells that what lay there was neither ours
// nor what Monstache had left: somebody else writes there.
func (db *DB) Save(ctx context.Context, t bson.Timestamp, covers func(string) bool, streams []string) (moved bool, err error) {
	if !db.o.Tokens {
		was, err := db.swap(ctx, timesColl, byID(db.o.Name), bson.D{{Key: "$set", Value: bson.D{{Key: "ts", Value: t}}}}, "ts")
		return db.others("", was, rawValue(t)), db.fault("save the position for Monstache", timesColl, err, "find", "insert", "update")
	}
	var known []string
	err = db.eachToken(ctx, func(stream string, _ bson.Raw) error {
		if covers(stream) {
			known = append(known, stream)
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	if len(known) == 0 {
		known = streams
	}
	token := bson.D{{Key: "_data", Value: source.TokenAfter(t)}}
	for _, stream := range known {
		of := bson.D{{Key: "resumeName", Value: db.o.Name}, {Key: "streamID", Value: stream}}
		was, err := db.swap(ctx, tokensColl, of, bson.D{{Key: "$set", Value: bson.D{{Key: "token", Value: token}}}}, "token")
		if err != nil {
			return moved, db.fault("save the tokens for Monstache", tokensColl, err, "find", "insert", "update")
		}
		moved = db.others("stream "+stream, was, rawValue(token)) || moved
	}
	return moved, nil
}

// swap updates one document, made if it is not there, and returns what its field
// was; a zero value for nothing.
func (db *DB) swap(ctx context.Context, coll string, of, update bson.D, field string) (bson.RawValue, error) {
	raw, err := db.own.Collection(coll).FindOneAndUpdate(ctx, of, update,
		options.FindOneAndUpdate().SetUpsert(true).SetReturnDocument(options.Before)).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) { // it was not there
		return bson.RawValue{}, nil
	}
	if err != nil {
		return bson.RawValue{}, err
	}
	return raw.Lookup(field), nil
}

// others tells whether a place held something else than what we had written, and
// notes what it holds now.
func (db *DB) others(place string, was, now bson.RawValue) bool {
	last, ours := db.wrote[place]
	db.wrote[place] = now
	return ours && was.Type != 0 && !was.Equal(last)
}

func rawValue(v any) bson.RawValue {
	typ, b, err := bson.MarshalValue(v)
	if err != nil { // times and texts only: it can't fail
		return bson.RawValue{}
	}
	return bson.RawValue{Type: typ, Value: b}
}
