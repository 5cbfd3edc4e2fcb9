package archivedb

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/cold"
	"sluice/internal/flow"
	source "sluice/internal/mongo"
)

// What one command without a transaction takes: little, as the server tells
// only how many of its documents were deleted.
const (
	plainDocs  = 250
	plainBytes = 12 << 20
)

// refuseCollation fails for a collection with a default collation: there the
// server takes "a" and "A" for equal, and would delete what changed.
func (db *DB) refuseCollation(ctx context.Context, ns flow.Namespace) error {
	specs, err := db.client.Database(ns.DB).ListCollectionSpecifications(ctx, bson.D{{Key: "name", Value: ns.Coll}})
	if err != nil {
		return source.Fault("read the options of", ns.String(), err)
	}
	for _, s := range specs {
		if _, err := s.Options.LookupErr("collation"); err == nil {
			return &flow.Error{
				Op: "delete without transactions from", Object: ns.String(), Class: flow.Config,
				Err:  errors.New("the collection has a default collation, under which documents that differ compare equal"),
				Hint: "run MongoDB as a replica set (one member is enough) and delete in transactions, or set  delete: false  for this rule",
			}
		}
	}
	return nil
}

// deletePlain is Delete without transactions: each document by itself, by a
// filter that holds the whole archived document and its size.
//
// The server's comparison does not see everything. A document is taken for what
// was archived, and deleted, though since then
//   - a number changed only its type between two of equal value and size (a long
//     and a double), also in _id;
//   - a Decimal128 changed only its number of digits (1 and 1.0);
//   - a zero changed only its sign (0.0 and -0.0), a NaN its payload;
//   - a string became a symbol of the same text;
//   - of a name that is there twice, the second value changed;
//   - elements of an array changed only their names, which no driver makes.
//
// It also can't tell who deleted a document that vanishes between two looks:
// that outcome is Unknown, as is that of documents which a run before this one
// had begun to delete when it was cut short.
func (d *Deletion) deletePlain(ctx context.Context, next int, doomed []cold.Doomed) ([]cold.Fate, error) {
	ctx = mongo.NewSessionContext(ctx, d.session)
	var fates []cold.Fate
	for len(fates) < len(doomed) {
		batch, err := d.plainBatch(doomed[len(fates):])
		if err != nil {
			return fates, err
		}
		part, err := d.deleteBatch(ctx, next+len(fates), batch)
		var t *trouble
		if errors.As(err, &t) {
			err = source.Fault("delete from", d.object(), t.err)
		}
		if err != nil {
			return fates, err
		}
		fates = append(fates, part...)
	}
	return fates, nil
}

// plainBatch takes the first of doomed that fit into one command, and checks
// that they are the documents of the manifest.
func (d *Deletion) plainBatch(doomed []cold.Doomed) ([]cold.Doomed, error) {
	bytes := 0
	for i := range doomed {
		bytes += len(doomed[i].Doc)
		if i >= plainDocs || i > 0 && bytes > plainBytes {
			return doomed[:i], nil
		}
		if sha256.Sum256(doomed[i].Doc) != doomed[i].Hash {
			return nil, d.fault(flow.Fatal, fmt.Errorf("entry %d of pack %s is not the document of the manifest", doomed[i].Entry, d.guard.Pack.ID))
		}
	}
	return doomed, nil
}

// deleteBatch does one batch: lease, pack, ledger, deletes, and at the end the
// exceptions and the pack's next. Cut short anywhere, it can be done again.
func (d *Deletion) deleteBatch(ctx context.Context, next int, batch []cold.Doomed) ([]cold.Fate, error) {
	if err := d.beat(ctx); err != nil {
		return nil, err
	}
	if err := d.checkPack(ctx, next); err != nil {
		return nil, err
	}
	there, err := d.there(ctx, batch)
	if err != nil {
		return nil, err
	}
	row := d.ledgerRow(newID())
	row.From = d.clusterTime()
	for i := range batch {
		row.Keys = append(row.Keys, batch[i].ID)
	}
	begun, err := d.begun(ctx, batch, there)
	if err != nil {
		return nil, err
	}
	if err := d.db.putLedger(ctx, row); err != nil {
		return nil, err
	}
	n, err := d.deleteEqual(ctx, batch, there)
	if err != nil {
		return nil, err
	}
	if to := d.clusterTime(); to != (bson.Timestamp{}) {
		if err := d.db.closeLedger(ctx, row.ID, to); err != nil {
			return nil, err
		}
	}
	fates, err := d.judge(ctx, batch, there, begun, n)
	if err != nil {
		return nil, err
	}
	if err := d.settle(ctx, next, batch, fates); err != nil {
		return nil, err
	}
	return fates, nil
}

func newID() bson.Binary {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return bson.Binary{Subtype: bson.TypeBinaryUUID, Data: id}
}

// clusterTime is the latest that the session has seen, zero on a standalone.
func (d *Deletion) clusterTime() bson.Timestamp {
	if t := d.session.OperationTime(); t != nil {
		return *t
	}
	return bson.Timestamp{}
}

// checkPack fails if the row of the pack is not as it must be to delete.
func (d *Deletion) checkPack(ctx context.Context, next int) error {
	err := d.db.coll(packsColl).FindOne(ctx, d.packRow(next), options.FindOne().SetProjection(bson.D{{Key: "_id", Value: 1}})).Err()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return d.whyNotPack(ctx, next)
	}
	return source.Fault("read the row of pack", d.guard.Pack.ID, err)
}

