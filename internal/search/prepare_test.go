package search

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"sluice/internal/flow"
)

func TestPrepareCreates(t *testing.T) {
	s := newScript(t)
	s.inTurn("GET /orders", 200, "", aliasOf("orders", `"format":1,"scheme":"native","flow":"f","source":"rs","namespaces":["shop.orders"],"created":true`))
	s.say("PUT /orders-000001", 200, `{"acknowledged":true}`)
	s.do(bulkOrders, bulkDone)
	o := s.options(Route{
		Settings: json.RawMessage(`{"number_of_shards":3,"index":{"refresh_interval":"5s","analysis":{"analyzer":{"a":{"type":"custom","filter":["x","y"]}}}},"index.codec":"best_compression"}`),
		Mappings: json.RawMessage(`{"dynamic":"strict","_meta":{"mine":1},"properties":{"n":{"type":"long"}}}`),
		Delete:   DeleteMark,
	})
	o.Source = "rs"
	sink := openTest(t, o).Sink()
	var all sync.WaitGroup
	for range 8 { // lanes come together
		all.Go(func() {
			if vs, err := sink.Write(t.Context(), batch(write(t, "a", 1))); err != nil || outcomes(vs) != "done" {
				t.Error(outcomes(vs), err)
			}
		})
	}
	all.Wait()
	puts := s.seen("PUT /orders-000001")
	if len(puts) != 1 {
		t.Fatalf("created %d times", len(puts))
	}
	const want = `{"aliases":{"orders":{"is_write_index":true}},"mappings":{"_meta":{"mine":1,"sluice":` +
		`{"format":1,"scheme":"native","flow":"f","source":"rs","namespaces":["shop.orders"],"created":true}},` +
		`"dynamic":"strict","properties":{"deleted":{"properties":{"at":{"type":"date"}}},"n":{"type":"long"},` +
		`"sluice_key":{"type":"keyword","index":false,"doc_values":false}}},` +
		`"settings":{"index.analysis.analyzer.a.filter":["x","y"],"index.analysis.analyzer.a.type":"custom",` +
		`"index.codec":"best_compression","index.gc_deletes":"300s","index.number_of_shards":3,"index.refresh_interval":"5s"}}`
	if puts[0].body != want {
		t.Errorf("%s\nwant\n%s", puts[0].body, want)
	}
	if n := len(s.seen("GET /orders")); n != 2 {
		t.Errorf("looked up %d times", n)
	}
}

func TestS5GCDeletes(t *testing.T) {
	f := func(settings, want string) {
		t.Helper()
		s := newScript(t)
		body, err := s.sink(Route{}).createBody(orders, &Route{Index: "orders", Settings: json.RawMessage(settings)})
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s: %s %v", settings, body, err)
		}
	}
	f(``, `"index.gc_deletes":"300s"`)
	f(`{"index":{"gc_deletes":"1h"}}`, `"index.gc_deletes":"1h"`)
	f(`{"index.gc_deletes":"1h"}`, `"index.gc_deletes":"1h"`)
	f(`{"gc_deletes":"1h"}`, `"index.gc_deletes":"1h"`)
}

func TestPrepareTemplate(t *testing.T) {
	s := newScript(t)
	s.inTurn("GET /orders", 200, "", aliasOf("orders", `"format":1,"scheme":"native","flow":"f","namespaces":["shop.orders"]`))
	s.say("PUT /_index_template/orders", 200, `{}`)
	s.say("PUT /orders-000001", 200, `{}`)
	sink := s.sink(Route{Template: json.RawMessage(`{"priority":7,"template":{"settings":{"number_of_shards":2}}}`)})
	if err := sink.Prepare(t.Context(), orders); err != nil {
		t.Fatal(err)
	}
	const want = `{"index_patterns":["orders-*"],"priority":7,"template":{"settings":{"number_of_shards":2}}}`
	if got := s.seen("PUT /_index_template/orders")[0].body; got != want {
		t.Error(got)
	}
}

