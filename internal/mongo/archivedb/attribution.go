package archivedb

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
	source "sluice/internal/mongo"
)

// What follows reads the ledger for the sync side (rule A5). A row is written
// with majority before the first delete that it speaks of, so a majority read
// that is not older than a delete sees it: afterClusterTime makes it so also
// after an election, when a new primary does not yet know what was committed.

// SessionsAfter returns the rows of those of sessions that belong to an archive,
// as of the cluster time after or later. A session without a row is none of an
// archive's, and never becomes one.
func (db *DB) SessionsAfter(ctx context.Context, sessions []bson.Binary, after bson.Timestamp) ([]cold.LedgerRow, error) {
	return db.ledgerRows(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: sessions}}}}, after)
}

// KeysAfter returns the rows of deletes without transactions that name any of
// ids, as of the cluster time after or later. The caller compares the interval.
func (db *DB) KeysAfter(ctx context.Context, ns string, ids []bson.RawValue, after bson.Timestamp) ([]cold.LedgerRow, error) {
	return db.ledgerRows(ctx, bson.D{
		{Key: "ns", Value: ns},
		{Key: "keys", Value: bson.D{{Key: "$in", Value: ids}}},
	}, after)
}

// HasKeysAfter tells whether the ledger holds any row of deletes without
// transactions, as of the cluster time after or later, and a cluster time that
// the server has reached. It is one small query by the index of from.
func (db *DB) HasKeysAfter(ctx context.Context, after bson.Timestamp) (has bool, now bson.Timestamp, err error) {
	cmd := append(findLedger(bson.D{{Key: "from", Value: bson.D{{Key: "$gt", Value: bson.Timestamp{}}}}}, after),
		bson.E{Key: "projection", Value: bson.D{{Key: "_id", Value: 1}}},
		bson.E{Key: "limit", Value: int64(1)}, bson.E{Key: "singleBatch", Value: true})
	raw, err := db.own.RunCommand(ctx, cmd).Raw()
	if err != nil {
		return false, now, db.ledgerFault(err)
	}
	var reply struct {
		Cursor struct {
			FirstBatch []bson.Raw `bson:"firstBatch"`
		} `bson:"cursor"`
		Now bson.Timestamp `bson:"operationTime"`
	}
	if err := bson.Unmarshal(raw, &reply); err != nil {
		return false, now, db.ledgerFault(err)
	}
	return len(reply.Cursor.FirstBatch) > 0, reply.Now, nil
}

// ledgerRows runs a query of the ledger to its end.
func (db *DB) ledgerRows(ctx context.Context, filter bson.D, after bson.Timestamp) ([]cold.LedgerRow, error) {
	cur, err := db.own.RunCommandCursor(ctx, findLedger(filter, after))
	if err != nil {
		return nil, db.ledgerFault(err)
	}
	var rows []cold.LedgerRow
	if err := cur.All(ctx, &rows); err != nil {
		return nil, db.ledgerFault(err)
	}
	return rows, nil
}

// findLedger is the command of a query; a zero after reads what is committed.
func findLedger(filter bson.D, after bson.Timestamp) bson.D {
	concern := bson.D{{Key: "level", Value: "majority"}}
	if !after.IsZero() {
		concern = append(concern, bson.E{Key: "afterClusterTime", Value: after})
	}
	return bson.D{{Key: "find", Value: ledgerColl}, {Key: "filter", Value: filter}, {Key: "readConcern", Value: concern}}
}

// ledgerFault names the right that is missing.
func (db *DB) ledgerFault(err error) error {
	where := db.own.Name() + "." + ledgerColl
	err = source.Fault("look up an archive's deletes in", where, err)
	var f *flow.Error
	if errors.As(err, &f) && f.Class == flow.Auth {
		f.Hint = "sync tells an archive's deletes from users' by this collection. Let its user read it (in mongosh):\n" +
			`db.getSiblingDB("admin").createRole({role: "sluiceLedger", roles: [], privileges: [` +
			`{resource: {db: "` + db.own.Name() + `", collection: "` + ledgerColl + `"}, actions: ["find"]}]})` + "\n" +
			`db.getSiblingDB("admin").grantRolesToUser(USER, ["sluiceLedger"])` + "\n" +
			"or give on.archive and on.delete of the flow the same value, remove or keep: then nothing is looked up"
	}
	return err
}
