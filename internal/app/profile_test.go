package app

import (
	"testing"

	"sluice/internal/flow"
)

// TestS12ProfileShapesDocuments: profile and write are part of what a position is
// bound to; who uses neither keeps the positions that were saved before them.
func TestS12ProfileShapesDocuments(t *testing.T) {
	of := func(more string) string {
		return fingerprint(&ofFlow(t, more).Flows[0], flow.Namespace{DB: "shop", Coll: "orders"})
	}
	seen := map[string]string{}
	for _, more := range []string{"", "profile: monstache\n", "write: update\n", "profile: monstache\nwrite: update\n", "profile: monstache\nrender: {non_finite: remove}\n"} {
		sum := of(more)
		if other, dup := seen[sum]; dup {
			t.Errorf("%q and %q have one fingerprint", more, other)
		}
		seen[sum] = more
	}
	if of("profile: native\nwrite: index\n") != of("") {
		t.Error("the defaults count")
	}
}