func TestPrepareTakesWhatIsThere(t *testing.T) {
	f := func(found, wantMeta, wantPath string) {
		t.Helper()
		s := newScript(t)
		s.say("GET /orders", 200, found)
		s.say("PUT /orders-000001/_mapping", 200, `{}`)
		s.say("PUT /orders/_mapping", 200, `{}`)
		s.do(bulkOrders, bulkDone)
		if vs, err := s.sink(Route{}).Write(t.Context(), batch(write(t, "a", 1))); err != nil || outcomes(vs) != "done" {
			t.Fatal(outcomes(vs), err)
		}
		got := ""
		for _, c := range append(s.seen("PUT /orders-000001/_mapping"), s.seen("PUT /orders/_mapping")...) {
			got += c.body
		}
		if got != wantMeta {
			t.Errorf("meta %s\nwant %s", got, wantMeta)
		}
		if q := s.seen(bulkOrders)[0].query; strings.Contains(q, "require_alias=true") != (wantPath == "alias") {
			t.Errorf("%s: %s", found, q)
		}
	}
	// an index of the user's own, without an alias
	f(`{"orders":{"aliases":{},"mappings":{"_meta":{"theirs":{"a":1}}},"settings":{}}}`,
		`{"_meta":{"sluice":{"format":1,"scheme":"native","flow":"f","namespaces":["shop.orders"]},"theirs":{"a":1}}}`, "index")
	// an alias of the user's own
	f(`{"orders-000001":{"aliases":{"orders":{}},"mappings":{},"settings":{}}}`,
		`{"_meta":{"sluice":{"format":1,"scheme":"native","flow":"f","namespaces":["shop.orders"]}}}`, "alias")
	// several indexes behind it, one to write
	f(`{"orders-000002":{"aliases":{"orders":{"is_write_index":false}}},"orders-000001":{"aliases":{"orders":{"is_write_index":true}},"mappings":{"_meta":{"sluice":{"format":1,"scheme":"native","flow":"f","namespaces":["shop.orders"]}}}}}`, "", "alias")
	// one of ours, that another collection wrote before
	f(aliasOf("orders", `"format":1,"scheme":"native","flow":"f","namespaces":["shop.old"],"created":true`),
		`{"_meta":{"sluice":{"format":1,"scheme":"native","flow":"f","namespaces":["shop.old","shop.orders"],"created":true}}}`, "alias")
}

func TestPrepareRefuses(t *testing.T) {
	f := func(found string, parts ...string) {
		t.Helper()
		s := newScript(t)
		s.say("GET /orders", 200, found)
		o := s.options(Route{})
		o.Source = "rs"
		_, err := openTest(t, o).Sink().Write(t.Context(), batch(write(t, "a", 1)))
		if flow.ClassOf(err) != flow.Config {
			t.Errorf("%s: %v", found, err)
			return
		}
		for _, p := range parts {
			if !strings.Contains(err.Error(), p) {
				t.Errorf("%q lacks %q", err, p)
			}
		}
	}
	f(aliasOf("orders", `"format":1,"scheme":"native","flow":"other","namespaces":["shop.orders"]`), `flow "other"`, "orders-000001")
	f(aliasOf("orders", `"format":1,"scheme":"native","flow":"f","source":"rs2","namespaces":["shop.orders"]`), "rs2")
	f(aliasOf("orders", `"format":1,"scheme":"monstache","flow":"f","namespaces":["shop.orders"]`), "monstache")
	f(aliasOf("orders", `"format":2,"scheme":"native","flow":"f","namespaces":["shop.orders"]`), "newer sluice")
	f(aliasOf("orders", `"format":"x"`), "profile")
	f(`{".ds-orders-2026-000001":{"aliases":{},"mappings":{},"settings":{},"data_stream":"orders"}}`, "data stream")
	f(`{"a":{"aliases":{"orders":{}}},"b":{"aliases":{"orders":{}}}}`, "is_write_index")
	f(`{"a":{"aliases":{"orders":{"is_write_index":false}}}}`, "is_write_index")
}

func TestPrepareCreateErrors(t *testing.T) {
	f := func(status int, body string, class flow.Class, parts ...string) {
		t.Helper()
		s := newScript(t)
		s.inTurn("GET /orders", 200, "")
		s.say("PUT /orders-000001", status, body)
		err := s.sink(Route{}).Prepare(t.Context(), orders)
		if flow.ClassOf(err) != class {
			t.Errorf("%s: %s %v", body, flow.ClassOf(err), err)
			return
		}
		for _, p := range parts {
			if !strings.Contains(err.Error(), p) {
				t.Errorf("%q lacks %q", err, p)
			}
		}
	}
	f(400, `{"error":{"type":"illegal_argument_exception","reason":"unknown setting [index.x]"},"status":400}`, flow.Config, "unknown setting [index.x]", "settings and mappings")
	f(400, `{"error":{"type":"mapper_parsing_exception","reason":"No handler for type [txt] declared on field [a]"},"status":400}`, flow.Config, "No handler for type")
	f(403, `{"error":{"type":"security_exception","reason":"action [indices:admin/create] is unauthorized for user [u] on indices [orders-000001], this action is granted by the index privileges [create_index,manage,all]"},"status":403}`,
		flow.Auth, "indices:admin/create", "create_index, manage, all")
	f(503, `{"error":{"type":"process_cluster_event_timeout_exception","reason":"failed to process cluster event (create-index)"},"status":503}`, flow.Transient)
}

