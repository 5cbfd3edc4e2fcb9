package search

import (
	"testing"

	"sluice/internal/flow"
)

// TestS14LeftIsRemoved: policies are about documents that are gone; what is
// there and does not belong into the index is removed.
func TestS14LeftIsRemoved(t *testing.T) {
	for _, r := range []Route{{}, {Delete: DeleteKeep}, {Delete: DeleteMark}, {Delete: DeleteKeep, Archive: ArchiveMark}} {
		if got := r.fate(&flow.Change{Op: flow.OpDelete, Left: true}); got != fateRemove {
			t.Errorf("%+v: %v", r, got)
		}
	}
}
