package archive

import (
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/cold"
)

func TestBatchesAreBoundedByBytes(t *testing.T) {
	entries := []cold.Entry{{Size: 15 << 20}, {Size: 1 << 20}, {Size: 1}, {Size: 16 << 20}, {Size: 40 << 20}, {Size: 5}}
	f := func(order []int32, most, want int) {
		t.Helper()
		if got := batchOf(entries, order, most); got != want {
			t.Errorf("%v: %d documents, want %d", order, got, want)
		}
	}
	f([]int32{0, 1, 2}, 1000, 2)
	f([]int32{0, 1}, 1000, 2)
	f([]int32{0, 1}, 1, 1)
	f([]int32{4, 5}, 1000, 1) // one at least
	f([]int32{5, 4}, 1000, 1)
	f([]int32{3}, 1000, 1)
	f(nil, 1000, 0)
}

// The waits of one phase are not counted in another.
func TestPhasesTellWhereTheTimeWent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(30)
		wait := map[string]time.Duration{
			StepUploaded + atBefore: time.Second, StepVerified + atBefore: 2 * time.Second, StepCommitted + atBefore: 3 * time.Second,
			StepBatch + atBefore: 4 * time.Second, StepSpooled + atBefore: 5 * time.Second,
		}
		_, r := w.process(t, "one", func(_ *proc, edge string) error {
			if d := wait[edge]; d > 0 {
				<-time.After(d)
			}
			return nil
		})
		time.Sleep(time.Second)
		p := run(t, w, r, rule()).Phases
		want := Phases{Pack: 15 * time.Second, Upload: 3 * time.Second, Verify: 6 * time.Second, Commit: 9 * time.Second, Delete: 36 * time.Second}
		if p != want {
			t.Errorf("%+v, want %+v", p, want)
		}
	})
}
