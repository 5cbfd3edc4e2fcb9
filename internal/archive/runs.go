package archive

import (
	"context"
	"time"

	"sluice/internal/cold"
)

// settleRuns brings the rows of earlier runs up to what has become of their
// packs.
func (j *job) settleRuns(ctx context.Context) error {
	var ids []string
	for id := range j.touched {
		if j.run == nil || id != j.run.ID {
			ids = append(ids, id)
		}
	}
	clear(j.touched)
	if len(ids) == 0 {
		return nil
	}
	runs, err := j.deps.DB.Runs(ctx, RunQuery{IDs: ids})
	if err != nil {
		return err
	}
	for i := range runs {
		r := &runs[i]
		was := *r
		state, err := j.sum(ctx, r)
		if err != nil {
			return err
		}
		// That it failed stays to be seen.
		if r.State != cold.RunFailed {
			r.State = state
		}
		if r.Ended.IsZero() && r.State != cold.RunSoaking {
			r.Ended = time.Now()
		}
		if *r == was {
			continue
		}
		r.Fence = j.fence
		if err := j.lease.Check(j.need); err != nil {
			return err
		}
		if err := j.deps.DB.PutRun(ctx, *r); err != nil {
			return err
		}
	}
	return nil
}

// sum counts the packs of a run into its row, and tells the state that follows.
func (j *job) sum(ctx context.Context, r *cold.Run) (cold.RunState, error) {
	packs, err := j.deps.DB.Packs(ctx, PackQuery{Run: r.ID})
	if err != nil {
		return "", err
	}
	r.Packs, r.Docs, r.Bytes, r.Deleted, r.Changed, r.Gone = 0, 0, 0, 0, 0, 0
	open := 0
	for _, p := range packs {
		switch p.State {
		case cold.PackAbandoned:
			continue
		case cold.PackClosed:
		default:
			open++
		}
		r.Packs++
		r.Docs += int64(p.Docs)
		r.Bytes += p.Bytes
		r.Deleted += int64(p.Deleted)
		r.Changed += int64(p.Changed)
		r.Gone += int64(p.Gone)
	}
	switch {
	case open > 0:
		return cold.RunSoaking, nil
	case r.Packs == 0 && !r.Complete:
		return cold.RunAbandoned, nil
	}
	return cold.RunClosed, nil
}
