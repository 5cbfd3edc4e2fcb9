package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/pack"
)

// move writes the pack's next state; the row in memory follows the stored one.
func (j *job) move(ctx context.Context, w *work, to cold.PackState) error {
	next := *w.pack
	next.State, next.Fence, next.Updated = to, j.fence, time.Now()
	if err := j.deps.DB.PutPack(ctx, next, w.pack.State); err != nil {
		return err
	}
	*w.pack = next
	j.deps.Metrics.pack(j.rule, to)
	return nil
}

// advance takes a pack from the state it is in to the last one that it can be
// in now: closed, or committed while it soaks.
func (j *job) advance(ctx context.Context, w *work) error {
	for {
		var err error
		switch w.pack.State {
		case cold.PackPacked:
			err = j.upload(ctx, w)
		case cold.PackUploaded:
			err = j.verify(ctx, w)
		case cold.PackVerified:
			err = j.commit(ctx, w)
		case cold.PackCommitted:
			var wait bool
			if wait, err = j.decide(ctx, w); wait {
				return nil
			}
		case cold.PackDeleting:
			if !j.mayDelete(w) {
				// It was half deleted before the rule was told to keep.
				j.waiting()
				return nil
			}
			err = j.remove(ctx, w)
		case cold.PackDeleted:
			err = j.settle(ctx, w)
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (j *job) upload(ctx context.Context, w *work) error {
	defer j.spent(&j.report.Phases.Upload, nil, time.Now())
	place, err := j.place(ctx, w.pack)
	if err != nil {
		return err
	}
	return j.step(ctx, StepUploaded, func() error {
		body, err := w.file.body()
		if err != nil {
			return err
		}
		if err := place.Shelf.Upload(ctx, w.pack, body); err != nil {
			return err
		}
		j.prog.uploaded(w.pack.Docs, w.pack.Bytes)
		j.deps.Metrics.uploaded(j.rule, w.pack.Bytes)
		return nil
	}, func() error { return j.move(ctx, w, cold.PackUploaded) })
}

// verify reads the object back, and decodes it.
func (j *job) verify(ctx context.Context, w *work) error {
	defer j.spent(&j.report.Phases.Verify, nil, time.Now())
	place, err := j.place(ctx, w.pack)
	if err != nil {
		return err
	}
	return j.step(ctx, StepVerified,
		func() error { return place.Shelf.Verify(ctx, w.manifest) },
		func() error { return j.move(ctx, w, cold.PackVerified) })
}

// commit puts the manifest beside the object: from here on the pack is part of
// the archive.
func (j *job) commit(ctx context.Context, w *work) error {
	defer j.spent(&j.report.Phases.Commit, nil, time.Now())
	place, err := j.place(ctx, w.pack)
	if err != nil {
		return err
	}
	err = j.step(ctx, StepCommitted,
		func() error { return place.Shelf.Commit(ctx, w.manifest) },
		func() error { return j.move(ctx, w, cold.PackCommitted) })
	if err != nil {
		return err
	}
	// The documents are read back from the spool only to compare without
	// transactions.
	if j.txn(w) {
		w.file.remove()
	}
	j.committed(w)
	if w.inOrder {
		return j.mark(ctx, w.pack.MaxAge)
	}
	return nil
}

// decide tells what follows a commit: the delete, now or later, or nothing.
func (j *job) decide(ctx context.Context, w *work) (wait bool, err error) {
	switch {
	case w.run.Shadow:
		if err := j.shadow(ctx, w); err != nil {
			return false, err
		}
		fallthrough
	case !w.run.Delete:
		w.file.remove()
		return false, j.step(ctx, StepClosed, nil, func() error { return j.move(ctx, w, cold.PackClosed) })
	case !j.mayDelete(w) || w.pack.DeleteAfter.After(j.serverNow()):
		w.file.remove()
		j.waiting()
		return true, nil
	}
	return false, j.step(ctx, StepDeleting, nil, func() error { return j.move(ctx, w, cold.PackDeleting) })
}

// mayDelete: the run was to delete, and the rule still says so.
func (j *job) mayDelete(w *work) bool {
	return w.run.Delete && !w.run.Shadow && j.rule.Delete && !j.rule.Shadow
}

// settle writes the outcomes into the bucket.
func (j *job) settle(ctx context.Context, w *work) error {
	defer j.spent(&j.report.Phases.Delete, nil, time.Now())
	place, err := j.place(ctx, w.pack)
	if err != nil {
		return err
	}
	return j.step(ctx, StepClosed, func() error {
		ex, err := j.deps.DB.Exceptions(ctx, w.pack.ID)
		if err != nil {
			return err
		}
		if w.pack.Deleted+len(ex) != w.pack.Docs {
			// What is no exception counts as deleted.
			return &flow.Error{
				Op: "settle pack", Object: w.pack.ID, Class: flow.Fatal,
				Err:  fmt.Errorf("of %d documents %d were deleted, and the journal has %d that were not", w.pack.Docs, w.pack.Deleted, len(ex)),
				Hint: "Rows of the journal were removed. Remove that of the pack in archive_packs too, then: sluice archive rebuild-catalogue.",
			}
		}
		return place.Shelf.Settle(ctx, w.pack, ex)
	}, func() error { return j.move(ctx, w, cold.PackClosed) })
}

func (j *job) waiting() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.report.Waiting++
}

// committed counts a pack in its run, if that is ours.
func (j *job) committed(w *work) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.run == nil || w.run.ID != j.run.ID {
		return
	}
	j.run.Packs++
	j.run.Docs += int64(w.pack.Docs)
	j.run.Bytes += w.pack.Bytes
}

// place returns where the objects of a pack are.
func (j *job) place(ctx context.Context, p *cold.Pack) (Place, error) {
	here := *p
	j.deps.Place.Shelf.Place(&here)
	if p.Store == "" || here.Store == p.Store {
		return j.deps.Place, nil
	}
	if j.deps.Elsewhere == nil {
		return Place{}, &flow.Error{
			Op: "open the place of pack", Object: p.ID, Class: flow.Config,
			Err:  errors.New("it lies in " + p.Store + ", and the rule now points to " + here.Store),
			Hint: "Let the rule point there again until its open packs are closed (sluice archive ls shows them).",
		}
	}
	return j.deps.Elsewhere(ctx, p.Store)
}

// header is what the manifest of a pack tells besides its documents.
func (j *job) header(w *work, soak time.Duration) pack.Header {
	h := pack.Header{
		Tool: j.deps.Tool, ID: w.pack.ID, Run: w.run.ID, Rule: w.run.Rule, NS: w.run.NS, UUID: w.run.UUID,
		Field: w.run.Field, Kind: w.run.Kind, Filter: w.run.Filter,
		From: w.run.From, Floor: w.run.Floor, Before: w.run.Before,
		Created: w.pack.Created, Delete: w.run.Delete, Shadow: w.run.Shadow, Object: w.pack.Object,
		Options: extJSON(j.survey.Options), ShardKey: extJSON(j.survey.ShardKey),
	}
	for _, i := range j.survey.Indexes {
		h.Indexes = append(h.Indexes, extJSON(i))
	}
	if w.run.Delete && soak > 0 {
		h.DeleteAfter = j.serverNow().Add(soak).Truncate(time.Millisecond)
	}
	return h
}

// extJSON returns nil for what is not there or can't be told.
func extJSON(doc bson.Raw) json.RawMessage {
	if len(doc) == 0 {
		return nil
	}
	b, err := bson.MarshalExtJSON(doc, true, false)
	if err != nil {
		return nil
	}
	return b
}
