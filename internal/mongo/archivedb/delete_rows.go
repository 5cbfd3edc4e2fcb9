package archivedb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/lease"
	source "sluice/internal/mongo"
)

// errPackRow says that the row of the pack is not as expected.
var errPackRow = errors.New("the row of the pack is another")

func (d *Deletion) leaseRow() bson.D {
	f := d.guard.Fence
	return bson.D{{Key: "_id", Value: f.Lease}, {Key: "owner", Value: f.Owner}, {Key: "fence", Value: f.Number}}
}

// beat moves the lease's beat under our number (rule A2): without it, or after
// another took it, nothing is deleted.
func (d *Deletion) beat(ctx context.Context) error {
	r, err := d.db.coll(leasesColl).UpdateOne(ctx, d.leaseRow(), bson.D{{Key: "$inc", Value: bson.D{{Key: "beat", Value: int64(1)}}}})
	if err != nil {
		return d.inside(ctx, err)
	}
	if r.MatchedCount == 0 {
		return d.lost()
	}
	return nil
}

func (d *Deletion) lost() error {
	return &flow.Error{
		Op: "delete from", Object: d.object(), Class: flow.Conflict,
		Err: fmt.Errorf("lease %s under number %d: %w", d.guard.Fence.Lease, d.guard.Fence.Number, lease.ErrLost),
	}
}

func (d *Deletion) packRow(next int) bson.D {
	return bson.D{
		{Key: "_id", Value: d.guard.Pack.ID},
		{Key: "next", Value: next},
		{Key: "fence", Value: bson.D{{Key: "$lte", Value: d.guard.Fence.Number}}},
		// The manifest is committed before the first delete.
		{Key: "state", Value: bson.D{{Key: "$in", Value: bson.A{cold.PackCommitted, cold.PackDeleting}}}},
	}
}

// movePack moves the pack's next over fates, and its counts.
func (d *Deletion) movePack(ctx context.Context, next int, fates []cold.Fate) error {
	count := map[cold.Outcome]int{}
	for _, f := range fates {
		count[f.Outcome]++
	}
	r, err := d.db.coll(packsColl).UpdateOne(ctx, d.packRow(next), bson.D{
		{Key: "$inc", Value: bson.D{
			{Key: "next", Value: len(fates)},
			{Key: "deleted", Value: count[cold.Deleted]},
			{Key: "changed", Value: count[cold.Changed]},
			{Key: "gone", Value: count[cold.Gone]},
		}},
		{Key: "$set", Value: bson.D{{Key: "updated", Value: time.Now().UTC()}}},
	})
	if err != nil {
		return d.inside(ctx, err)
	}
	if r.MatchedCount == 0 {
		return errPackRow
	}
	return nil
}

// note writes the exceptions of a batch. Their _id makes a second writing of
// the same ones fail.
func (d *Deletion) note(ctx context.Context, batch []cold.Doomed, fates []cold.Fate) error {
	rows := d.exceptionRows(batch, fates)
	if len(rows) == 0 {
		return nil
	}
	if _, err := d.db.coll(exceptionsColl).InsertMany(ctx, rows); err != nil {
		return d.inside(ctx, err)
	}
	return nil
}

func (d *Deletion) exceptionRows(batch []cold.Doomed, fates []cold.Fate) []any {
	var rows []any
	for i, f := range fates {
		if f.Outcome != cold.Deleted {
			e := cold.Exception{Pack: d.guard.Pack.ID, Entry: f.Entry, Outcome: f.Outcome, ID: batch[i].ID}
			rows = append(rows, newExceptionRow(d.guard.Pack, e))
		}
	}
	return rows
}

// packNow is the part of a pack's row that tells how far it is.
type packNow struct {
	Next  int            `bson:"next"`
	Fence int64          `bson:"fence"`
	State cold.PackState `bson:"state"`
}

func (d *Deletion) readPack(ctx context.Context) (packNow, error) {
	var row packNow
	err := d.db.coll(packsColl).FindOne(ctx, bson.D{{Key: "_id", Value: d.guard.Pack.ID}}).Decode(&row)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return row, d.conflict("it has no row in the journal")
	}
	if err != nil {
		return row, source.Fault("read the row of pack", d.guard.Pack.ID, err)
	}
	return row, nil
}

func (d *Deletion) conflict(format string, args ...any) error {
	return &flow.Error{Op: "delete the documents of pack", Object: d.guard.Pack.ID, Class: flow.Conflict, Err: fmt.Errorf(format, args...)}
}

// whyNotPack tells why movePack found no row.
func (d *Deletion) whyNotPack(ctx context.Context, next int) error {
	row, err := d.readPack(ctx)
	switch {
	case err != nil:
		return err
	case row.Fence > d.guard.Fence.Number:
		return d.conflict("another works on it, under number %d: %w", row.Fence, lease.ErrLost)
	case row.State != cold.PackCommitted && row.State != cold.PackDeleting:
		return d.conflict("its state is %q: only what is committed may be deleted", row.State)
	case row.Next != next:
		return d.conflict("it is at entry %d, not at %d", row.Next, next)
	}
	return &trouble{kind: passing, err: errPackRow}
}

// whetherMoved finds out whether a commit took place that failed with cause: the
// row of the pack has moved, and the lease was ours all the time, so it was us.
func (d *Deletion) whetherMoved(ctx context.Context, next, n int, cause error) error {
	ctx, cancel := context.WithTimeout(ctx, commitTime)
	defer cancel()
	row, err := d.readPack(ctx)
	if err != nil {
		return err
	}
	if row.Next == next {
		return d.inside(ctx, cause)
	}
	one := options.FindOne().SetProjection(bson.D{{Key: "_id", Value: 1}})
	err = d.db.coll(leasesColl).FindOne(ctx, d.leaseRow(), one).Err()
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		return d.lost()
	case err != nil:
		return source.Fault("read the lease", d.guard.Fence.Lease, err)
	case row.Next != next+n:
		return d.conflict("it is at entry %d, not at %d or %d", row.Next, next, next+n)
	}
	return nil
}
