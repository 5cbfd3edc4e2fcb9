//go:build integration

package search

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/checkpoint"
	"sluice/internal/checkpoint/storetest"
	"sluice/internal/flow"
	"sluice/internal/testkit"
)

func testPrepare(t *testing.T, url string) {
	g := newRig(t, url, Route{
		Settings: json.RawMessage(`{"index":{"number_of_shards":2},"analysis":{"analyzer":{"a":{"type":"custom","tokenizer":"standard","filter":["lowercase"]}}}}`),
		Mappings: json.RawMessage(`{"_meta":{"mine":1},"properties":{"t":{"type":"text","analyzer":"a"}}}`),
	}, func(o *Options) { o.Source = "rs" })
	if got := g.created("index.number_of_shards"); got != "2" {
		t.Error(got)
	}
	x, alias, err := g.client.lookup(t.Context(), g.name)
	if err != nil || !alias || x.name != g.concrete() || string(x.Mappings.Meta["mine"]) != "1" {
		t.Fatalf("%+v %v %v", x, alias, err)
	}
	m := x.meta()
	if m == nil || m.Flow != "f" || m.Source != "rs" || !m.Created || !m.has(g.ns) {
		t.Errorf("%+v", m)
	}

	// The same index, taken by the same flow and refused to another.
	again := func(change func(*Options)) error {
		o := testOptions(t, url, Route{})
		change(&o)
		return openTest(t, o).Sink().Prepare(t.Context(), g.ns)
	}
	if err := again(func(*Options) {}); err != nil {
		t.Error(err)
	}
	if err := again(func(o *Options) { o.Flow = "g" }); flow.ClassOf(err) != flow.Config {
		t.Error(err)
	}
	if err := again(func(o *Options) { o.Source = "rs2" }); flow.ClassOf(err) != flow.Config {
		t.Error(err)
	}

	// An index of ours that has lost its alias gets it back.
	g.must("DELETE", "/"+g.concrete()+"/_alias/"+g.name, "")
	if err := again(func(*Options) {}); err != nil {
		t.Error(err)
	}
	if _, alias, err := g.client.lookup(t.Context(), g.name); err != nil || !alias {
		t.Error(alias, err)
	}

	// An index of the user's own, with its _meta kept.
	g.ns.Coll += "2"
	g.name += "2"
	g.must("PUT", "/"+g.name, `{"mappings":{"_meta":{"theirs":{"a":1}},"properties":{"n":{"type":"long"}}}}`)
	g.want("done dead_letter:mapping done", write(t, "a", 1), write(t, "b", 1, bson.E{Key: "n", Value: "x"}), remove(t, "c", 1))
	x, alias, err = g.client.lookup(t.Context(), g.name)
	if err != nil || alias || string(x.Mappings.Meta["theirs"]) != `{"a":1}` || x.meta() == nil || x.meta().Created {
		t.Errorf("%+v %v %v", x, alias, err)
	}

	bad := newRig(t, url, Route{Settings: json.RawMessage(`{"nonsense":1}`)}, nil)
	if err := bad.sink.Prepare(t.Context(), bad.ns); flow.ClassOf(err) != flow.Config || !strings.Contains(err.Error(), "nonsense") {
		t.Error(err)
	}
	bad = newRig(t, url, Route{Mappings: json.RawMessage(`{"properties":{"n":{"type":"txt"}}}`)}, nil)
	if err := bad.sink.Prepare(t.Context(), bad.ns); flow.ClassOf(err) != flow.Config || !strings.Contains(err.Error(), "txt") {
		t.Error(err)
	}
}

