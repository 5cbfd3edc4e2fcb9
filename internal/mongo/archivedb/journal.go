package archivedb

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/flow"
)

// EnsureIndexes makes the indexes of the archive's own rows. Without the right
// to it all works, only slower when there are many rows.
func (db *DB) EnsureIndexes(ctx context.Context) error {
	for _, ix := range []struct {
		coll string
		keys []string
	}{
		{runsColl, []string{"rule", "ns", "_id"}},
		{packsColl, []string{"run", "_id"}},
		{packsColl, []string{"rule", "ns", "state"}},
		{exceptionsColl, []string{"pack", "entry"}},
		{exceptionsColl, []string{"rule", "ns", "outcome", "_id"}},
		{ledgerColl, []string{"ns", "keys"}},
		{ledgerColl, []string{"from"}},
		{ledgerColl, []string{"at"}},
	} {
		keys := bson.D{}
		for _, k := range ix.keys {
			keys = append(keys, bson.E{Key: k, Value: int32(1)})
		}
		_, err := db.coll(ix.coll).Indexes().CreateOne(ctx, mongo.IndexModel{Keys: keys})
		if serverCode(err) == codeUnauthorized {
			db.log.Debug("no right to make an index; reading goes without", flow.LogNS, db.own.Name()+"."+ix.coll)
			continue
		}
		if err := db.ownFault("make the indexes of", ix.coll, err); err != nil {
			return err
		}
	}
	return nil
}

// exceptDuplicates is err without what only says that rows are there already.
func exceptDuplicates(err error) error {
	var bulk mongo.BulkWriteException
	if !errors.As(err, &bulk) || bulk.WriteConcernError != nil {
		return err
	}
	for _, e := range bulk.WriteErrors {
		if !mongo.IsDuplicateKeyError(e.WriteError) {
			return err
		}
	}
	return nil
}