// An index of ours that has lost its alias gets it back; another's is left.
func TestPrepareAdopts(t *testing.T) {
	const exists = `{"error":{"type":"resource_already_exists_exception","reason":"index [orders-000001/x] already exists"},"status":400}`
	ours := aliasOf("orders", `"format":1,"scheme":"native","flow":"f","namespaces":["shop.orders"],"created":true`)
	s := newScript(t)
	s.inTurn("GET /orders", 200, "", ours)
	s.say("PUT /orders-000001", 400, exists)
	s.say("GET /orders-000001", 200, ours)
	s.say("POST /_aliases", 200, `{}`)
	if err := s.sink(Route{}).Prepare(t.Context(), orders); err != nil {
		t.Fatal(err)
	}
	if got := s.seen("POST /_aliases")[0].body; got != `{"actions":[{"add":{"alias":"orders","index":"orders-000001","is_write_index":true}}]}` {
		t.Error(got)
	}

	s = newScript(t)
	s.inTurn("GET /orders", 200, "", strings.ReplaceAll(ours, "orders-000001", "orders-000002"))
	s.say("PUT /orders-000001", 400, exists)
	s.say("GET /orders-000001", 200, `{"orders-000001":{"aliases":{},"mappings":{},"settings":{}}}`)
	s.say("PUT /orders-000002", 200, `{}`)
	if err := s.sink(Route{}).Prepare(t.Context(), orders); err != nil {
		t.Fatal(err)
	}
}

func TestPrepareAgainAfterADrop(t *testing.T) {
	s := newScript(t)
	s.do(bulkOrders, bulkDone)
	sink := s.sink(Route{Drop: DropIndex})
	for range 3 {
		if err := sink.Prepare(t.Context(), orders); err != nil {
			t.Fatal(err)
		}
	}
	s.say("DELETE /orders-000001", 200, `{}`)
	if err := sink.Apply(t.Context(), flow.Control{Kind: flow.ControlDropped, NS: orders, Version: 9}); err != nil {
		t.Fatal(err)
	}
	before := len(s.seen("GET /orders"))
	if err := sink.Prepare(t.Context(), orders); err != nil || len(s.seen("GET /orders")) != before+1 {
		t.Fatal(err)
	}
}

func TestS12Inspect(t *testing.T) {
	f := func(found, count string, want Target) {
		t.Helper()
		s := newScript(t)
		s.inTurn("GET /orders", 200, found)
		s.say("POST /o1/_refresh", 200, `{}`)
		s.say("GET /o1/_count", 200, count)
		got, err := s.sink(Route{}).Inspect(t.Context(), orders)
		if err != nil || got != want {
			t.Errorf("%s: %+v %v, want %+v", found, got, err, want)
		}
	}
	f(``, ``, Target{})
	const count = `{"count":42,"_shards":{"failed":0}}`
	f(`{"o1":{"aliases":{"orders":{}},"settings":{"index.uuid":"u9"}}}`, count, Target{Index: "o1", UUID: "u9", Exists: true, Docs: 42})
	f(`{"o1":{"aliases":{"orders":{}},"settings":{"index.uuid":"u9","index.blocks.write":"true"}}}`, count,
		Target{Index: "o1", UUID: "u9", Exists: true, Docs: 42, ReadOnly: true})
	f(`{"o1":{"aliases":{"orders":{}},"settings":{"index.uuid":"u9","index.verified_before_close":"true"}}}`, ``,
		Target{Index: "o1", UUID: "u9", Exists: true, Closed: true})

	s := newScript(t)
	s.say("POST /orders-000001/_refresh", 200, `{}`)
	s.say("GET /orders-000001/_count", 200, `{"count":1,"_shards":{"failed":1}}`)
	if _, err := s.sink(Route{}).Inspect(t.Context(), orders); flow.ClassOf(err) != flow.Transient {
		t.Error("a count without all shards is none", err)
	}
}
