package archivedb

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/cold"
)

// exceptionRow is an Exception as it is kept: with a key of its own, so that it
// is there once, and with what RuleExceptions asks for.
type exceptionRow struct {
	Key            string `bson:"_id"`
	cold.Exception `bson:",inline"`
	Rule           string `bson:"rule"`
	NS             string `bson:"ns"`
}

// newExceptionRow makes the row of e, an entry of p.
func newExceptionRow(p cold.Pack, e cold.Exception) exceptionRow {
	return exceptionRow{Key: exceptionKey(e), Exception: e, Rule: p.Rule, NS: p.NS}
}

// exceptionKey sorts by pack and entry.
func exceptionKey(e cold.Exception) string { return fmt.Sprintf("%s/%010d", e.Pack, e.Entry) }

// Exceptions returns those of a pack, by their entry.
func (db *DB) Exceptions(ctx context.Context, pack string) ([]cold.Exception, error) {
	o := options.Find().SetSort(bson.D{{Key: "_id", Value: 1}})
	return rows[cold.Exception](ctx, db, exceptionsColl, "read the exceptions", bson.D{{Key: "pack", Value: pack}}, o)
}

// RuleExceptions returns up to limit (0: all) exceptions of a rule on a
// namespace with the outcome o, the oldest packs first. For Changed these are
// the documents that a later run reads again.
func (db *DB) RuleExceptions(ctx context.Context, rule, ns string, o cold.Outcome, limit int) ([]cold.Exception, error) {
	query := bson.D{{Key: "rule", Value: rule}, {Key: "ns", Value: ns}, {Key: "outcome", Value: o}}
	opts := options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(int64(max(limit, 0)))
	return rows[cold.Exception](ctx, db, exceptionsColl, "read the exceptions", query, opts)
}

// PutExceptions keeps exceptions of p; those that are there stay. It is for a
// journal that is built again: a delete transaction writes its own.
func (db *DB) PutExceptions(ctx context.Context, p cold.Pack, all []cold.Exception) error {
	for len(all) > 0 {
		n := min(len(all), 1000)
		docs := make([]any, n)
		for i, e := range all[:n] {
			docs[i] = newExceptionRow(p, e)
		}
		_, err := db.coll(exceptionsColl).InsertMany(ctx, docs, options.InsertMany().SetOrdered(false))
		if err := db.ownFault("write the exceptions", exceptionsColl, exceptDuplicates(err)); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

// DropExceptions removes those given, by pack and entry: a later run has
// archived the documents again. Absent ones are no error.
func (db *DB) DropExceptions(ctx context.Context, all []cold.Exception) error {
	for len(all) > 0 {
		n := min(len(all), 1000)
		keys := make([]string, n)
		for i, e := range all[:n] {
			keys[i] = exceptionKey(e)
		}
		_, err := db.coll(exceptionsColl).DeleteMany(ctx, among(bson.D{}, "_id", keys))
		if err := db.ownFault("remove the exceptions", exceptionsColl, err); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}
