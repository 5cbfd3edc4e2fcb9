//go:build integration

package search

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/testkit"
)

// facts is what we rely on, for each product and version.
var facts = []struct {
	name string
	test func(t *testing.T, url string)
}{
	{"Detect", testDetect},
	{"Versions", testVersions},
	{"GCDeletes", testGCDeletes},
	{"Positions", testPositions},
	{"DocumentFaults", testDocumentFaults},
	{"Blocks", testBlocks},
	{"IndexGone", testIndexGone},
	{"WholeRequest", testWholeRequest},
	{"Foreign", testForeign},
	{"Gzip", testGzip},
	{"Mark", testMark},
	{"HashedKey", testHashedKey},
	{"Prepare", testPrepare},
	{"Refresh", testRefresh},
	{"Drop", testDrop},
	{"Scan", testScan},
	{"Inspect", testInspect},
	{"Store", testStore},
	{"DeadLetters", testDeadLetters},
	{"Refusals", testRefusals},
	{"Pipeline", testPipeline},
	{"LongText", testLongText},
	{"DataStream", testDataStream},
	{"DataStreamTemplates", testDataStreamTemplates},
}

func TestFacts(t *testing.T) {
	s := testkit.SharedSearch(t)
	for _, f := range facts {
		t.Run(f.name, func(t *testing.T) { f.test(t, s.URL()) })
	}
}

// TestFactsOfAllVersions is for the wide run, which has the time.
func TestFactsOfAllVersions(t *testing.T) {
	wide, _ := strconv.ParseBool(os.Getenv("SLUICE_SOAK"))
	for _, v := range testkit.Versions() {
		if !wide {
			return
		}
		t.Run(v[0]+"_"+v[1], func(t *testing.T) {
			s, err := testkit.StartSearch(t.Context(), testkit.SearchOptions{Product: v[0], Version: v[1], Own: true})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Stop(); err != nil {
					t.Error(err)
				}
			}()
			for _, f := range facts {
				t.Run(f.name, func(t *testing.T) { f.test(t, s.URL()) })
			}
		})
	}
}

