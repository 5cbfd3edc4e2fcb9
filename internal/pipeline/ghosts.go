package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/transcode"
)

// Ghosts removes the documents of an index that MongoDB no longer has (rule
// S13): ids are read from the index, looked up in MongoDB at a known time, and
// what is missing is deleted at the version of that time. A document that came
// back since has a higher version and stays.
type Ghosts struct {
	// Scan calls page with the ids of ns's documents, some at a time, in no
	// order. page may keep nothing of the slice.
	Scan func(ctx context.Context, ns flow.Namespace, page func(ids []string) error) error
	// Missing returns those of ids that ns did not hold at the time at.
	Missing func(ctx context.Context, ns flow.Namespace, ids []bson.RawValue) (missing []bson.RawValue, at bson.Timestamp, err error)
	// Archived returns for each of ids, all of which are missing in ns, where an
	// archive holds it; nil for those that none does. May be nil: then none does.
	// What is archived is no ghost (rule A5): it is written as the archive's own
	// delete, which removes, keeps or marks it, as for one that the stream brings.
	Archived func(ctx context.Context, ns flow.Namespace, ids []bson.RawValue) ([]*flow.Archived, error)
	// Write deletes.
	Write flow.Sink
	// Logger may be nil.
	Logger *slog.Logger
}

// Remove deletes the ghosts of ns and returns how many there were, without
// those that are archived. Ids that
// can't be led back to a key (hashed, or not ours) are never deleted; their
// number is logged. Transient errors of Missing, Archived and Write are tried again; one
// of Scan is returned, as the scan has to begin anew. Removing twice is harmless.
func (g *Ghosts) Remove(ctx context.Context, ns flow.Namespace) (removed int, err error) {
	if g.Logger == nil {
		with := *g
		with.Logger = slog.New(slog.DiscardHandler)
		g = &with
	}
	r := retrier{log: newErrlog(g.Logger), watch: newWatch()}
	d := &delivery{sink: g.Write, retry: r, tally: newTally(newLedger(nil))}
	foreign := 0
	err = g.Scan(ctx, ns, func(page []string) error {
		ids := make([]bson.RawValue, 0, len(page))
		for _, s := range page {
			if id, ok := transcode.ParseID(s); ok {
				ids = append(ids, id)
			} else {
				foreign++
			}
		}
		n, err := g.removePage(ctx, d, ns, ids)
		removed += n
		return err
	})
	if foreign > 0 {
		g.Logger.LogAttrs(ctx, slog.LevelWarn, "documents whose id leads to no key were left in the index",
			slog.String(flow.LogNS, ns.String()), slog.Int(flow.LogCount, foreign))
	}
	return removed, err
}

func (g *Ghosts) removePage(ctx context.Context, d *delivery, ns flow.Namespace, ids []bson.RawValue) (int, error) {
	if len(ids) == 0 {
		return 0, nil
	}
	var missing []bson.RawValue
	var at bson.Timestamp
	err := d.retry.do(ctx, "look up", Retrying, func(ctx context.Context) (err error) {
		missing, at, err = g.Missing(ctx, ns, ids)
		return err
	})
	if err != nil || len(missing) == 0 {
		return 0, err
	}
	version, err := flow.VersionOf(at)
	if err != nil {
		return 0, &flow.Error{Op: "remove ghosts of", Object: ns.String(), Class: flow.Fatal, Err: err}
	}
	archived, err := g.archived(ctx, d, ns, missing)
	if err != nil {
		return 0, err
	}
	n := 0
	b := flow.Batch{Changes: make([]flow.Change, len(missing))}
	for i, id := range missing {
		if id.IsZero() {
			return 0, &flow.Error{
				Op: "remove ghosts of", Object: ns.String(), Class: flow.Fatal,
				Err: errors.New("the look-up returned an empty id"),
			}
		}
		if archived[i] == nil {
			n++
		}
		b.Changes[i] = flow.Change{Op: flow.OpDelete, NS: ns, ID: id, Version: version, Time: at, Archived: archived[i]}
		b.Bytes += len(id.Value)
	}
	if err := d.run(ctx, b); err != nil {
		return 0, err
	}
	return n, nil
}

// archived asks which of missing an archive holds.
func (g *Ghosts) archived(ctx context.Context, d *delivery, ns flow.Namespace, missing []bson.RawValue) ([]*flow.Archived, error) {
	if g.Archived == nil {
		return make([]*flow.Archived, len(missing)), nil
	}
	var out []*flow.Archived
	err := d.retry.do(ctx, "look up in the archive", Retrying, func(ctx context.Context) (err error) {
		out, err = g.Archived(ctx, ns, missing)
		return err
	})
	if err == nil && len(out) != len(missing) {
		err = &flow.Error{
			Op: "remove ghosts of", Object: ns.String(), Class: flow.Fatal,
			Err: fmt.Errorf("the archive gave %d answers for %d ids", len(out), len(missing)),
		}
	}
	return out, err
}
