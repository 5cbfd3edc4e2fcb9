package archivedb

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/cold"
	"sluice/internal/lease"
)

// PackQuery says which packs are wanted. Empty fields ask for nothing.
type PackQuery struct {
	Run, Rule, NS string
	IDs           []string
	States        []cold.PackState
}

// PutPack keeps p. With from "" it is new; else its row must be in the state
// from, under a fence no higher than p's. The counts of the deletion (Next,
// Deleted, Changed, Gone) belong to the delete transactions: a lower one in p
// is left alone. The same call a second time does no harm. Anything else is an
// error of class Conflict, which wraps lease.ErrLost if the fence was higher,
// else lease.ErrConflict: read the row again.
func (db *DB) PutPack(ctx context.Context, p cold.Pack, from cold.PackState) error {
	const op = "write the pack"
	row, err := bson.Marshal(p)
	if err != nil {
		return conflict(op, p.ID, err, "it can't be encoded")
	}
	if from == "" {
		_, err = db.coll(packsColl).InsertOne(ctx, bson.Raw(row))
		if !mongo.IsDuplicateKeyError(err) {
			return db.ownFault(op, packsColl, err)
		}
		return db.refusedPack(ctx, p, row, from)
	}
	update, err := packUpdate(row)
	if err != nil {
		return conflict(op, p.ID, err, "it can't be encoded")
	}
	res, err := db.coll(packsColl).UpdateOne(ctx, bson.D{
		{Key: "_id", Value: p.ID},
		{Key: "state", Value: from},
		{Key: "fence", Value: bson.D{{Key: "$lte", Value: p.Fence}}},
	}, update)
	if err != nil || res.MatchedCount == 1 {
		return db.ownFault(op, packsColl, err)
	}
	return db.refusedPack(ctx, p, row, from)
}

// counted are the fields that delete transactions move.
func counted(field string) bool {
	switch field {
	case "next", "deleted", "changed", "gone":
		return true
	}
	return false
}

// packUpdate sets all fields of row, and unsets those that it has not, but
// never lowers what delete transactions count.
func packUpdate(row bson.Raw) (bson.D, error) {
	elems, err := row.Elements()
	if err != nil {
		return nil, err
	}
	set, high, unset := bson.D{}, bson.D{}, bson.D{}
	seen := map[string]bool{}
	for _, e := range elems {
		seen[e.Key()] = true
		switch {
		case e.Key() == "_id":
		case counted(e.Key()):
			high = append(high, bson.E{Key: e.Key(), Value: e.Value()})
		default:
			set = append(set, bson.E{Key: e.Key(), Value: e.Value()})
		}
	}
	for _, optional := range []string{"min_age", "max_age", "delete_after"} {
		if !seen[optional] {
			unset = append(unset, bson.E{Key: optional, Value: ""})
		}
	}
	update := bson.D{{Key: "$set", Value: set}, {Key: "$max", Value: high}}
	if len(unset) > 0 {
		update = append(update, bson.E{Key: "$unset", Value: unset})
	}
	return update, nil
}

// refusedPack finds out why the row of p could not be written: nil if it is
// there already.
func (db *DB) refusedPack(ctx context.Context, p cold.Pack, row bson.Raw, from cold.PackState) error {
	const op = "write the pack"
	raw, err := db.coll(packsColl).FindOne(ctx, bson.D{{Key: "_id", Value: p.ID}}).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return conflict(op, p.ID, lease.ErrConflict, "it is not in the journal")
	}
	if err != nil {
		return db.ownFault(op, packsColl, err)
	}
	var stored cold.Pack
	if err := bson.Unmarshal(raw, &stored); err != nil {
		return conflict(op, p.ID, err, "its row can't be decoded")
	}
	switch {
	case stored.Fence > p.Fence:
		return lost(op, p.ID, p.Fence, stored.Fence)
	case samePack(raw, row):
		return nil
	}
	return conflict(op, p.ID, lease.ErrConflict, fmt.Sprintf("its state is %q, not %q", stored.State, from))
}

// samePack tells whether two rows say the same, but for what delete
// transactions count and the time of the write.
func samePack(a, b bson.Raw) bool {
	return slices.Equal(packFields(a), packFields(b))
}

func packFields(row bson.Raw) []string {
	elems, err := row.Elements()
	if err != nil {
		return []string{err.Error()}
	}
	var all []string
	for _, e := range elems {
		if k := e.Key(); k != "updated" && !counted(k) {
			all = append(all, string(e))
		}
	}
	slices.Sort(all)
	return all
}

// Packs returns the packs that q asks for, the oldest first.
func (db *DB) Packs(ctx context.Context, q PackQuery) ([]cold.Pack, error) {
	query := equal(bson.D{}, "run", q.Run)
	query = equal(query, "rule", q.Rule)
	query = equal(query, "ns", q.NS)
	query = among(query, "_id", q.IDs)
	query = among(query, "state", q.States)
	return rows[cold.Pack](ctx, db, packsColl, "read the packs", query, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
}
