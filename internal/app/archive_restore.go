package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/archive"
	"sluice/internal/archive/restore"
	"sluice/internal/cold"
	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/governor"
	"sluice/internal/mongo/archivedb"
)

// Restored counts what became of the documents of a restore.
type Restored = restore.Report

// OutcomeLive chooses documents that were only copied, and are live for all that
// the archive knows.
const OutcomeLive = "live"

// restoreMemory is what a restore may take.
const restoreMemory = 64 << 20

// Restore brings documents back (rule A8). The counts are of use after an error
// too: they are of what was done before. The same restore again goes on where
// this one ended.
func Restore(ctx context.Context, o ArchiveOptions, r RestoreOptions) (Restored, error) {
	boundMemory(restoreMemory)
	db, err := o.openDB(ctx)
	if err != nil {
		return Restored{DryRun: r.DryRun}, err
	}
	defer closeDB(ctx, db)
	all, release, err := o.shelves(ctx)
	defer release()
	if err != nil {
		return Restored{DryRun: r.DryRun}, err
	}
	pace := o.governorOptions(config.RuleLimits{DocsPerSecond: r.Rate}, db)
	return restore.Run(ctx, restore.Deps{
		Packs: library(all), Live: liveDB{db}, Holds: restoreHolds{DB: db, cfg: o.Config}, Runs: finisher{o}, Pacer: governor.New(pace),
		Journal: restoreNotes{db}, Logger: o.logger(),
	}, restore.Options{
		Query: r.query(""), IDs: r.IDs, Doc: r.Query, Into: r.Into, OnConflict: cold.OnConflict(r.OnConflict),
		Outcomes: outcomes(r.Outcomes), DryRun: r.DryRun, Thaw: r.Thaw, HoldFor: o.holdFor(), Limit: int64(r.Limit),
	})
}

func outcomes(names []string) []cold.Outcome {
	var all []cold.Outcome
	for _, n := range names {
		if n == OutcomeLive {
			n = ""
		}
		all = append(all, cold.Outcome(n))
	}
	return all
}

// holdFor is the longest hold of the rules whose packs are asked for.
func (o *ArchiveOptions) holdFor() time.Duration {
	var hold time.Duration
	for i := range o.Config.Archive {
		if a := &o.Config.Archive[i]; o.chosen(a.Name) {
			hold = max(hold, a.HoldRestored)
		}
	}
	return hold
}

// liveDB is MongoDB's side as a restore wants it.
type liveDB struct{ *archivedb.DB }

// EnsureCollection makes a collection that is missing.
func (d liveDB) EnsureCollection(ctx context.Context, ns flow.Namespace, options bson.Raw, indexes []bson.Raw) ([]string, error) {
	done, err := d.DB.EnsureCollection(ctx, ns, options, indexes)
	return done.Left, err
}

// restoreNotes keeps bookmarks among the archive's rows.
type restoreNotes struct{ db *archivedb.DB }

// LoadRestore reads a bookmark.
func (n restoreNotes) LoadRestore(ctx context.Context, key string) (restore.Bookmark, error) {
	var b restore.Bookmark
	err := n.db.LoadNote(ctx, key, &b)
	return b, err
}

// SaveRestore writes a bookmark; the zero one removes it.
func (n restoreNotes) SaveRestore(ctx context.Context, key string, b restore.Bookmark) error {
	if b == (restore.Bookmark{}) {
		return n.db.SaveNote(ctx, key, nil)
	}
	return n.db.SaveNote(ctx, key, b)
}

// finisher ends the open runs of a rule before its documents come back.
type finisher struct{ o ArchiveOptions }

// Finish goes on with what runs of the rule have left, and begins none. A rule
// that is not configured any more can't be finished, and is left alone.
func (f finisher) Finish(ctx context.Context, rule, ns string) error {
	o := f.o
	o.Rules = []string{rule}
	if !slices.ContainsFunc(o.Config.Archive, func(a config.Archive) bool { return a.Name == rule }) {
		o.logger().Warn("what runs of the rule have left can't be finished: it is not configured any more", "rule", rule)
		return nil
	}
	a, err := newArchiver(ctx, o, nil)
	if err != nil {
		return err
	}
	name, _ := flow.ParseNamespace(ns)
	enough := errors.New("no new run is wanted")
	r := a.rules[0]
	runner := archive.NewRunner(r.deps, archive.Options{Edge: func(_ context.Context, edge string) error {
		if edge == archive.StepRun+":before" {
			return enough
		}
		return nil
	}})
	_, err = runner.Run(ctx, archiveRule(r.cfg, name))
	if errors.Is(err, enough) || errors.Is(err, archive.ErrRefused) {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("finish the runs of rule %s: %w", rule, err)
	}
	return errors.Join(err, a.close(ctx))
}
