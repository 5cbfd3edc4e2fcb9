package archivedb

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/cold"
)

// Ledger returns the rows of those of the sessions (lsid.id) in whose
// transactions the archive deletes (rule A5).
func (db *DB) Ledger(ctx context.Context, sessions []bson.Binary) ([]cold.LedgerRow, error) {
	if len(sessions) == 0 {
		return nil, nil
	}
	return rows[cold.LedgerRow](ctx, db, ledgerColl, "read the ledger", among(bson.D{}, "_id", sessions))
}

// LedgerKeys returns the rows of deletes without transactions that hold one of
// ids in ns and were going on at the cluster time at.
func (db *DB) LedgerKeys(ctx context.Context, ns string, ids []bson.RawValue, at bson.Timestamp) ([]cold.LedgerRow, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	query := among(equal(bson.D{}, "ns", ns), "keys", ids)
	query = append(query,
		bson.E{Key: "from", Value: bson.D{{Key: "$lte", Value: at}}},
		bson.E{Key: "$or", Value: bson.A{
			bson.D{{Key: "to", Value: bson.D{{Key: "$exists", Value: false}}}},
			bson.D{{Key: "to", Value: bson.D{{Key: "$gte", Value: at}}}},
		}})
	return rows[cold.LedgerRow](ctx, db, ledgerColl, "read the ledger", query)
}

// putLedger keeps row, with majority: it is there when this returns. The same
// row twice does no harm.
func (db *DB) putLedger(ctx context.Context, row cold.LedgerRow) error {
	_, err := db.coll(ledgerColl).ReplaceOne(ctx, bson.D{{Key: "_id", Value: row.ID}}, row, options.Replace().SetUpsert(true))
	return db.ownFault("write the ledger", ledgerColl, err)
}

// closeLedger sets the end of a row of deletes without transactions.
func (db *DB) closeLedger(ctx context.Context, id bson.Binary, to bson.Timestamp) error {
	_, err := db.coll(ledgerColl).UpdateOne(ctx, bson.D{{Key: "_id", Value: id}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "to", Value: to}}}})
	return db.ownFault("close the ledger", ledgerColl, err)
}

// LedgerGC removes the rows written before the given time, and returns how many
// there were. It must lie before whatever a flow has still to read, before the
// oplog's first entry, and before the beginning of any delete that still runs.
func (db *DB) LedgerGC(ctx context.Context, before time.Time) (int64, error) {
	res, err := db.coll(ledgerColl).DeleteMany(ctx, bson.D{{Key: "at", Value: bson.D{{Key: "$lt", Value: before}}}})
	if err != nil {
		return 0, db.ownFault("clear the ledger", ledgerColl, err)
	}
	return res.DeletedCount, nil
}
