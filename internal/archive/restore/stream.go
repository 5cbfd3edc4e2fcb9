package restore

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/archive/catalogue"
	"sluice/internal/cold"
	"sluice/internal/flow"
)

// Document is one that comes back from elsewhere than a pack. Its bytes must not
// change any more.
type Document struct {
	ID  bson.RawValue
	Doc bson.Raw
	// From and Entry are where it lies, for Trouble.
	From  string
	Entry int
}

// Stream restores documents of an archive that is not ours, each key once, as Run
// does those of packs: paced, on hold first, and only inserted. Options.Into names
// the collection. There is no bookmark: the same again finds what is done Equal.
// Of Options only Into, OnConflict, DryRun, Limit, HoldFor and the bounds count;
// ReplaceOlder is refused, since nothing tells an older version by its hash.
func Stream(ctx context.Context, d Deps, o Options, docs iter.Seq2[Document, error]) (Report, error) {
	report := Report{DryRun: o.DryRun}
	if err := o.defaults(); err != nil {
		return report, err
	}
	if o.OnConflict == cold.ReplaceOlder {
		return report, &flow.Error{
			Op: "restore", Class: flow.Config, Err: errors.New("replace-older has no meaning here: the archive has no hashes that would tell an older version of the live document"),
			Hint: "It is keep-live or fail.",
		}
	}
	into, whole := flow.ParseNamespace(o.Into)
	if !whole {
		return report, &flow.Error{Op: "restore into", Object: o.Into, Class: flow.Config, Err: errors.New("it is no db.collection")}
	}
	d.Journal = nil
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	r := &restoring{d: d, o: o, report: report, target: into}
	err := r.stream(ctx, docs)
	return r.report, err
}

func (r *restoring) stream(ctx context.Context, docs iter.Seq2[Document, error]) (err error) {
	defer func() { // also after an error of reading: what was begun is counted
		if landed := r.land(); err == nil {
			err = landed
		}
	}()
	if !r.o.DryRun {
		left, err := r.d.Live.EnsureCollection(ctx, r.target, nil, nil)
		if r.report.Left = left; err != nil {
			return err
		}
	}
	from := &catalogue.Item{}
	for d, err := range docs {
		if err != nil {
			return err
		}
		if from.Header.ID != d.From {
			from = &catalogue.Item{}
			from.Header.ID = d.From
		}
		if len(r.batch) > 0 && (len(r.batch) >= r.o.BatchDocs || r.bytes+len(d.Doc) > r.o.BatchBytes) {
			if err := r.flush(ctx, d.From, d.Entry); err != nil {
				return err
			}
		}
		r.batch = append(r.batch, guest{cold.Homecoming{ID: d.ID, Doc: d.Doc}, from, d.Entry})
		r.bytes += len(d.Doc)
		r.report.Found++
		r.report.Bytes += int64(len(d.Doc))
		if r.o.Limit > 0 && r.report.Found >= r.o.Limit {
			break
		}
	}
	return r.settle(ctx)
}