func testRefresh(t *testing.T, url string) {
	f := func(settings, want string) {
		t.Helper()
		g := newRig(t, url, Route{Settings: json.RawMessage(settings)}, nil)
		apply := func(k flow.ControlKind) {
			t.Helper()
			if err := g.sink.Apply(t.Context(), flow.Control{Kind: k, NS: g.ns, Version: 9}); err != nil {
				t.Fatal(err)
			}
		}
		apply(flow.ControlSnapshotBegin)
		apply(flow.ControlSnapshotBegin) // after a crash
		if got := g.setting("index.refresh_interval"); got != "30s" {
			t.Error(got)
		}
		g.want("done", write(t, "a", 1))
		apply(flow.ControlSnapshotDone)
		apply(flow.ControlSnapshotDone)
		if got := g.setting("index.refresh_interval"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if hits := fmt.Sprint(g.must("GET", "/"+g.name+"/_search", "")["hits"]); !strings.Contains(hits, "_id:a") {
			t.Error("not refreshed", hits)
		}
		apply(flow.ControlSnapshotBegin)
		if err := g.sink.Restore(t.Context(), g.ns); err != nil {
			t.Fatal(err)
		}
		if got := g.setting("index.refresh_interval"); got != want {
			t.Errorf("restored %q, want %q", got, want)
		}
	}
	f(``, "")
	f(`{"refresh_interval":"5s"}`, "5s")
}

func testDrop(t *testing.T, url string) {
	f := func(policy DropPolicy, wantIndex bool, wantIDs string) {
		t.Helper()
		g := newRig(t, url, Route{Drop: policy, Delete: DeleteKeep}, nil)
		g.want("done done done", write(t, "a", 5), write(t, "b", 5), write(t, "newer", 50))
		for range 2 { // applied twice
			if err := g.sink.Apply(t.Context(), flow.Control{Kind: flow.ControlDropped, NS: g.ns, Version: 9}); err != nil {
				t.Fatal(err)
			}
		}
		target, err := g.sink.Inspect(t.Context(), g.ns)
		if err != nil || target.Exists != wantIndex {
			t.Errorf("%s: %+v %v", policy, target, err)
		}
		got := ""
		for _, id := range []string{"a", "b", "newer"} {
			if g.source(id) != nil {
				got += " " + id
			}
		}
		if strings.TrimSpace(got) != wantIDs {
			t.Errorf("%s: left %s, want %s", policy, got, wantIDs)
		}
		g.want("done", write(t, "a", 60)) // created again
		if target, err := g.sink.Inspect(t.Context(), g.ns); err != nil || !target.Exists || target.Index != g.concrete() {
			t.Errorf("%s: %+v %v", policy, target, err)
		}
	}
	f(DropIgnore, true, "a b newer")
	f(DropDocuments, true, "newer")
	f(DropIndex, false, "")
}

// ids scans the index.
func (g *rig) ids() string {
	g.Helper()
	ids := map[string]bool{}
	pages := 0
	err := g.sink.ScanIDs(g.Context(), g.ns, func(page []string) error {
		pages++
		for _, id := range page {
			if ids[id] {
				g.Errorf("%s twice", id)
			}
			ids[id] = true
		}
		return nil
	})
	if err != nil {
		g.Fatal(err)
	}
	if len(ids) > 20 {
		return fmt.Sprintf("%d in %d", len(ids), pages)
	}
	var all []string
	for _, id := range []string{"a", "b", "c"} {
		if ids[id] {
			all = append(all, id)
		}
	}
	return strings.Join(all, " ")
}

func testScan(t *testing.T, url string) {
	g := newRig(t, url, Route{}, nil)
	var changes []flow.Change
	for i := range 2*scanPage + 1 {
		changes = append(changes, write(t, fmt.Sprint("id", i), 1))
	}
	vs, err := g.sink.Write(t.Context(), g.own(changes...))
	if err != nil || strings.Trim(outcomes(vs), "done ") != "" {
		t.Fatal(err)
	}
	if got := g.ids(); got != "10001 in 3" {
		t.Error(got)
	}
	none := newRig(t, url, Route{}, nil)
	if got := none.ids(); got != "" {
		t.Error(got)
	}
}

func testInspect(t *testing.T, url string) {
	g := newRig(t, url, Route{}, nil)
	if target, err := g.sink.Inspect(t.Context(), g.ns); err != nil || target != (Target{}) {
		t.Error(target, err)
	}
	g.want("done done", write(t, "a", 1), write(t, "b", 1))
	first, err := g.sink.Inspect(t.Context(), g.ns)
	if err != nil || first.Docs != 2 || first.Index != g.concrete() || first.UUID == "" || first.Closed || first.ReadOnly {
		t.Error(first, err)
	}
	g.must("DELETE", "/"+g.concrete(), "")
	g.sink.entry(g.ns).ready.Store(nil)
	g.want("done", write(t, "a", 1))
	if second, err := g.sink.Inspect(t.Context(), g.ns); err != nil || second.UUID == first.UUID || second.Docs != 1 {
		t.Error(second, err)
	}
}

func testStore(t *testing.T, url string) {
	c := openTest(t, Options{URLs: []string{url}})
	names := map[string]string{}
	storetest.TestStore(t, func(t testing.TB) checkpoint.Store {
		if names[t.Name()] == "" {
			names[t.Name()] = testkit.UniqueName(t)
		}
		return c.Store(names[t.Name()], "flow/1 ü")
	})
}

func testDeadLetters(t *testing.T, url string) {
	c := openTest(t, Options{URLs: []string{url}})
	d := c.DeadLetters(testkit.UniqueName(t))
	scan := func() string {
		t.Helper()
		var all []string
		err := d.Scan(t.Context(), func(id string, body []byte) error {
			all = append(all, id+string(body))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(all, " ")
	}
	if got := scan(); got != "" {
		t.Error(got)
	}
	for _, body := range []string{`{"n":1}`, `{"n":{"x":"y"},"big":9007199254740993}`} {
		if err := d.Put(t.Context(), "a/ü", []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if got := scan(); got != `a/ü{"n":{"x":"y"},"big":9007199254740993}` {
		t.Error(got)
	}
	if n, err := d.Count(t.Context()); err != nil || n != 1 {
		t.Error(n, err)
	}
	if err := d.Remove(t.Context(), []string{"a/ü", "b"}); err != nil {
		t.Fatal(err)
	}
	if got := scan(); got != "" {
		t.Error(got)
	}
	stop := errors.New("stop")
	if err := d.Put(t.Context(), "b", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	if err := d.Scan(t.Context(), func(string, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}

// What the code never does, because some version refuses it.
func testRefusals(t *testing.T, url string) {
	g := newRig(t, url, Route{}, nil)
	g.want("done", write(t, "a", 1))
	newES := g.client.Product() == Elasticsearch && g.client.Version().Major >= 8
	if status, out := g.api("GET", "/"+g.name+"/_search?sort=_id", ""); newES && status != 400 {
		t.Error("sort by _id", status, out)
	}
	if status, out := g.api("DELETE", "/"+g.name+"*", ""); newES && status != 400 {
		t.Error("wildcard delete", status, out)
	}

	stream := testkit.UniqueName(t)
	if status, _ := g.api("PUT", "/_index_template/"+stream, `{"index_patterns":["`+stream+`"],"data_stream":{},"priority":500}`); status != 200 {
		t.Log("no data streams here")
		return
	}
	if status, _ := g.api("PUT", "/_data_stream/"+stream, ""); status != 200 {
		t.Log("no data streams here")
		return
	}
	g.ns.Coll, g.name = stream, stream
	if err := g.sink.Prepare(t.Context(), g.ns); flow.ClassOf(err) != flow.Config || !strings.Contains(err.Error(), "data stream") {
		t.Error(err)
	}
	_, out := g.bulk(`{"index":{"_id":"a"}}`, `{"@timestamp":"2024-01-01T00:00:00Z"}`)
	if !strings.Contains(fmt.Sprint(out), "only write ops with an op_type of create") {
		t.Error(out)
	}
	g.must("DELETE", "/_data_stream/"+stream, "")
	g.must("DELETE", "/_index_template/"+stream, "")
}
