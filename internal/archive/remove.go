package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/pack"
)

// txn tells whether the documents of a pack are deleted in transactions.
func (j *job) txn(*work) bool { return j.survey.Transactions && !j.rule.WithoutTransactions }

// remove deletes what still is what was archived, from the manifest's keys, from
// where the stored row says that it stopped.
func (j *job) remove(ctx context.Context, w *work) error {
	defer j.spent(&j.report.Phases.Delete, nil, time.Now())
	defer w.file.remove()
	sel, err := selectionOf(*w.run)
	if err != nil {
		return err
	}
	place, err := j.place(ctx, w.pack)
	if err != nil {
		return err
	}
	owner, number := j.lease.Fence()
	del, err := j.deps.DB.Begin(ctx, cold.Guard{
		Fence: cold.Fence{Lease: j.rule.LeaseName(), Owner: owner, Number: number}, Selection: sel, Pack: *w.pack,
		Object: w.pack.Store + "/" + w.pack.Object, ShardKey: j.survey.ShardKey, Transactions: j.txn(w),
	})
	if err != nil {
		return err
	}
	err = j.removeAll(ctx, w, place, del)
	if cerr := del.Close(context.WithoutCancel(ctx)); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return j.step(ctx, StepDeleted, nil, func() error { return j.move(ctx, w, cold.PackDeleted) })
}

// removeAll deletes batch by batch, in the order of _id.
func (j *job) removeAll(ctx context.Context, w *work, place Place, del Deletion) error {
	order := pack.DeleteOrder(w.manifest.Entries)
	docs := j.docs(w, place)
	for w.pack.Next < len(order) {
		end := w.pack.Next + batchOf(w.manifest.Entries, order[w.pack.Next:], j.opts.DeleteBatch)
		if err := j.deps.Governor.WaitDelete(ctx, end-w.pack.Next); err != nil {
			return err
		}
		doomed, err := j.doomed(ctx, w, order[w.pack.Next:end], docs)
		if err != nil {
			return err
		}
		if err := j.batch(ctx, w, del, doomed); err != nil {
			return err
		}
	}
	return nil
}

// deleteBytes bounds what a transaction reads again, beyond its first document.
const deleteBytes = 16 << 20

// batchOf is how many documents the next transaction takes.
func batchOf(entries []cold.Entry, order []int32, most int) int {
	bytes := 0
	for i, n := range order[:min(most, len(order))] {
		if bytes += int(entries[n].Size); bytes > deleteBytes && i > 0 {
			return i
		}
	}
	return min(most, len(order))
}

// tries of one batch that met what passes, an election for one.
const tries = 6

// batch deletes one batch, or the first part of it. After an error the stored
// row tells how far it came: the answer to a commit may have been lost.
func (j *job) batch(ctx context.Context, w *work, del Deletion, doomed []cold.Doomed) error {
	for try := 1; ; try++ {
		was := *w.pack
		var derr error
		err := j.step(ctx, StepBatch, func() error {
			_, derr = del.Delete(ctx, was.Next, doomed)
			return derr
		}, nil)
		if rerr := j.reload(ctx, w); rerr != nil {
			return errors.Join(err, rerr)
		}
		j.count(w, was)
		switch {
		case err != nil && derr == nil:
			return err // the lease, or a test
		case w.pack.Next > was.Next:
			return nil
		case err == nil:
			err = errors.New("deletes were done, and the pack's row does not tell")
			return &flow.Error{Op: "delete the documents of pack", Object: w.pack.ID, Class: flow.Fatal, Err: err}
		case try == tries || flow.ClassOf(err) != flow.Transient:
			return err
		}
		j.log.Warn("a batch of deletes failed; trying again", "pack", w.pack.ID, flow.LogErr, err)
		if err := pause(ctx, time.Duration(try)*200*time.Millisecond); err != nil {
			return err
		}
	}
}

// reload reads the counters that the delete transaction moves.
func (j *job) reload(ctx context.Context, w *work) error {
	rows, err := j.deps.DB.Packs(ctx, PackQuery{IDs: []string{w.pack.ID}})
	if err != nil {
		return err
	}
	if len(rows) == 1 {
		w.pack.Next, w.pack.Deleted = rows[0].Next, rows[0].Deleted
		w.pack.Changed, w.pack.Gone = rows[0].Changed, rows[0].Gone
	}
	return nil
}

// count adds what has become of the documents of a pack since was.
func (j *job) count(w *work, was cold.Pack) {
	deleted, changed, gone := w.pack.Deleted-was.Deleted, w.pack.Changed-was.Changed, w.pack.Gone-was.Gone
	j.prog.removed(deleted, changed, gone)
	j.deps.Metrics.removed(j.rule, deleted, changed, gone)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.report.Deleted += int64(deleted)
	j.report.Changed += int64(changed)
	j.report.Gone += int64(gone)
}

// doomed makes the batch. What was restored meanwhile and is on hold gets a hash
// that no document has: it is found changed, and stays.
func (j *job) doomed(ctx context.Context, w *work, order []int32, docs docSource) ([]cold.Doomed, error) {
	batch := make([]cold.Doomed, len(order))
	ids := make([]bson.RawValue, len(order))
	for i, n := range order {
		e := w.manifest.Entries[n]
		batch[i] = cold.Doomed{Entry: int(n), ID: e.ID, Key: e.Key, Hash: e.Hash}
		ids[i] = e.ID
		if docs != nil {
			doc, err := docs.Doc(ctx, int(n))
			if err != nil {
				return nil, err
			}
			batch[i].Doc = doc
		}
	}
	held, err := j.heldIDs(ctx, ids)
	if err != nil {
		return nil, err
	}
	for i := range held {
		batch[i].Hash = cold.Hash{}
		if docs != nil {
			batch[i].Doc = bson.Raw{5, 0, 0, 0, 0}
			batch[i].Hash = sha256.Sum256(batch[i].Doc)
		}
	}
	return batch, nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
