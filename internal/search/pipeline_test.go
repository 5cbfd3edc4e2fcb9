package search

import (
	"strings"
	"testing"

	"sluice/internal/flow"
)

// TestPipeline: documents go through the flow's pipeline once: what is marked
// comes from the index and has been through it.
func TestPipeline(t *testing.T) {
	s := newScript(t)
	s.do(bulkOrders, bulkDone)
	s.say("POST /_mget", 200, `{"docs":[{"_index":"orders-000001","_id":"b","_version":3,"found":true,"_source":{"n":1}}]}`)
	o := s.options(Route{Delete: DeleteMark})
	o.Pipeline = "enrich"
	sink := openTest(t, o).Sink()
	if vs, err := sink.Write(t.Context(), batch(write(t, "a", 1), remove(t, "b", 8))); err != nil || outcomes(vs) != "done done" {
		t.Fatal(outcomes(vs), err)
	}
	c := s.seen(bulkOrders)[0]
	lines := strings.Split(c.body, "\n")
	if !strings.Contains(c.query, "&pipeline=enrich") || strings.Contains(lines[0], "_none") || !strings.HasPrefix(lines[2], `{"index":{"pipeline":"_none","_id":"b"`) {
		t.Error(c.query, c.body)
	}
	v := sink.judge(&apiError{Status: 400, Type: "illegal_argument_exception", Reason: "pipeline with id [enrich] does not exist"}, "orders")
	if v.Outcome != flow.Halt || !strings.Contains(v.Err.Error(), "the flow's pipeline") {
		t.Error(v)
	}
}
