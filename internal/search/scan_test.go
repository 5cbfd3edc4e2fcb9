package search

import (
	"errors"
	"strings"
	"testing"

	"sluice/internal/flow"
)

func TestS13ScanIDs(t *testing.T) {
	s := newScript(t)
	s.say("POST /orders-000001/_refresh", 200, `{}`)
	s.say("POST /orders-000001/_search", 200, `{"_scroll_id":"s1","_shards":{"failed":0},"hits":{"hits":[{"_id":"a"},{"_id":"b"}]}}`)
	s.inTurn("POST /_search/scroll", 200, `{"_scroll_id":"s2","_shards":{"failed":0},"hits":{"hits":[{"_id":"c\n"}]}}`, `{"_scroll_id":"s2","_shards":{"failed":0}}`)
	s.say("DELETE /_search/scroll", 200, `{}`)
	var got []string
	err := s.sink(Route{}).ScanIDs(t.Context(), orders, func(ids []string) error {
		got = append(got, ids...)
		return nil
	})
	if err != nil || strings.Join(got, " ") != "a b c\n" {
		t.Fatal(got, err)
	}
	first := s.seen("POST /orders-000001/_search")[0]
	if want := `{"size":5000,"query":{"match_all":{}},"sort":["_doc"],"_source":false}`; first.body != want {
		t.Error(first.body)
	}
	if got := s.seen("POST /_search/scroll")[1].body; got != `{"scroll":"10m","scroll_id":"s2"}` {
		t.Error(got)
	}
	if got := s.seen("DELETE /_search/scroll"); len(got) != 1 || got[0].body != `{"scroll_id":["s2"]}` {
		t.Error(got)
	}
}

// What the policy of deletes has left in the index is no ghost.
func TestS13KeptAndMarkedAreNoGhosts(t *testing.T) {
	s := newScript(t)
	calls := 0
	if err := s.sink(Route{Delete: DeleteKeep}).ScanIDs(t.Context(), orders, func([]string) error { calls++; return nil }); err != nil || calls > 0 {
		t.Fatal(calls, err)
	}
	s.say("POST /orders-000001/_refresh", 200, `{}`)
	s.say("POST /orders-000001/_search", 200, `{"_shards":{"failed":0}}`)
	if err := s.sink(Route{Delete: DeleteMark}).ScanIDs(t.Context(), orders, nil); err != nil {
		t.Fatal(err)
	}
	if got := s.seen("POST /orders-000001/_search")[0].body; !strings.Contains(got, `{"bool":{"must_not":[{"exists":{"field":"deleted.at"}}]}}`) {
		t.Error(got)
	}
}

func TestScanErrors(t *testing.T) {
	f := func(status int, body string, class flow.Class) {
		t.Helper()
		s := newScript(t)
		s.say("POST /orders-000001/_refresh", 200, `{}`)
		s.say("POST /orders-000001/_search", 200, `{"_scroll_id":"s1","_shards":{"failed":0},"hits":{"hits":[{"_id":"a"}]}}`)
		s.say("POST /_search/scroll", status, body)
		s.say("DELETE /_search/scroll", 404, `{}`)
		err := s.sink(Route{}).ScanIDs(t.Context(), orders, func([]string) error { return nil })
		if flow.ClassOf(err) != class {
			t.Errorf("%d %s: %v", status, body, err)
		}
	}
	f(404, `{"error":{"type":"search_context_missing_exception","reason":"No search context found for id [1]"},"status":404}`, flow.Transient)
	f(404, `{"error":{"type":"search_phase_execution_exception","reason":"all shards failed"},"status":404}`, flow.Transient)
	f(200, `{"_scroll_id":"s1","_shards":{"failed":1},"hits":{"hits":[{"_id":"b"}]}}`, flow.Transient)
	f(200, `{"_scroll_id":"s1","timed_out":true,"_shards":{"failed":0}}`, flow.Transient)
	f(503, `{}`, flow.Transient)

	s := newScript(t)
	s.say("POST /orders-000001/_refresh", 200, `{}`)
	s.say("POST /orders-000001/_search", 200, `{"_scroll_id":"s1","_shards":{"failed":0},"hits":{"hits":[{"_id":"a"}]}}`)
	s.say("DELETE /_search/scroll", 200, `{}`)
	enough := errors.New("enough")
	if err := s.sink(Route{}).ScanIDs(t.Context(), orders, func([]string) error { return enough }); !errors.Is(err, enough) {
		t.Error(err)
	}
	s = newScript(t)
	s.inTurn("GET /orders", 200, "")
	if err := s.sink(Route{}).ScanIDs(t.Context(), orders, nil); err != nil {
		t.Error("no index has no ids", err)
	}
}
