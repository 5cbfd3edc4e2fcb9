package search

import (
	"fmt"
	"strings"
	"testing"

	"sluice/internal/flow"
)

// TestS7MoreThanTheEngineEverTakes: what is rejected because it alone is too much
// is not sent again as it is: in halves, and what is one document goes to the dead
// letters. Any other rejection passes.
func TestS7MoreThanTheEngineEverTakes(t *testing.T) {
	reject := func(all, operation, most int) string {
		return fmt.Sprintf(`{"error":{"type":"rejected_execution_exception","reason":"rejected execution of coordinating operation [coordinating_and_primary_bytes=%[1]d, `+
			`replica_bytes=0, all_bytes=%[1]d, coordinating_operation_bytes=%d, max_coordinating_and_primary_bytes=%d]"},"status":429}`, all, operation, most)
	}
	s := newScript(t)
	s.do(bulkOrders, func(c call) (int, string) {
		switch {
		case strings.Contains(c.body, `"huge"`):
			return 429, reject(0, 2000, 1999)
		case strings.Count(c.body, "\n") > 2:
			return 429, reject(5, 2000, 1999)
		}
		return bulkDone(c)
	})
	sink := s.sink(Route{})
	vs, err := sink.Write(t.Context(), batch(write(t, "a", 1), write(t, "huge", 1), write(t, "b", 1)))
	if err != nil || outcomes(vs) != "done dead_letter:too_large done" {
		t.Fatal(outcomes(vs), err)
	}
	if flow.ClassOf(vs[1].Err) != flow.Document || !strings.Contains(vs[1].Err.Error(), "indexing_pressure.memory.limit") {
		t.Error(vs[1].Err)
	}
	s.say(bulkOrders, 429, reject(1990, 2000, 2001))
	if vs, err := sink.Write(t.Context(), batch(write(t, "a", 1))); err != nil || outcomes(vs) != "retry:rejected" {
		t.Error(outcomes(vs), err)
	}
}
