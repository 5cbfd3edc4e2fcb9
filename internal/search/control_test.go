package search

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/internal/flow"
)

const ourMeta = `"format":1,"scheme":"native","flow":"f","namespaces":["shop.orders"],"created":true`

func control(kind flow.ControlKind) flow.Control {
	return flow.Control{Kind: kind, NS: orders, Version: 99}
}

// puts returns the bodies of the calls that change the index, in order.
func (s *script) puts() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, c := range s.calls {
		if strings.HasPrefix(c.what, "PUT") || strings.HasPrefix(c.what, "DELETE") || strings.HasSuffix(c.what, "_refresh") {
			all = append(all, c.what+" "+c.body)
		}
	}
	return strings.Join(all, "\n")
}

func withSetting(found, name, value string) string {
	return strings.Replace(found, `"index.uuid"`, `"`+name+`":"`+value+`","index.uuid"`, 1)
}

func TestSnapshotRefreshesSeldom(t *testing.T) {
	f := func(found string, kind flow.ControlKind, want ...string) {
		t.Helper()
		s := newScript(t)
		s.say("GET /orders", 200, found)
		for _, what := range []string{"PUT /orders-000001/_mapping", "PUT /orders-000001/_settings", "POST /orders-000001/_refresh"} {
			s.say(what, 200, `{}`)
		}
		sink := s.sink(Route{})
		if err := sink.Apply(t.Context(), control(kind)); err != nil {
			t.Fatal(err)
		}
		if got := s.puts(); got != strings.Join(want, "\n") {
			t.Errorf("%s %s:\n%s\nwant\n%s", kind, found, got, strings.Join(want, "\n"))
		}
	}
	mapping := func(meta string) string {
		return `PUT /orders-000001/_mapping {"_meta":{"sluice":{` + meta + `}}}`
	}
	settings := func(v string) string {
		return `PUT /orders-000001/_settings {"index.refresh_interval":` + v + `}`
	}
	const refresh = `POST /orders-000001/_refresh `
	plain := aliasOf("orders", ourMeta)
	// The former value is remembered before it is changed, and forgotten after
	// it is back: no crash in between loses it.
	f(plain, flow.ControlSnapshotBegin, mapping(ourMeta+`,"refresh_interval":""`), settings(`"30s"`))
	f(withSetting(plain, "index.refresh_interval", "1s"), flow.ControlSnapshotBegin, mapping(ourMeta+`,"refresh_interval":"1s"`), settings(`"30s"`))
	f(withSetting(plain, "index.refresh_interval", "-1"), flow.ControlSnapshotBegin)
	f(withSetting(plain, "index.refresh_interval", "1m"), flow.ControlSnapshotBegin)
	f(aliasOf("orders", ourMeta+`,"refresh_interval":"1s"`), flow.ControlSnapshotBegin)

	f(plain, flow.ControlSnapshotDone, refresh)
	changed := func(was string) string {
		return withSetting(aliasOf("orders", ourMeta+`,"refresh_interval":"`+was+`"`), "index.refresh_interval", "30s")
	}
	f(changed("1s"), flow.ControlSnapshotDone, settings(`"1s"`), mapping(ourMeta), refresh)
	f(changed(""), flow.ControlSnapshotDone, settings(`null`), mapping(ourMeta), refresh)
	// A dropped collection's copy never gets to its end.
	f(changed("1s"), flow.ControlDropped, settings(`"1s"`), mapping(ourMeta))
	// What a user has set meanwhile stays.
	f(withSetting(aliasOf("orders", ourMeta+`,"refresh_interval":"1s"`), "index.refresh_interval", "5s"), flow.ControlSnapshotDone, mapping(ourMeta), refresh)
	f(aliasOf("orders", ourMeta+`,"refresh_interval":"1s"`), flow.ControlSnapshotDone, mapping(ourMeta), refresh)
	f(plain, flow.ControlCreated)
	f(plain, flow.ControlReplaced)
}

func TestSnapshotWithoutTheRightToSettings(t *testing.T) {
	s := newScript(t)
	s.say("PUT /orders-000001/_mapping", 200, `{}`)
	s.say("PUT /orders-000001/_settings", 403, `{"error":{"type":"security_exception","reason":"no permissions for [indices:admin/settings/update]"},"status":403}`)
	if err := s.sink(Route{}).Apply(t.Context(), control(flow.ControlSnapshotBegin)); err != nil {
		t.Fatal(err)
	}
}

