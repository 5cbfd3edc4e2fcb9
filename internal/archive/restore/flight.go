package restore

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
)

// flight is a batch that a goroutine of its own writes, so that the next is read
// off the store, decoded and hashed meanwhile. There is never more than one: a
// conflict that ends the restore keeps all later batches back.
type flight struct {
	batch   []guest
	next    Bookmark
	landed  chan struct{}
	returns []cold.Return
	err     error
}

// flush lets the batch go, when the one before it has landed. pack and entry are
// the first that is not in it.
func (r *restoring) flush(ctx context.Context, pack string, entry int) error {
	if err := r.land(); err != nil {
		return err
	}
	if r.since >= marks || r.conflictBytes >= r.o.BatchBytes || len(r.conflicts) >= r.o.BatchDocs {
		if err := r.mark(ctx); err != nil {
			return err
		}
	}
	f := &flight{
		batch: r.batch, landed: make(chan struct{}),
		next: Bookmark{List: r.list, Pack: pack, Entry: entry, Found: r.report.Skipped + r.report.Found},
	}
	r.flying, r.batch, r.bytes = f, nil, 0
	target := r.target
	go func() {
		defer close(f.landed)
		f.returns, f.err = r.write(ctx, target, f.batch)
	}()
	return nil
}

// land waits for the batch in flight, and counts what became of it.
func (r *restoring) land() error {
	f := r.flying
	if f == nil {
		return nil
	}
	<-f.landed
	r.flying = nil
	r.take(f.batch, f.returns, f.err == nil)
	if f.err == nil {
		r.next, r.since = f.next, r.since+1
	}
	return f.err
}

// mark looks into the conflicts, and puts the bookmark behind the last batch that
// has landed.
func (r *restoring) mark(ctx context.Context) error {
	if err := r.judge(ctx); err != nil {
		return err
	}
	r.since = 0
	if r.d.Journal == nil || r.o.DryRun || r.next.Pack == "" {
		return nil
	}
	return r.d.Journal.SaveRestore(ctx, r.key, r.next)
}

// settle writes what is left of a namespace, and looks into its conflicts.
func (r *restoring) settle(ctx context.Context) error {
	if err := r.land(); err != nil {
		return err
	}
	batch := r.batch
	r.batch, r.bytes = nil, 0
	if len(batch) > 0 {
		if err := r.writeNow(ctx, batch); err != nil {
			return err
		}
	}
	r.since = 0
	return r.judge(ctx)
}

// writeNow writes a batch while none is in flight.
func (r *restoring) writeNow(ctx context.Context, batch []guest) error {
	returns, err := r.write(ctx, r.target, batch)
	r.take(batch, returns, err == nil)
	return err
}

// write paces, holds and restores a batch, in this order. It touches nothing of r
// that changes.
func (r *restoring) write(ctx context.Context, to flow.Namespace, batch []guest) ([]cold.Return, error) {
	docs := make([]cold.Homecoming, len(batch))
	ids := make([]bson.RawValue, len(batch))
	size := int64(0)
	for i, g := range batch {
		docs[i], ids[i] = g.Homecoming, g.ID
		size += int64(len(g.Doc))
	}
	if r.o.DryRun {
		if p, ok := r.d.Live.(Peeker); ok {
			return p.Peek(ctx, to, docs, r.o.OnConflict)
		}
		return nil, nil
	}
	if r.d.Pacer != nil {
		if err := r.d.Pacer.Wait(ctx, len(docs), size); err != nil {
			return nil, err
		}
	}
	if r.d.Holds != nil && r.o.HoldFor > 0 {
		if err := r.d.Holds.Hold(ctx, to, ids, r.d.Now().Add(r.o.HoldFor)); err != nil {
			return nil, err
		}
	}
	returns, err := r.d.Live.Restore(ctx, to, docs, r.o.OnConflict)
	if len(returns) != len(batch) && err == nil {
		err = &flow.Error{Op: "restore to", Object: to.String(), Class: flow.Fatal, Err: errors.New("not every document has a return")}
	}
	return returns, err
}

// take counts the returns; conflicts that may turn out otherwise are kept.
func (r *restoring) take(batch []guest, returns []cold.Return, going bool) {
	for i, x := range returns[:min(len(returns), len(batch))] {
		if x.Returned == cold.Conflicting && r.o.OnConflict == cold.ReplaceOlder && len(batch[i].Replaceable) == 0 && going {
			r.conflict(batch[i], x)
			continue
		}
		r.tally(batch[i], x)
	}
}
