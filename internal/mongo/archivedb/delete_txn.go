package archivedb

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"sluice/internal/cold"
	"sluice/internal/flow"
	source "sluice/internal/mongo"
)

// How long a commit waits for a majority, how often it is asked again, and how
// long an abort may take.
const (
	commitTime     = 30 * time.Second
	commitPatience = 2 * time.Minute
	abortTime      = 5 * time.Second
)

func majorityBoth() *options.CollectionOptionsBuilder {
	return options.Collection().SetReadConcern(readconcern.Majority()).
		SetWriteConcern(writeconcern.Majority()).SetReadPreference(readpref.Primary())
}

func snapshotMajority() *options.TransactionOptionsBuilder {
	return options.Transaction().SetReadConcern(readconcern.Snapshot()).
		SetWriteConcern(writeconcern.Majority()).SetReadPreference(readpref.Primary())
}

// transact decides about a batch in one transaction. Sparing means that no
// document is deleted, and those that are there count as changed. An error that
// holds a trouble may be followed by another try; nothing has happened then.
func (d *Deletion) transact(ctx context.Context, next int, batch []cold.Doomed, sparing bool) ([]cold.Fate, error) {
	err := d.session.StartTransaction(snapshotMajority())
	if err != nil {
		return nil, d.fault(flow.Fatal, err)
	}
	inside, cancel := context.WithTimeout(mongo.NewSessionContext(ctx, d.session), deleteTime)
	defer cancel()
	fates, err := d.decide(inside, next, batch, sparing)
	if err != nil {
		d.abort(ctx)
		if errors.Is(err, errPackRow) {
			err = d.whyNotPack(ctx, next)
		}
		return nil, err
	}
	if err := d.commit(ctx, next, len(batch)); err != nil {
		return nil, err
	}
	return fates, nil
}

// decide does all of a transaction but its commit. The lease comes first: while
// it is open, nobody can take the lease away.
func (d *Deletion) decide(ctx context.Context, next int, batch []cold.Doomed, sparing bool) ([]cold.Fate, error) {
	if err := d.beat(ctx); err != nil {
		return nil, err
	}
	fates, equal, err := d.reread(ctx, batch)
	if err != nil {
		return nil, err
	}
	d.disown(fates)
	if sparing {
		for _, i := range equal {
			fates[i].Outcome = cold.Changed
		}
	} else if err := d.remove(ctx, batch, equal); err != nil {
		return nil, err
	}
	if err := d.movePack(ctx, next, fates); err != nil {
		return nil, err
	}
	return fates, d.note(ctx, batch, fates)
}

// reread tells what became of each document of a batch, and which are equal to
// what was archived (Deleted, if the transaction gets that far).
func (d *Deletion) reread(ctx context.Context, batch []cold.Doomed) (fates []cold.Fate, equal []int, err error) {
	fates = make([]cold.Fate, len(batch))
	for i := range batch {
		fates[i] = cold.Fate{Entry: batch[i].Entry, Outcome: cold.Gone}
	}
	find := options.Find().SetBatchSize(int32(len(batch) + 1))
	cur, err := d.docs.Find(ctx, bson.D{{Key: "_id", Value: anyOf(doomedIDs(batch))}}, find)
	if err != nil {
		return nil, nil, d.inside(ctx, err)
	}
	defer func() { _ = cur.Close(ctx) }()
	places := newPlaces(len(batch), func(i int) bson.RawValue { return batch[i].ID })
	bytes, read, strangers := 0, 0, false
	for cur.Next(ctx) {
		bytes, read = bytes+len(cur.Current), read+1
		if bytes > deleteBytes && read > 1 {
			err := fmt.Errorf("%d documents are %d bytes", read, bytes)
			return nil, nil, &trouble{kind: tooLarge, fits: min(read-1, len(batch)-1), err: err}
		}
		i, ok := places.find(cur.Current.Lookup("_id"))
		if !ok {
			strangers = true
			continue
		}
		if fates[i].Outcome != cold.Deleted { // with shards, several have the same _id
			fates[i].Outcome = cold.Changed
			if sha256.Sum256(cur.Current) == batch[i].Hash {
				fates[i].Outcome = cold.Deleted
				equal = append(equal, i)
			}
		}
	}
	if err := cur.Err(); err != nil {
		return nil, nil, d.inside(ctx, err)
	}
	if strangers {
		err = d.askEach(ctx, batch, fates)
	}
	return fates, equal, err
}

