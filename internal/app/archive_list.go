package app

import (
	"context"
	"errors"

	"sluice/internal/flow"
	"sluice/internal/mongo/archivedb"
)

// ArchiveList returns the runs of the journal, the newest first.
func ArchiveList(ctx context.Context, o ArchiveOptions, l ArchiveListOptions) ([]ArchiveRunDetail, error) {
	db, err := o.openDB(ctx)
	if err != nil {
		return nil, err
	}
	defer closeDB(ctx, db)
	rule := ""
	if len(o.Rules) == 1 {
		rule = o.Rules[0]
	}
	q := archivedb.RunQuery{Rule: rule, NS: l.Namespace}
	if len(o.Rules) <= 1 {
		q.Limit = l.Limit
	}
	runs, err := db.Runs(ctx, q)
	if err != nil {
		return nil, err
	}
	list := []ArchiveRunDetail{}
	for _, r := range runs {
		if !o.chosen(r.Rule) || l.Limit > 0 && len(list) == l.Limit {
			continue
		}
		one := ArchiveRunDetail{Run: r}
		if l.Packs {
			if one.Packs, err = db.Packs(ctx, archivedb.PackQuery{Run: r.ID}); err != nil {
				return nil, err
			}
		}
		list = append(list, one)
	}
	return list, nil
}

// ArchiveShow returns a run with its packs. id is that of a run, or of a pack,
// which then is the only one shown.
func ArchiveShow(ctx context.Context, o ArchiveOptions, id string) (ArchiveRunDetail, error) {
	db, err := o.openDB(ctx)
	if err != nil {
		return ArchiveRunDetail{}, err
	}
	defer closeDB(ctx, db)
	runID, packs := id, archivedb.PackQuery{Run: id}
	if one, err := db.Packs(ctx, archivedb.PackQuery{IDs: []string{id}}); err != nil {
		return ArchiveRunDetail{}, err
	} else if len(one) == 1 {
		runID, packs = one[0].Run, archivedb.PackQuery{IDs: []string{id}}
	}
	runs, err := db.Runs(ctx, archivedb.RunQuery{IDs: []string{runID}})
	if err != nil {
		return ArchiveRunDetail{}, err
	}
	if len(runs) == 0 {
		return ArchiveRunDetail{}, &flow.Error{
			Op: "show", Object: id, Class: flow.Config, Err: errors.New("the journal has no such run or pack"),
			Hint: "sluice archive ls lists them; sluice archive rebuild-catalogue writes the journal anew from the bucket",
		}
	}
	d := ArchiveRunDetail{Run: runs[0]}
	d.Packs, err = db.Packs(ctx, packs)
	return d, err
}

// closeDB ends the connection of a verb. That it fails is no failure of the
// verb, which has done its work.
func closeDB(ctx context.Context, db *archivedb.DB) {
	closeCtx, done := context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
	defer done()
	_ = db.Close(closeCtx)
}
