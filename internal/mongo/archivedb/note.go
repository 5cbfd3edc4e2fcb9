package archivedb

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// notesColl holds what long work notes for who goes on with it.
const notesColl = "archive_notes"

// LoadNote decodes the note under key into v; without one v stays as it is.
func (db *DB) LoadNote(ctx context.Context, key string, v any) error {
	var row struct {
		Note bson.Raw `bson:"note"`
	}
	err := db.coll(notesColl).FindOne(ctx, bson.D{{Key: "_id", Value: key}}).Decode(&row)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil
	}
	if err == nil {
		err = bson.Unmarshal(row.Note, v)
	}
	return db.ownFault("read the note", notesColl, err)
}

// SaveNote puts a note in the place of the one before; nil removes it.
func (db *DB) SaveNote(ctx context.Context, key string, v any) error {
	id := bson.D{{Key: "_id", Value: key}}
	var err error
	if v == nil {
		_, err = db.coll(notesColl).DeleteOne(ctx, id)
	} else {
		_, err = db.coll(notesColl).ReplaceOne(ctx, id, bson.D{{Key: "note", Value: v}}, options.Replace().SetUpsert(true))
	}
	return db.ownFault("write the note", notesColl, err)
}
