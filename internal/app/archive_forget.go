package app

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/archive"
	"sluice/internal/archive/catalogue"
	"sluice/internal/cold"
	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/lease"
	"sluice/internal/mongo/archivedb"
)

// ArchiveForget erases documents from the packs of the chosen rules (rule A9),
// under the leases of the rules: it waits for a run that is at work. What it does
// not reach it tells.
func ArchiveForget(ctx context.Context, o ArchiveOptions, f ArchiveForgetOptions) (ArchiveForgotten, error) {
	var done ArchiveForgotten
	db, err := o.openDB(ctx)
	if err != nil {
		return done, err
	}
	defer closeDB(ctx, db)
	all, release, err := o.shelves(ctx)
	defer release()
	if err != nil {
		return done, err
	}
	e := &erasure{o: &o, f: f, db: db, owner: archiveOwner(), done: &done}
	for _, s := range all {
		if err := e.shelf(ctx, s); err != nil {
			return done, err
		}
	}
	return done, nil
}

// erasure is one call of ArchiveForget.
type erasure struct {
	o     *ArchiveOptions
	f     ArchiveForgetOptions
	db    *archivedb.DB
	owner string
	done  *ArchiveForgotten
}

// part is what one lease is for.
type part struct{ rule, ns string }

func (e *erasure) shelf(ctx context.Context, s shelfOf) error {
	items, err := s.Select(ctx, e.f.query(s.rule), e.f.IDs)
	if err != nil {
		return err
	}
	var parts []part
	for _, it := range items {
		if p := (part{it.Header.Rule, it.Header.NS}); !slices.Contains(parts, p) {
			parts = append(parts, p)
		}
	}
	for _, p := range parts {
		if err := e.part(ctx, s, p); err != nil {
			return fmt.Errorf("rule %s on %s: %w", p.rule, p.ns, err)
		}
	}
	return nil
}

// part erases what one rule has archived of one collection.
func (e *erasure) part(ctx context.Context, s shelfOf, p part) (err error) {
	ns, _ := flow.ParseNamespace(p.ns)
	var fence int64
	if !e.f.DryRun {
		l, lerr := lease.Acquire(ctx, lease.Options{
			Store: e.db.Leases(), Name: archive.Rule{Name: p.rule, NS: ns}.LeaseName(), Owner: e.owner, Logger: e.o.logger(),
		})
		if lerr != nil {
			return lerr
		}
		_, fence = l.Fence()
		bound, stop := l.Bind(ctx)
		defer func() { err = errors.Join(err, l.Release(context.WithoutCancel(ctx))) }()
		defer stop()
		ctx = bound
	}
	q := e.f.query(p.rule)
	q.NS = p.ns
	f, err := s.Forget(ctx, catalogue.ForgetOptions{Query: q, Doc: e.f.Query, IDs: e.f.IDs, Reason: e.f.Reason, DryRun: e.f.DryRun})
	e.done.Documents += f.Documents
	e.done.Packs += f.Packs
	for _, u := range f.Unreached {
		e.done.Unreached = append(e.done.Unreached, s.Name()+"/"+u.Object+": "+u.Reason)
	}
	for _, a := range f.Audit {
		e.done.Audit = append(e.done.Audit, s.Name()+"/"+a)
	}
	for _, r := range f.Rewritten {
		e.done.Rewritten = append(e.done.Rewritten, r.New)
		// Also after an error: the next erasure does not meet this pack again.
		if !e.f.DryRun {
			err = errors.Join(err, e.journal(ctx, s, r, fence))
		}
	}
	return errors.Join(err, e.elsewhere(ctx, ns, f.Keys))
}

// journal brings the rows up to a pack that was written anew. That the old row
// can't be found is no fault: the journal may be lost.
func (e *erasure) journal(ctx context.Context, s shelfOf, r catalogue.Rewritten, fence int64) error {
	row := r.Row
	row.Fence = fence
	ex, err := exceptionsOf(ctx, s, r.New)
	if err != nil {
		return err
	}
	if err := e.db.PutExceptions(ctx, row, ex); err != nil {
		return err
	}
	if err := e.db.PutPack(ctx, row, ""); err != nil && flow.ClassOf(err) != flow.Conflict {
		return err
	}
	old, err := e.db.Packs(ctx, archivedb.PackQuery{IDs: []string{r.Old}})
	if err != nil || len(old) == 0 {
		return err
	}
	left, err := e.db.Exceptions(ctx, r.Old)
	if err != nil {
		return err
	}
	// They hold keys of what was erased.
	if err := e.db.DropExceptions(ctx, left); err != nil {
		return err
	}
	was := old[0].State
	old[0].State, old[0].Fence = cold.PackAbandoned, fence
	return e.db.PutPack(ctx, old[0], was)
}

// exceptionsOf reads the exceptions of a pack from its place.
func exceptionsOf(ctx context.Context, s shelfOf, id string) ([]cold.Exception, error) {
	var all []cold.Exception
	for it, err := range s.List(ctx, catalogue.Query{Pack: id}) {
		if err != nil {
			return nil, err
		}
		o, err := s.Open(ctx, it)
		if err != nil {
			return nil, err
		}
		for i, entry := range o.Manifest.Entries {
			if x, ok := o.Outcome.Exceptions[i]; ok {
				all = append(all, cold.Exception{Pack: it.Header.ID, Entry: i, Outcome: x, ID: entry.ID})
			}
		}
	}
	return all, nil
}

// elsewhere tells where the erased documents may be besides the packs.
func (e *erasure) elsewhere(ctx context.Context, ns flow.Namespace, keys []catalogue.Key) error {
	if len(keys) == 0 {
		return nil
	}
	tell := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !slices.Contains(e.done.Unreached, text) {
			e.done.Unreached = append(e.done.Unreached, text)
		}
	}
	for i := range e.o.Config.Flows {
		f := &e.o.Config.Flows[i]
		if index, err := config.IndexName(*f, ns.DB, ns.Coll); err == nil && f.Follows(ns.String()) && f.On.Archive != config.ArchiveRemove {
			tell("the index %s: flow %s keeps there what was archived; delete the document there by its _id", index, f.Name)
		}
	}
	_, now, err := e.db.ServerTime(ctx)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(keys, 1000) {
		ids := make([]bson.RawValue, len(some))
		for i, k := range some {
			ids[i] = k.ID
		}
		rows, err := e.db.KeysAfter(ctx, ns.String(), ids, now)
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			tell("%s.archive_ledger in MongoDB: its rows name the _id of documents that were deleted without transactions, until they are as old as the oplog",
				archivedb.DefaultDatabase)
		}
	}
	return nil
}
