//go:build integration

package app

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/testkit"
)

// load gives the stage a configuration of a file, with more lines for its flow.
func (s *stage) load(t *testing.T, more string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	text := fmt.Sprintf("mongodb: {uri: %q}\nsearch: {urls: [%q]}\nstate: {path: %q}\ndead_letters: {index: %s-letters}\nhttp: {listen: \"off\"}\nflows:\n  - name: shop\n    namespaces: [%s.*]\n%s",
		s.cfg.MongoDB.URI.Reveal(), s.cfg.Search.URLs[0], s.cfg.State.Path, s.db.Name(), s.db.Name(), more)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file, config.Overrides{Listen: "off"})
	if err != nil {
		t.Fatal(err)
	}
	s.cfg = cfg
}

func (s stage) open(t *testing.T, coll string, from, to int, open bool) {
	t.Helper()
	_, err := s.db.Collection(coll).UpdateMany(t.Context(), bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: from}, {Key: "$lt", Value: to}}}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "tags", Value: bson.A{"x", map[bool]string{true: "open", false: "shut"}[open]}}}}})
	if err != nil {
		t.Fatal(err)
	}
}

// TestS14Where: documents that begin or cease to match come and go, whatever is
// said of deletes; a copy over an index that has them removes them.
func TestS14Where(t *testing.T) {
	s := newStage(t)
	const coll = "a"
	rule := fmt.Sprintf("    where: {%s.*: {tags: open}}\n    on: {delete: keep}\n", s.db.Name())
	s.load(t, rule)
	s.put(t, coll, 0, 200, "")
	s.open(t, coll, 0, 100, true)
	a, stop := run(t, Options{Config: s.cfg})
	testkit.Eventually(t, time.Minute, copied(a))
	s.wantIndex(t, coll, want{0, 100, "live"})

	s.open(t, coll, 100, 150, true) // begin to match
	s.open(t, coll, 0, 20, false)   // cease to
	s.put(t, coll, 200, 210, "")    // inserted, and replaced, without matching
	s.put(t, coll, 20, 30, "")
	s.remove(t, coll, idsFrom(30, 40)) // deleted: kept, as is said of deletes
	s.wantIndex(t, coll, want{30, 150, "live"})
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	// Nothing is known of what happened before: another life of the flow, over the
	// same index.
	s.open(t, coll, 40, 60, false)
	s.open(t, coll, 0, 10, true)
	s.cfg.State.Path = t.TempDir()
	s.load(t, rule)
	a, stop = run(t, Options{Config: s.cfg})
	testkit.Eventually(t, time.Minute, copied(a))
	s.wantIndex(t, coll, want{0, 10, "live"}, want{30, 40, "live"}, want{60, 150, "live"})
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	// Another condition is another shape.
	s.load(t, fmt.Sprintf("    where: {%s.*: {n: {$lt: 50}}}\n    on: {delete: keep}\n", s.db.Name()))
	if err := New(Options{Config: s.cfg}).Run(t.Context(), nil); flow.ClassOf(err) != flow.Config {
		t.Fatalf("got %v, want a refusal", err)
	}
	a, stop = run(t, Options{Config: s.cfg, Resync: []string{"all"}})
	testkit.Eventually(t, time.Minute, copied(a))
	s.wantIndex(t, coll, want{0, 50, "live"})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// TestTransformedDocuments: rules of fields reach the index, and what can't be
// cast the dead letters.
func TestTransformedDocuments(t *testing.T) {
	s := newStage(t)
	s.load(t, `    fields:
      exclude: ["*_internal"]
      cast: {price: double}
      flatten: [payload]
      set: {meta.source: shop}
      copy: {_id: order_id}
      lower_names: true
`)
	_, err := s.db.Collection("a").InsertMany(t.Context(), []any{
		bson.D{{Key: "_id", Value: 1}, {Key: "Price", Value: "12.5"}, {Key: "price", Value: "12.5"}, {Key: "x_internal", Value: 1}, {Key: "payload", Value: bson.D{{Key: "A", Value: "q\"t"}}}},
		bson.D{{Key: "_id", Value: 2}, {Key: "price", Value: "much"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	a, stop := run(t, Options{Config: s.cfg})
	testkit.Eventually(t, time.Minute, copied(a))
	url := fmt.Sprintf("%s/%s.a/_source/", s.cfg.Search.URLs[0], s.db.Name())
	var got map[string]any
	if err := ask(t.Context(), "GET", url+"1", "", &got); err != nil {
		t.Fatal(err)
	}
	if w := `map[meta:map[source:shop] order_id:1 payload:{"a":"q\"t"} price:12.5 price_:12.5]`; fmt.Sprint(got) != w {
		t.Errorf("%v, want %v", got, w)
	}
	if n := a.Status().Flows[0].DeadLetters; n != 1 {
		t.Errorf("%d dead letters", n)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