// there tells of which documents the key is live.
func (d *Deletion) there(ctx context.Context, batch []cold.Doomed) ([]bool, error) {
	there := make([]bool, len(batch))
	only := bson.D{{Key: "_id", Value: 1}}
	cur, err := d.docs.Find(ctx, bson.D{{Key: "_id", Value: anyOf(doomedIDs(batch))}}, options.Find().SetProjection(only))
	if err != nil {
		return nil, source.Fault("read the keys of", d.object(), err)
	}
	defer func() { _ = cur.Close(ctx) }()
	places, strangers := newPlaces(doomedIDs(batch)), false
	for cur.Next(ctx) {
		if i, ok := places.find(cur.Current.Lookup("_id")); ok {
			there[i] = true
		} else {
			strangers = true // an equal key of another type
		}
	}
	for i := range batch {
		if err := cur.Err(); err != nil {
			return nil, source.Fault("read the keys of", d.object(), err)
		}
		if strangers && !there[i] {
			err := d.docs.FindOne(ctx, byID(batch[i].ID), options.FindOne().SetProjection(only)).Err()
			if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
				return nil, source.Fault("read the keys of", d.object(), err)
			}
			there[i] = err == nil
		}
	}
	return there, nil
}

// begun tells which of those that are not there we had begun to delete before.
func (d *Deletion) begun(ctx context.Context, batch []cold.Doomed, there []bool) (map[string]bool, error) {
	var gone []bson.RawValue
	for i := range batch {
		if !there[i] {
			gone = append(gone, batch[i].ID)
		}
	}
	if len(gone) == 0 {
		return nil, nil
	}
	in := anyOf(len(gone), func(i int) bson.RawValue { return gone[i] })
	ledger, err := rows[cold.LedgerRow](ctx, d.db, ledgerColl, "read the ledger",
		bson.D{{Key: "pack", Value: d.guard.Pack.ID}, {Key: "keys", Value: in}})
	if err != nil {
		return nil, err
	}
	begun := map[string]bool{}
	for _, row := range ledger {
		for _, id := range row.Keys {
			begun[keyText(id)] = true
		}
	}
	return begun, nil
}

// deleteEqual deletes those that are there and equal, and tells how many.
func (d *Deletion) deleteEqual(ctx context.Context, batch []cold.Doomed, there []bool) (int, error) {
	var models []mongo.WriteModel
	for i := range batch {
		if there[i] {
			models = append(models, mongo.NewDeleteOneModel().SetFilter(d.old(wholeDoc(batch[i]))).SetHint(hintID()))
		}
	}
	if len(models) == 0 {
		return 0, nil
	}
	r, err := d.docs.BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
	if err != nil {
		return 0, d.denied(err)
	}
	return int(r.DeletedCount), nil
}

// wholeDoc finds a document that compares equal to the archived one and has its
// size.
func wholeDoc(doomed cold.Doomed) bson.D {
	return append(byKey(doomed), bson.E{Key: "$expr", Value: equalTo(doomed.Doc)})
}

func equalTo(doc bson.Raw) bson.D {
	return bson.D{{Key: "$and", Value: bson.A{
		bson.D{{Key: "$eq", Value: bson.A{"$$ROOT", bson.D{{Key: "$literal", Value: doc}}}}},
		bson.D{{Key: "$eq", Value: bson.A{bson.D{{Key: "$bsonSize", Value: "$$ROOT"}}, int32(len(doc))}}},
	}}}
}

// judge tells what became of each document, of which n were deleted.
func (d *Deletion) judge(ctx context.Context, batch []cold.Doomed, there []bool, begun map[string]bool, n int) ([]cold.Fate, error) {
	fates := make([]cold.Fate, len(batch))
	still := make([]bool, len(batch))
	was := 0
	for i := range batch {
		if there[i] {
			was++
		}
	}
	if n != was {
		var err error
		if still, err = d.there(ctx, batch); err != nil {
			return nil, err
		}
	}
	vanished := 0
	for i := range batch {
		if there[i] && !still[i] {
			vanished++
		}
	}
	for i := range batch {
		outcome := cold.Deleted
		switch {
		case still[i]:
			outcome = cold.Changed
		case !there[i] && begun[keyText(batch[i].ID)]:
			outcome = cold.Unknown
		case !there[i]:
			outcome = cold.Gone
		case vanished != n:
			outcome = cold.Unknown // users deleted some of them at the same time
		}
		fates[i] = cold.Fate{Entry: batch[i].Entry, Outcome: outcome}
	}
	d.disown(fates)
	return fates, nil
}

// settle writes the exceptions and moves the pack.
func (d *Deletion) settle(ctx context.Context, next int, batch []cold.Doomed, fates []cold.Fate) error {
	var exceptions []cold.Exception
	for i, f := range fates {
		if f.Outcome != cold.Deleted {
			exceptions = append(exceptions, cold.Exception{Pack: d.guard.Pack.ID, Entry: f.Entry, Outcome: f.Outcome, ID: batch[i].ID})
		}
	}
	// A try that was cut short may have left others, which are true no more.
	stale := make([]cold.Exception, len(batch))
	for i := range batch {
		stale[i] = cold.Exception{Pack: d.guard.Pack.ID, Entry: batch[i].Entry}
	}
	if err := d.db.DropExceptions(ctx, stale); err != nil {
		return err
	}
	if err := d.db.PutExceptions(ctx, d.guard.Pack, exceptions); err != nil {
		return err
	}
	if err := d.movePack(ctx, next, fates); errors.Is(err, errPackRow) {
		return d.whyNotPack(ctx, next)
	} else if err != nil {
		return err
	}
	return nil
}
