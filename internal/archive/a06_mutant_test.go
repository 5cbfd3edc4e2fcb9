package archive

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// ahead is a database whose server has another clock than we.
type ahead struct {
	*proc
	by time.Duration
}

func (a ahead) ServerTime(ctx context.Context) (time.Time, bson.Timestamp, error) {
	now, at, err := a.proc.ServerTime(ctx)
	return now.Add(a.by), at, err
}

func TestA6CutoffByTheServersClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(9)
		p, r := w.process(t, "one", nil)
		r.deps.DB = ahead{p, -50 * time.Second}
		time.Sleep(time.Minute)
		want := time.Now().Add(-50*time.Second - 100*time.Hour)
		plan, err := r.Plan(t.Context(), rule())
		if err != nil || !plan.Before.Equal(want) {
			t.Errorf("the plan is for what is before %v, not %v (%v)", plan.Before, want, err)
		}
		if rep := run(t, w, r, rule()); rep.Run == nil || !rep.Run.Before.Equal(want) {
			t.Errorf("the run took what is before %+v, not %v", rep.Run, want)
		}
	})
}

// What a run has archived is deleted by the run's own cutoff, whatever the rule
// says by then.
func TestA6CutoffIsFrozenPerRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(25)
		_, r := w.process(t, "one", nil)
		rule := rule()
		rule.Soak = time.Hour
		time.Sleep(time.Second)
		run(t, w, r, rule)
		time.Sleep(2 * time.Hour)
		rule.Cutoff = func(now time.Time) time.Time { return now.Add(-1000 * time.Hour) }
		if rep := run(t, w, r, rule); rep.Deleted != 25 {
			t.Errorf("of 25 that were archived, it deleted %d", rep.Deleted)
		}
	})
}
