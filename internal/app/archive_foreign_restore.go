package app

import (
	"context"
	"errors"
	"iter"
	"strings"

	"sluice/internal/archive/foreign"
	"sluice/internal/archive/restore"
	"sluice/internal/cold"
	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/governor"
)

// ForeignRestored counts what became of the documents of a restore from archives
// that go-chive wrote. Its Packs are objects.
type ForeignRestored struct {
	Restored
	// Older are the versions that a newer one of the same key stood in for.
	Older int64 `json:"older_versions"`
	// Damaged was left out.
	Damaged []ForeignFault `json:"damaged,omitempty"`
}

// ForeignRestore brings documents back from archives that go-chive wrote: of each
// key the newest version, inserted and never over another. A live document with
// the same fields and values in another order counts as equal. The same again
// finds what is done to be equal.
func ForeignRestore(ctx context.Context, o ArchiveOptions, p ForeignPlace, r RestoreOptions) (ForeignRestored, error) {
	done := ForeignRestored{Restored: Restored{DryRun: r.DryRun}}
	s, err := o.openForeign(ctx, p)
	if err != nil {
		return done, err
	}
	defer s.close()
	into, err := s.target(p, r.Into)
	if err != nil {
		return done, err
	}
	db, err := o.openDB(ctx)
	if err != nil {
		return done, err
	}
	defer closeDB(ctx, db)
	chosen, err := s.choose(ctx, p, r.ArchiveWhich, false)
	if err != nil {
		return done, err
	}
	o.warnDamaged(chosen.Faults)
	pace := o.governorOptions(config.RuleLimits{DocsPerSecond: r.Rate}, db)
	done.Restored, err = restore.Stream(ctx, restore.Deps{
		Live: foreignLive{liveDB{db}}, Holds: restoreHolds{DB: db, cfg: o.Config}, Pacer: governor.New(pace), Logger: o.logger(),
	}, restore.Options{
		Into: into.String(), OnConflict: cold.OnConflict(r.OnConflict), DryRun: r.DryRun, HoldFor: o.holdFor(), Limit: int64(r.Limit),
	}, homecomings(chosen.Docs(ctx)))
	done.Packs, done.Older, done.Damaged = len(s.objects), chosen.Older, chosen.Faults
	return done, err
}

// target is where the documents go. The objects' names tell the collection, and
// nothing tells the database.
func (s *foreignStock) target(p ForeignPlace, into string) (flow.Namespace, error) {
	if err := s.some(p); err != nil {
		return flow.Namespace{}, err
	}
	colls := s.collections()
	fault := func(err error) (flow.Namespace, error) {
		return flow.Namespace{}, &flow.Error{
			Op: "restore from", Object: s.name, Class: flow.Config, Err: err,
			Hint: "give --namespace db.collection, the one that go-chive archived; --to-namespace for another place",
		}
	}
	if len(colls) > 1 {
		return fault(errors.New("the objects are of several collections: " + strings.Join(colls, ", ")))
	}
	to, whole := flow.ParseNamespace(into)
	switch {
	case whole:
		return to, nil
	case into != "" && colls[0] != "":
		return flow.Namespace{DB: into, Coll: colls[0]}, nil
	case into == "" && s.ns.Coll != "":
		return s.ns, nil
	}
	return fault(errors.New("nothing tells the database and collection of the documents"))
}

// homecomings are documents of go-chive as a restore takes them.
func homecomings(docs iter.Seq2[foreign.Document, error]) iter.Seq2[restore.Document, error] {
	return func(yield func(restore.Document, error) bool) {
		for d, err := range docs {
			if !yield(restore.Document{ID: d.ID, Doc: d.Doc, From: d.Key + ":" + d.Member, Entry: d.Entry}, err) {
				return
			}
		}
	}
}

// foreignLive takes a live document for equal that has the same fields in another
// order: go-chive had lost theirs.
type foreignLive struct{ liveDB }

// Restore inserts. The policy fail ends at a document that is live with another
// content, so those with the same are kept from it.
func (l foreignLive) Restore(ctx context.Context, ns flow.Namespace, docs []cold.Homecoming, on cold.OnConflict) ([]cold.Return, error) {
	if on != cold.FailConflict {
		out, err := l.liveDB.Restore(ctx, ns, docs, on)
		return settleOrder(docs, out), err
	}
	out, err := l.Peek(ctx, ns, docs, on)
	if err != nil {
		return nil, err
	}
	var rest []cold.Homecoming
	var at []int
	for i, x := range out {
		if x.Returned != cold.Equal {
			rest, at, out[i] = append(rest, docs[i]), append(at, i), cold.Return{}
		}
	}
	some, err := l.liveDB.Restore(ctx, ns, rest, on)
	for i, x := range some {
		out[at[i]] = x
	}
	return out, err
}

// Peek tells what Restore would do.
func (l foreignLive) Peek(ctx context.Context, ns flow.Namespace, docs []cold.Homecoming, on cold.OnConflict) ([]cold.Return, error) {
	out, err := l.DB.Peek(ctx, ns, docs, on)
	return settleOrder(docs, out), err
}

func settleOrder(docs []cold.Homecoming, out []cold.Return) []cold.Return {
	for i, x := range out {
		if x.Returned == cold.Conflicting && foreign.Same(docs[i].Doc, x.Live) {
			out[i] = cold.Return{Returned: cold.Equal}
		}
	}
	return out
}
