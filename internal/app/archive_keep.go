package app

import (
	"context"
	"log/slog"
	"time"

	"sluice/internal/archive/catalogue"
	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/mongo/archivedb"
)

// ArchiveGC removes what belongs to no pack and is older than olderThan, unless
// the journal knows of a run that is not finished and has it; with dryRun it only
// tells. It also removes rows from MongoDB that nobody needs any more.
func ArchiveGC(ctx context.Context, o ArchiveOptions, olderThan time.Duration, dryRun bool) ([]ArchiveGarbage, error) {
	// Whatever the rule, all of a place is looked at.
	o.Rules = nil
	db, err := o.openDB(ctx)
	if err != nil {
		return nil, err
	}
	defer closeDB(ctx, db)
	all, release, err := o.shelves(ctx)
	defer release()
	if err != nil {
		return nil, err
	}
	removed := []ArchiveGarbage{}
	if !dryRun {
		if err := tidyRows(ctx, db, o.logger()); err != nil {
			return removed, err
		}
	}
	for _, s := range all {
		some, err := s.GC(ctx, catalogue.GCOptions{OlderThan: olderThan, DryRun: dryRun, Live: func(ctx context.Context) (map[string]bool, error) { return openObjects(ctx, db) }})
		removed = append(removed, some...)
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// openObjects are the keys of the packs that the journal knows to be unfinished.
func openObjects(ctx context.Context, db *archivedb.DB) (map[string]bool, error) {
	open, err := db.Packs(ctx, archivedb.PackQuery{States: []cold.PackState{
		cold.PackPlanned, cold.PackSpooled, cold.PackPacked, cold.PackUploaded, cold.PackVerified, cold.PackCommitted,
		cold.PackDeleting, cold.PackDeleted,
	}})
	live := map[string]bool{}
	for _, p := range open {
		live[p.Object] = true
	}
	return live, err
}

// ledgerMargin is how much longer than the oplog the ledger is kept: longer than
// any delete takes.
const ledgerMargin = 7 * 24 * time.Hour

// tidyRows removes holds that are over, and rows of the ledger that are older
// than the oplog: a flow that has still to read those deletes has lost its history.
func tidyRows(ctx context.Context, db *archivedb.DB, log *slog.Logger) error {
	now, _, err := db.ServerTime(ctx)
	if err != nil {
		return err
	}
	runs, err := db.Runs(ctx, archivedb.RunQuery{})
	if err != nil {
		return err
	}
	done := map[string]bool{}
	var holds, rows int64
	for _, r := range runs {
		ns, ok := flow.ParseNamespace(r.NS)
		if !ok || done[r.NS] {
			continue
		}
		done[r.NS] = true
		n, err := db.ReleaseHolds(ctx, ns, now)
		if err != nil {
			return err
		}
		holds += n
	}
	load, err := db.Load(ctx)
	if err != nil {
		return err
	}
	if load.WindowKnown {
		if rows, err = db.LedgerGC(ctx, now.Add(-load.Window-ledgerMargin)); err != nil {
			return err
		}
	}
	log.Debug("rows that nobody needs are removed", "holds", holds, "ledger", rows)
	return nil
}

// ArchiveRebuild writes the journal anew from what is in all places. Rows that
// are there stay: the journal knows more than the bucket.
func ArchiveRebuild(ctx context.Context, o ArchiveOptions) (ArchiveRebuilt, error) {
	var done ArchiveRebuilt
	o.Rules = nil
	db, err := o.openDB(ctx)
	if err != nil {
		return done, err
	}
	defer closeDB(ctx, db)
	if err := db.EnsureIndexes(ctx); err != nil {
		return done, err
	}
	all, release, err := o.shelves(ctx)
	defer release()
	if err != nil {
		return done, err
	}
	for _, s := range all {
		r, err := s.Rebuild(ctx)
		if err != nil {
			return done, err
		}
		if err := rebuild(ctx, db, r, &done); err != nil {
			return done, err
		}
	}
	return done, nil
}

// dropStale removes the exceptions of a pack whose row was lost without them: its
// deletes begin anew, and write their own.
func dropStale(ctx context.Context, db *archivedb.DB, pack string) error {
	stale, err := db.Exceptions(ctx, pack)
	if err != nil {
		return err
	}
	return db.DropExceptions(ctx, stale)
}

// rebuild writes what is missing. A run comes before its packs. The exceptions
// of a pack come before it, so that a pack that is there has all of them.
func rebuild(ctx context.Context, db *archivedb.DB, r catalogue.Rebuilt, done *ArchiveRebuilt) error {
	known := map[string]bool{}
	runs, err := db.Runs(ctx, archivedb.RunQuery{})
	if err != nil {
		return err
	}
	for _, one := range runs {
		known[one.ID] = true
	}
	packs, err := db.Packs(ctx, archivedb.PackQuery{})
	if err != nil {
		return err
	}
	for _, one := range packs {
		known[one.ID] = true
	}
	for _, run := range r.Runs {
		done.Runs++
		if known[run.ID] {
			continue
		}
		if err := db.PutRun(ctx, run); err != nil && flow.ClassOf(err) != flow.Conflict {
			return err
		}
	}
	byPack := map[string][]cold.Exception{}
	for _, x := range r.Exceptions {
		done.Exceptions++
		byPack[x.Pack] = append(byPack[x.Pack], x)
	}
	for _, p := range r.Packs {
		done.Packs++
		if known[p.ID] {
			continue
		}
		if p.Rebuilt {
			if err := dropStale(ctx, db, p.ID); err != nil {
				return err
			}
		}
		if err := db.PutExceptions(ctx, p, byPack[p.ID]); err != nil {
			return err
		}
		// One that another process has made meanwhile stays as it is.
		switch err := db.PutPack(ctx, p, ""); {
		case err == nil:
			done.New++
		case flow.ClassOf(err) != flow.Conflict:
			return err
		}
	}
	return nil
}