func TestParseTime(t *testing.T) {
	f := func(in string, want time.Duration, ok bool) {
		t.Helper()
		if got, is := parseTime(in); got != want || is != ok {
			t.Errorf("%q: %v %v", in, got, is)
		}
	}
	f("-1", -1, true)
	f("30s", 30*time.Second, true)
	f("1m", time.Minute, true)
	f("500ms", 500*time.Millisecond, true)
	f("2h", 2*time.Hour, true)
	f("", 0, false)
	f("soon", 0, false)
}

func TestS15DropByPolicy(t *testing.T) {
	f := func(policy DropPolicy, found, want string) {
		t.Helper()
		s := newScript(t)
		s.inTurn("GET /orders", 200, found)
		s.say("DELETE /orders-000001", 200, `{}`)
		s.say("POST /orders-000001/_refresh", 200, `{}`)
		s.say("POST /orders/_refresh", 200, `{}`)
		search := func(c call) (int, string) {
			return 200, `{"_scroll_id":"s1","_shards":{"failed":0},"hits":{"hits":[{"_id":"a"},{"_id":"b\"2"}]}}`
		}
		s.do("POST /orders-000001/_search", search)
		s.do("POST /orders/_search", search)
		s.say("POST /_search/scroll", 200, `{"_scroll_id":"s1","_shards":{"failed":0}}`)
		s.say("DELETE /_search/scroll", 200, `{}`)
		s.do(bulkOrders, bulkDone)
		if err := s.sink(Route{Drop: policy, Delete: DeleteKeep}).Apply(t.Context(), control(flow.ControlDropped)); err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("indexes %d", len(s.seen("DELETE /orders-000001"))+len(s.seen("DELETE /orders")))
		for _, c := range s.seen(bulkOrders) {
			got += " " + c.body
		}
		if got != want {
			t.Errorf("%s %s: %s\nwant %s", policy, found, got, want)
		}
	}
	ours := aliasOf("orders", ourMeta)
	const documents = "indexes 0 " + `{"delete":{"_id":"a","version":99,"version_type":"external_gte"}}` + "\n" +
		`{"delete":{"_id":"b\"2","version":99,"version_type":"external_gte"}}` + "\n"
	f(DropIgnore, ours, "indexes 0")
	f("", ours, "indexes 0")
	f(DropIndex, ours, "indexes 1")
	f(DropDocuments, ours, documents)
	f(DropIndex, "", "indexes 0")
	f(DropDocuments, "", "indexes 0")
	// not made by us: it may hold what others put there
	f(DropIndex, strings.Replace(ours, `,"created":true`, ``, 1), documents)
	// not behind an alias
	f(DropIndex, `{"orders":{"aliases":{},"mappings":{"_meta":{"sluice":{`+ourMeta+`}}},"settings":{}}}`, documents)
	// another's, or nobody's
	f(DropIndex, strings.Replace(ours, `"flow":"f"`, `"flow":"g"`, 1), "indexes 0")
	f(DropDocuments, `{"orders":{"aliases":{},"mappings":{},"settings":{}}}`, "indexes 0")
	// shared: which documents are the dropped collection's can't be told
	f(DropIndex, strings.Replace(ours, `["shop.orders"]`, `["shop.orders","shop.old"]`, 1), "indexes 0")
	f(DropDocuments, strings.Replace(ours, `["shop.orders"]`, `["shop.orders","shop.old"]`, 1), "indexes 0")
}

func TestDropIsTriedAgain(t *testing.T) {
	s := newScript(t)
	s.say("POST /orders-000001/_refresh", 200, `{}`)
	s.say("POST /orders-000001/_search", 200, `{"_scroll_id":"s1","_shards":{"failed":0},"hits":{"hits":[{"_id":"a"},{"_id":"b"}]}}`)
	s.say("DELETE /_search/scroll", 200, `{}`)
	s.do(bulkOrders, func(c call) (int, string) {
		return 200, bulkAnswer(c, func(i int, _ string) string {
			if i == 1 {
				return itemError("delete", 429, "es_rejected_execution_exception", "rejected")
			}
			return ""
		})
	})
	err := s.sink(Route{Drop: DropDocuments}).Apply(t.Context(), control(flow.ControlDropped))
	if flow.ClassOf(err) != flow.Transient {
		t.Fatal(err)
	}
}