// disown: of what is gone nobody knows by whom, if the journal was lost that
// told how far the deletes of the pack had come. It may have been us.
func (d *Deletion) disown(fates []cold.Fate) {
	for i := range fates {
		if d.guard.Pack.Rebuilt && fates[i].Outcome == cold.Gone {
			fates[i].Outcome = cold.Unknown
		}
	}
}

// askEach looks again for those that seem gone, one by one: MongoDB found a
// document by a key that is equal, but not the same bytes (1 and 1.0, or "a" and
// "A" under a collation).
func (d *Deletion) askEach(ctx context.Context, batch []cold.Doomed, fates []cold.Fate) error {
	for i := range batch {
		if fates[i].Outcome != cold.Gone {
			continue
		}
		err := d.docs.FindOne(ctx, byID(batch[i].ID), options.FindOne().SetProjection(bson.D{{Key: "_id", Value: 1}})).Err()
		switch {
		case err == nil:
			fates[i].Outcome = cold.Changed
		case !errors.Is(err, mongo.ErrNoDocuments):
			return d.inside(ctx, err)
		}
	}
	return nil
}

// remove deletes the documents that are equal, or fails.
func (d *Deletion) remove(ctx context.Context, batch []cold.Doomed, equal []int) error {
	if len(equal) == 0 {
		return nil
	}
	var n int64
	var err error
	if len(d.guard.ShardKey) == 0 {
		filter := bson.D{{Key: "_id", Value: anyOf(len(equal), func(i int) bson.RawValue { return batch[equal[i]].ID })}}
		var r *mongo.DeleteResult
		if r, err = d.docs.DeleteMany(ctx, d.old(filter), options.DeleteMany().SetHint(hintID())); err == nil {
			n = r.DeletedCount
		}
	} else {
		models := make([]mongo.WriteModel, len(equal))
		for i, at := range equal {
			models[i] = mongo.NewDeleteOneModel().SetFilter(d.old(byKey(batch[at]))).SetHint(hintID())
		}
		var r *mongo.BulkWriteResult
		if r, err = d.docs.BulkWrite(ctx, models); err == nil {
			n = r.DeletedCount
		}
	}
	if err != nil {
		if t, ok := troubleOf(ctx, err, contested); ok {
			return t
		}
		return d.denied(err)
	}
	if n != int64(len(equal)) {
		return d.fault(flow.Fatal, fmt.Errorf("%d documents are what was archived, but with the condition on the age the server deletes %d: nothing was deleted", len(equal), n))
	}
	return nil
}

// old adds the condition on the age to a filter by key: whatever goes wrong, no
// young document is ever deleted.
func (d *Deletion) old(filter bson.D) bson.D {
	return bson.D{{Key: "$and", Value: bson.A{filter, d.age}}}
}

// inside makes the error of a command in a transaction.
func (d *Deletion) inside(ctx context.Context, err error) error {
	if t, ok := troubleOf(ctx, err, passing); ok {
		return t
	}
	return source.Fault("delete from", d.object(), err)
}

// abort ends a transaction without a trace. It has a context of its own.
func (d *Deletion) abort(ctx context.Context) {
	if !d.session.TransactionRunning() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
	defer cancel()
	_ = d.session.AbortTransaction(ctx) // what can't be reached is aborted by the server in the end
}

// commit commits, asks again as long as the outcome is unknown, and finds it
// out by the row of the pack if need be. It is not cut short by the end of ctx.
func (d *Deletion) commit(ctx context.Context, next, n int) error {
	own := context.WithoutCancel(ctx)
	until := time.Now().Add(commitPatience)
	for try := 0; ; try++ {
		err := d.commitOnce(own)
		if err == nil {
			return nil
		}
		unknown := hasLabel(err, labelUnknown) || mongo.IsNetworkError(err) || mongo.IsTimeout(err)
		if unknown && time.Now().Before(until) && (ctx.Err() == nil || try < 3) {
			_ = pause(own, try)
			continue
		}
		d.abort(own)
		return d.whetherMoved(own, next, n, err)
	}
}

func (d *Deletion) commitOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, commitTime)
	defer cancel()
	return d.session.CommitTransaction(ctx)
}