func testDetect(t *testing.T, url string) {
	g := newRig(t, url, Route{}, nil)
	if g.client.Product() == "" || g.client.Version().Major == 0 {
		t.Errorf("%q %s", g.client.Product(), g.client.Version())
	}
	if err := g.client.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func testVersions(t *testing.T, url string) {
	g := newRig(t, url, Route{}, nil)
	g.want("done", write(t, "a", 5, bson.E{Key: "n", Value: 1}))
	g.want("done", write(t, "a", 5, bson.E{Key: "n", Value: 2})) // a replay
	g.want("superseded", write(t, "a", 4))
	g.want("superseded", remove(t, "a", 4))
	if got := g.source("a"); fmt.Sprint(got["n"]) != "2" {
		t.Error(got)
	}
	g.want("done", remove(t, "a", 6))
	g.want("superseded", write(t, "a", 5))
	g.want("done", remove(t, "b", 9)) // absent: leaves a tombstone
	g.want("superseded", write(t, "b", 8))
	g.want("done", write(t, "b", 9))

	status, out := g.bulk(`{"index":{"_id":"b","version":9,"version_type":"external"}}`, `{}`)
	if status != 200 || !strings.Contains(fmt.Sprint(out), "version_conflict_engine_exception") {
		t.Error("external refuses an equal version", out)
	}
}

// bulk sends lines as they are.
func (g *rig) bulk(lines ...string) (int, map[string]any) {
	g.Helper()
	r := post("/"+g.name+"/_bulk", []byte(strings.Join(lines, "\n")+"\n"))
	r.ndjson = true
	ans, err := g.client.do(g.Context(), r, nil)
	if err != nil {
		g.Fatal(err)
	}
	var out map[string]any
	_ = json.Unmarshal(ans.body, &out)
	return ans.status, out
}

func testGCDeletes(t *testing.T, url string) {
	g := newRig(t, url, Route{Settings: json.RawMessage(`{"gc_deletes":"100ms"}`)}, nil)
	g.want("done", write(t, "a", 5))
	g.want("done", remove(t, "a", 9))
	testkit.Eventually(t, 30*time.Second, func() error {
		if err := g.client.refresh(t.Context(), g.concrete()); err != nil {
			return err
		}
		vs, err := g.sink.Write(t.Context(), g.own(write(t, "a", 6)))
		if err != nil || vs[0].Outcome != flow.Done {
			return fmt.Errorf("%s %w", outcomes(vs), err)
		}
		return nil
	})
	if got := newRig(t, url, Route{}, nil).created("index.gc_deletes"); got != "300s" {
		t.Error(got)
	}
}

// created makes the index and returns one of its settings.
func (g *rig) created(setting string) string {
	g.Helper()
	if err := g.sink.Prepare(g.Context(), g.ns); err != nil {
		g.Fatal(err)
	}
	return g.setting(setting)
}

// The short answers keep the place of every item.
func testPositions(t *testing.T, url string) {
	g := newRig(t, url, Route{Mappings: json.RawMessage(`{"properties":{"n":{"type":"long"}}}`)}, nil)
	g.want("done done", write(t, "old", 9), write(t, "gone", 3))
	g.want("done dead_letter:mapping done superseded done done superseded dead_letter:mapping done",
		write(t, "a", 5), write(t, "b", 5, bson.E{Key: "n", Value: "x"}), write(t, "c", 5), write(t, "old", 5),
		remove(t, "absent", 5), remove(t, "gone", 5), remove(t, "old", 5),
		write(t, "d", 5, bson.E{Key: "n", Value: bson.D{{Key: "o", Value: 1}}}), write(t, "e", 5))
	for id, there := range map[string]bool{"a": true, "b": false, "c": true, "gone": false, "old": true, "d": false, "e": true} {
		if (g.source(id) != nil) != there {
			t.Errorf("%s: %v", id, g.source(id))
		}
	}
}

func testDocumentFaults(t *testing.T, url string) {
	g := newRig(t, url, Route{
		Mappings: json.RawMessage(`{"dynamic":"strict","properties":{"n":{"type":"long"},"o":{"properties":{"x":{"type":"text"}}},` +
			`"d":{"type":"date"},"k":{"type":"keyword"},"any":{"type":"object","dynamic":true}}}`),
		Settings: json.RawMessage(`{"mapping.total_fields.limit":20,"mapping.depth.limit":5}`),
	}, nil)
	f := func(want string, field string, value any) {
		t.Helper()
		g.want("dead_letter:"+want+" done", write(t, "a", 5, bson.E{Key: field, Value: value}), write(t, "b", 5))
	}
	f("mapping", "n", "x")
	f("mapping", "n", bson.D{{Key: "y", Value: 1}})
	f("mapping", "o", "x")
	f("mapping", "d", "no date")
	f("mapping", "k", strings.Repeat("k", 40_000))
	f("strict_mapping", "unknown", 1)
	f("strict_mapping", "n2", "[FORBIDDEN/12/ flood-stage No space left on device pipeline with id [")
	var many, deep bson.D
	for i := range 30 {
		many = append(many, bson.E{Key: fmt.Sprint("f", i), Value: 1})
		deep = bson.D{{Key: "x", Value: deep}}
	}
	f("field_limit", "any", many)
	if vs := g.want("dead_letter:field_limit", write(t, "a", 5, bson.E{Key: "any", Value: deep})); vs[0].Err == nil || flow.ClassOf(vs[0].Err) != flow.Document {
		t.Error(vs[0].Err)
	}
}

func testBlocks(t *testing.T, url string) {
	g := newRig(t, url, Route{}, nil)
	g.want("done", write(t, "a", 1))
	for setting, want := range map[string]string{"write": "read_only", "read_only": "read_only", "read_only_allow_delete": "disk_full"} {
		g.must("PUT", "/"+g.concrete()+"/_settings", `{"index.blocks.`+setting+`":true}`)
		g.want("retry:"+want+" retry:"+want, write(t, "a", 2), write(t, "b", 2))
		target, err := g.sink.Inspect(t.Context(), g.ns)
		if err != nil || !target.ReadOnly {
			t.Error(setting, target, err)
		}
		g.must("PUT", "/"+g.concrete()+"/_settings", `{"index.blocks.`+setting+`":null}`)
		g.want("done done", write(t, "a", 3), remove(t, "b", 3))
	}
	g.must("POST", "/"+g.concrete()+"/_close", "")
	g.want("retry:index_closed retry:index_closed", write(t, "a", 4), remove(t, "b", 4))
	if target, err := g.sink.Inspect(t.Context(), g.ns); err != nil || !target.Closed || !target.Exists || target.UUID == "" {
		t.Error(target, err)
	}
	g.must("POST", "/"+g.concrete()+"/_open?wait_for_active_shards=1", "")
	g.want("done done", write(t, "a", 4), remove(t, "b", 4))
}

// An index that a user deletes while we write is not made again by a write,
// nor by a delete (rule S15), and the next start makes it as it should be.
func testIndexGone(t *testing.T, url string) {
	f := func(want string, changes ...flow.Change) {
		t.Helper()
		g := newRig(t, url, Route{}, nil)
		g.want("done", write(t, "z", 1))
		g.must("DELETE", "/"+g.concrete(), "")
		g.want(want, changes...)
		if status, out := g.api("GET", "/"+g.name, ""); status != 404 {
			t.Errorf("an index is there: %v", out)
		}
		g.sink.entry(g.ns).ready.Store(nil)
		g.want("done", write(t, "z", 1))
		if x, alias, err := g.client.lookup(t.Context(), g.name); err != nil || !alias || x.meta() == nil {
			t.Error(alias, err)
		}
	}
	f("halt:index_missing", write(t, "a", 2))
	f("halt:index_missing", remove(t, "a", 2))
	f("halt:index_missing halt:index_missing", remove(t, "a", 2), write(t, "b", 2))
	f("halt:index_missing halt:index_missing", write(t, "a", 2), remove(t, "b", 2))
}

// What makes an engine refuse a whole request never reaches it.
func testWholeRequest(t *testing.T, url string) {
	g := newRig(t, url, Route{}, nil)
	g.want("done", write(t, "a", 1))
	for _, action := range []string{
		`{"index":{"_id":"` + strings.Repeat("x", 513) + `"}}`,
		`{"create":{"_id":"b","version":1,"version_type":"external_gte"}}`,
		`{"update":{"_id":"a","version":1,"version_type":"external"}}`,
		`{"upsert":{"_id":"a"}}`,
	} {
		if g.client.Product() == Elasticsearch && g.client.Version().Major == 7 && strings.HasPrefix(action, `{"upsert"`) {
			continue // leaves it out without a word: the answer has an item less
		}
		if status, out := g.bulk(`{"index":{"_id":"ok"}}`, `{}`, action, `{"doc":{}}`); status != 400 {
			t.Errorf("%.60s: %d %v", action, status, out)
		}
	}
	if g.source("ok") != nil {
		t.Error("a part of a refused request was written")
	}
	long := strings.Repeat("ü", 400)
	g.want("done done done", write(t, long, 1), write(t, `"\`+"\n", 1), remove(t, long+"x", 1))
}

func testForeign(t *testing.T, url string) {
	g := newRig(t, url, Route{}, func(o *Options) { o.MaxVersion = func() int64 { return 1000 } })
	g.want("done", write(t, "current version [1]", 1000))
	g.want("superseded", write(t, "current version [1]", 999))
	g.want("done", write(t, "a", 7301461839847227393))
	g.want("halt:foreign_version done", write(t, "a", 1000), write(t, "b", 1000))
	g.want("halt:foreign_version", remove(t, "a", 1000))
}

func testGzip(t *testing.T, url string) {
	g := newRig(t, url, Route{}, func(o *Options) { o.Gzip = true })
	var changes []flow.Change
	for i := range 500 {
		changes = append(changes, write(t, fmt.Sprint(i), 1, bson.E{Key: "text", Value: strings.Repeat("lorem ipsum ", 20)}))
	}
	vs, err := g.sink.Write(t.Context(), g.own(changes...))
	if err != nil || strings.Trim(outcomes(vs), "done ") != "" {
		t.Fatal(outcomes(vs), err)
	}
	if target, err := g.sink.Inspect(t.Context(), g.ns); err != nil || target.Docs != 500 {
		t.Error(target, err)
	}
}

func testMark(t *testing.T, url string) {
	g := newRig(t, url, Route{Delete: DeleteMark, Mappings: json.RawMessage(`{"dynamic":"strict","properties":{"n":{"type":"long"}}}`)}, nil)
	g.want("done done done", write(t, "a", 5, bson.E{Key: "n", Value: 1}), write(t, "b", 9, bson.E{Key: "n", Value: 2}), write(t, "c", 5))
	g.want("done superseded done", remove(t, "a", 6), remove(t, "b", 6), remove(t, "absent", 6))
	if got := fmt.Sprint(g.source("a")); got != "map[deleted:map[at:2023-11-14T22:13:20.000Z] n:1]" {
		t.Error(got)
	}
	if got := fmt.Sprint(g.source("b")); got != "map[n:2]" {
		t.Error(got)
	}
	g.want("superseded superseded", write(t, "a", 5), write(t, "absent", 5))
	g.want("done", remove(t, "a", 6)) // a replay
	if got := g.ids(); got != "b c" {
		t.Error("a marked document is no ghost:", got)
	}
	g.want("done", write(t, "a", 7, bson.E{Key: "n", Value: 3})) // inserted again
	if got := fmt.Sprint(g.source("a")); got != "map[n:3]" {
		t.Error(got)
	}
}

func testHashedKey(t *testing.T, url string) {
	g := newRig(t, url, Route{Mappings: json.RawMessage(`{"dynamic":"strict"}`)}, nil)
	long := strings.Repeat("k", 40_000)
	g.want("done", write(t, long, 5))
	g.want("superseded", write(t, long, 4))
	if err := g.client.refresh(t.Context(), g.concrete()); err != nil {
		t.Fatal(err)
	}
	found := fmt.Sprint(g.must("GET", "/"+g.name+"/_search", "")["hits"])
	if !strings.Contains(found, `sluice_key:{"_id":"`+long+`"}`) {
		t.Errorf("%.300s", found)
	}
}
