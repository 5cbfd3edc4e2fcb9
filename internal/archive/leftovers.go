package archive

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
)

// leftoverLimit is how many documents that had changed one run reads again.
const leftoverLimit = 100_000

// leftovers returns the documents that stayed because they had changed when
// their pack was deleted. A rule without a mark finds them by their age.
func (j *job) leftovers(ctx context.Context) ([]cold.Exception, error) {
	if !j.rule.marked() || !j.rule.Delete || j.rule.Shadow {
		return nil, nil
	}
	all, err := j.deps.DB.RuleExceptions(ctx, j.rule.Name, j.rule.NS.String(), cold.Changed, leftoverLimit)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	// Those of a pack that is not closed are still to go into the bucket.
	open, err := j.deps.DB.Packs(ctx, PackQuery{Rule: j.rule.Name, NS: j.rule.NS.String(), States: unfinished()})
	if err != nil {
		return nil, err
	}
	busy := map[string]bool{}
	for _, p := range open {
		busy[p.ID] = true
	}
	var left []cold.Exception
	var ids []bson.RawValue
	for _, e := range all {
		if !busy[e.Pack] {
			left = append(left, e)
			ids = append(ids, e.ID)
		}
	}
	// What is on hold is for a later run.
	free := left[:0]
	for from := 0; from < len(left); from += DeleteBatch {
		to := min(from+DeleteBatch, len(left))
		held, err := j.heldIDs(ctx, ids[from:to])
		if err != nil {
			return nil, err
		}
		for i := from; i < to; i++ {
			if _, yes := held[i-from]; !yes {
				free = append(free, left[i])
			}
		}
	}
	return free, nil
}

// again reads documents by their keys, those that still are old, below the mark
// too.
func (j *job) again(sel cold.Selection, left []cold.Exception) source {
	sel.From = time.Time{}
	return func(ctx context.Context, take func(cold.Read) error) error {
		for from := 0; from < len(left); from += DeleteBatch {
			var ids []bson.RawValue
			for _, e := range left[from:min(from+DeleteBatch, len(left))] {
				ids = append(ids, e.ID)
			}
			r, err := j.deps.DB.ReadIDs(ctx, sel, ids)
			if err != nil {
				return err
			}
			if err := take(r); err != nil {
				return err
			}
		}
		return nil
	}
}
