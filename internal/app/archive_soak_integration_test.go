//go:build integration

package app

import (
	"fmt"
	"testing"
	"time"

	"sluice/internal/testkit"
)

// What comes back lies below the high-water mark of a rule with a soak; it is
// archived again for all that, when its hold is over.
func TestA8RestoredIsArchivedAgainAfterItsHold(t *testing.T) {
	s := newColdStage(t, `
archive:
  - {name: RULE, namespace: DB.orders, field: at, older_than: 1y, timezone: UTC, to: "file://DIR", soak: 1s, hold_restored: 1s}
`)
	s.fill(t, "orders", 20)
	young := func() error {
		s.runOnce(t)
		if n := s.count(t, "orders"); n != 20 {
			return fmt.Errorf("%d documents are live", n)
		}
		return nil
	}
	testkit.Eventually(t, 30*time.Second, young)
	r, err := Restore(t.Context(), s.o, RestoreOptions{OnConflict: "keep-live"})
	if err != nil || r.Inserted != 20 || s.count(t, "orders") != 40 {
		t.Fatalf("%+v, %v", r, err)
	}
	testkit.Eventually(t, 30*time.Second, young)
}
