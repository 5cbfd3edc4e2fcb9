package archive

import (
	"context"
	"crypto/sha256"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/pack"
)

// shadow reads the documents of a pack again, and counts what a delete would
// have done. Nothing is deleted.
func (j *job) shadow(ctx context.Context, w *work) error {
	sel, err := selectionOf(*w.run)
	if err != nil {
		return err
	}
	was := *w.pack
	order := pack.DeleteOrder(w.manifest.Entries)
	for from := 0; from < len(order); from += DeleteBatch {
		part := order[from:min(from+DeleteBatch, len(order))]
		if err := j.deps.Governor.WaitDelete(ctx, len(part)); err != nil {
			return err
		}
		if err := j.compare(ctx, w, sel, part); err != nil {
			return err
		}
	}
	j.count(w, was)
	return nil
}

// compare counts one batch.
func (j *job) compare(ctx context.Context, w *work, sel cold.Selection, part []int32) error {
	ids := make([]bson.RawValue, len(part))
	want := make(map[cold.Hash]bool, len(part))
	for i, n := range part {
		ids[i] = w.manifest.Entries[n].ID
		want[w.manifest.Entries[n].Hash] = true
	}
	r, err := j.deps.DB.ReadIDs(ctx, sel, ids)
	if err != nil {
		return err
	}
	equal := 0
	for _, doc := range r.Docs {
		if want[sha256.Sum256(doc)] {
			equal++
		}
	}
	w.pack.Deleted += equal
	w.pack.Changed += len(r.Docs) - equal
	w.pack.Gone += len(part) - len(r.Docs)
	return nil
}
