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
	// Keys returns the values of _id that a document of that id may have, likely
	// ones and others; none: nobody can tell. nil: the one that the id is made of
	// (transcode.ParseID).
	Keys func(id string) (likely, others []bson.RawValue)
	// Missing returns those of ids that ns did not hold at the time at, in their order.
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
		ghosts := make([]ghost, 0, len(page))
		for _, s := range page {
			if one := g.ghost(s); len(one.likely) > 0 {
				ghosts = append(ghosts, one)
			} else {
				foreign++
			}
		}
		n, err := g.removePage(ctx, d, ns, ghosts)
		removed += n
		return err
	})
	if foreign > 0 {
		g.Logger.LogAttrs(ctx, slog.LevelWarn, "documents whose id leads to no key were left in the index",
			slog.String(flow.LogNS, ns.String()), slog.Int(flow.LogCount, foreign))
	}
	return removed, err
}

// ghost is a document of the index that may be one: the values of _id that it may
// have. It is one if MongoDB has none of them.
type ghost struct{ likely, others []bson.RawValue }

func (g *Ghosts) ghost(id string) (one ghost) {
	if g.Keys != nil {
		one.likely, one.others = g.Keys(id)
		return one
	}
	if key, ok := transcode.ParseID(id); ok {
		one.likely = []bson.RawValue{key}
	}
	return one
}

func (g *Ghosts) removePage(ctx context.Context, d *delivery, ns flow.Namespace, page []ghost) (int, error) {
	gone, at, err := g.gone(ctx, d, ns, page, func(one *ghost) []bson.RawValue { return one.likely })
	if err != nil || len(gone) == 0 {
		return 0, err
	}
	// The time of the first look-up counts: what came since is newer.
	gone, _, err = g.gone(ctx, d, ns, gone, func(one *ghost) []bson.RawValue { return one.others })
	if err != nil || len(gone) == 0 {
		return 0, err
	}
	version, err := flow.VersionOf(at)
	if err != nil {
		return 0, &flow.Error{Op: "remove ghosts of", Object: ns.String(), Class: flow.Fatal, Err: err}
	}
	n := 0
	b := flow.Batch{Changes: make([]flow.Change, len(gone))}
	var all []bson.RawValue
	for i := range gone {
		all = append(append(all, gone[i].likely...), gone[i].others...)
	}
	archived, err := g.archived(ctx, d, ns, all)
	if err != nil {
		return 0, err
	}
	for i := range gone {
		c := flow.Change{Op: flow.OpDelete, NS: ns, ID: gone[i].likely[0], Version: version, Time: at}
		for k := range len(gone[i].likely) + len(gone[i].others) {
			if archived[k] != nil && c.Archived == nil {
				c.ID, c.Archived = all[k], archived[k]
			}
		}
		k := len(gone[i].likely) + len(gone[i].others)
		all, archived = all[k:], archived[k:]
		if c.Archived == nil {
			n++
		}
		b.Changes[i] = c
		b.Bytes += len(c.ID.Value)
	}
	if err := d.run(ctx, b); err != nil {
		return 0, err
	}
	return n, nil
}

// ghostKeys bounds the keys of one look-up, as long as one document has no more.
const ghostKeys = 10_000

// gone returns those of page of whose keys MongoDB has none; at is the time of the
// first look-up. What has no keys is gone.
func (g *Ghosts) gone(ctx context.Context, d *delivery, ns flow.Namespace, page []ghost, keys func(*ghost) []bson.RawValue) (gone []ghost, at bson.Timestamp, err error) {
	var ids []bson.RawValue
	for from := 0; from < len(page); {
		to := from
		for ids = ids[:0]; to < len(page) && (to == from || len(ids)+len(keys(&page[to])) <= ghostKeys); to++ {
			ids = append(ids, keys(&page[to])...)
		}
		missing, now, err := g.missing(ctx, d, ns, ids)
		if err != nil {
			return nil, at, err
		}
		if from == 0 {
			at = now
		}
		// They come in the order of ids.
		for i := from; i < to; i++ {
			all := true
			for _, key := range keys(&page[i]) {
				if len(missing) > 0 && missing[0].Equal(key) {
					missing = missing[1:]
				} else {
					all = false
				}
			}
			if all {
				gone = append(gone, page[i])
			}
		}
		if len(missing) > 0 {
			return nil, at, &flow.Error{Op: "remove ghosts of", Object: ns.String(), Class: flow.Fatal, Err: errors.New("the look-up returned an id that it was not asked for")}
		}
		from = to
	}
	return gone, at, nil
}

// missing asks for ids, if there are any.
func (g *Ghosts) missing(ctx context.Context, d *delivery, ns flow.Namespace, ids []bson.RawValue) (missing []bson.RawValue, at bson.Timestamp, err error) {
	if len(ids) == 0 {
		return nil, at, nil
	}
	err = d.retry.do(ctx, "look up", Retrying, func(ctx context.Context) (err error) {
		missing, at, err = g.Missing(ctx, ns, ids)
		return err
	})
	return missing, at, err
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
