package catalogue

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
)

func TestFindNewestVersion(t *testing.T) {
	s, _ := dirShelf(t)
	put(t, s, spec{id: "p1", at: 1, docs: []bson.Raw{doc(t, "a", 1), doc(t, "b", 1), doc(t, "c", 1), doc(t, "d", 1), doc(t, 1, 1)}})
	put(t, s, spec{
		id: "p2", at: 5, docs: []bson.Raw{doc(t, "a", 2), doc(t, "b", 2), doc(t, "c", 2), doc(t, 1.0, 2), doc(t, 1, 3)},
		ex: []cold.Exception{{Entry: 1, Outcome: cold.Changed}, {Entry: 2, Outcome: cold.Gone}},
	})
	// Its id sorts behind, but it was read before the others.
	put(t, s, spec{id: "p3", rule: "other", at: 0, docs: []bson.Raw{doc(t, "a", 0), doc(t, "d", 0)}, copied: true})
	// Another namespace has keys of its own.
	put(t, s, spec{id: "p4", ns: "shop.more", at: 9, docs: []bson.Raw{doc(t, "d", 9)}, open: true})
	same(t, "newest", find(t, s, FindQuery{}), []string{
		`"a"/2 deleted`, `"b"/1 deleted`, `"c"/2 gone`, `"d"/1 deleted`, `"d"/9 `, `{"$numberInt":"1"}/3 deleted`,
	})
	same(t, "of one key", find(t, s, FindQuery{IDs: []bson.RawValue{idValue(t, "b"), idValue(t, int64(1))}}), []string{
		`"b"/1 deleted`, `{"$numberInt":"1"}/3 deleted`,
	})
	same(t, "versions", find(t, s, FindQuery{Query: Query{NS: "shop.orders"}, IDs: []bson.RawValue{idValue(t, "a"), idValue(t, "b")}, Versions: true}), []string{
		`"a"/0 `, `"a"/1 deleted`, `"a"/2 deleted`, `"b"/1 deleted`, `"b"/2 changed`,
	})
	// An older version never stands in for a newer one that does not match.
	query, err := bson.Marshal(bson.D{{Key: "v", Value: 1}})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "query", find(t, s, FindQuery{Doc: query}), []string{`"b"/1 deleted`, `"d"/1 deleted`})
	same(t, "query over a rule", find(t, s, FindQuery{Query: Query{Rule: "other"}}), []string{`"a"/0 `, `"d"/0 `})
	same(t, "a pack", find(t, s, FindQuery{Query: Query{Pack: "p1"}, IDs: []bson.RawValue{idValue(t, "a")}}), []string{`"a"/1 deleted`})
	for _, err := range (Library{{Shelf: s}}).Find(t.Context(), FindQuery{Doc: doc(t, bson.D{{Key: "$near", Value: 1}}, 1)}) {
		class(t, err, flow.Config)
	}
}

func TestFindByAge(t *testing.T) {
	s, _ := dirShelf(t)
	at := func(n int) int64 { return day0.Add(time.Duration(n) * time.Hour).UnixMilli() }
	put(t, s, spec{id: "p1", at: 1, docs: []bson.Raw{doc(t, "a", 1), doc(t, "b", 1), doc(t, "c", 1)}, age: []int64{at(0), at(1), at(2)}})
	same(t, "from", find(t, s, FindQuery{Query: Query{From: day0.Add(time.Hour)}}), []string{`"b"/1 deleted`, `"c"/1 deleted`})
	same(t, "to", find(t, s, FindQuery{Query: Query{To: day0.Add(time.Hour)}}), []string{`"a"/1 deleted`})
	same(t, "none", find(t, s, FindQuery{Query: Query{From: day0.Add(3 * time.Hour)}}), nil)
}

// What the headers rule out is not read, and of a pack only the frames that hold
// what is asked for.
func TestFindReadsLittle(t *testing.T) {
	s, m := memoryShelf(t)
	for p := range 20 {
		var docs []bson.Raw
		for i := range 200 {
			docs = append(docs, doc(t, fmt.Sprintf("%d-%d", p, i), 1, bson.E{Key: "fill", Value: strings.Repeat(fmt.Sprint(p, i), 100)}))
		}
		put(t, s, spec{id: fmt.Sprintf("p%02d", p), at: uint32(p), docs: docs})
	}
	m.gets = nil
	same(t, "found", find(t, s, FindQuery{IDs: []bson.RawValue{idValue(t, "7-100")}}), []string{`"7-100"/1 deleted`})
	manifests, packs := 0, 0
	for _, k := range m.gets {
		switch parse(k).kind {
		case packObject:
			packs++
		case manifestObject:
			manifests++
		}
	}
	if packs != 1 || manifests > 20+3 { // the headers, that pack, and what the filters let pass by chance
		t.Errorf("%d reads of packs and %d of manifests", packs, manifests)
	}
}

func TestFindCanStop(t *testing.T) {
	s, _ := dirShelf(t)
	for p := range 12 {
		put(t, s, spec{id: fmt.Sprintf("p%02d", p), at: uint32(p), docs: []bson.Raw{doc(t, p, 1), doc(t, p+100, 1)}})
	}
	for _, err := range (Library{{Shelf: s}}).Find(t.Context(), FindQuery{}) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	for _, err := range s.List(t.Context(), Query{}) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	for _, err := range s.Check(t.Context(), CheckOptions{}) {
		if err != nil {
			t.Error(err)
		}
		break
	}
}

func TestList(t *testing.T) {
	s, _ := dirShelf(t)
	put(t, s, spec{id: "p1", at: 1, docs: []bson.Raw{doc(t, 1, 1), doc(t, 2, 1)}, ex: []cold.Exception{{Entry: 0, Outcome: cold.Gone}}})
	put(t, s, spec{id: "p2", at: 2, docs: []bson.Raw{doc(t, 3, 1)}, open: true})
	put(t, s, spec{id: "p3", at: 3, rule: "other", docs: []bson.Raw{doc(t, 3, 1)}, copied: true})
	var all []string
	for it, err := range s.List(t.Context(), Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s %v %v %d/%d", it.Header.ID, it.Settled, it.Pending(), it.Outcome.Deleted, it.Outcome.Gone))
	}
	same(t, "list", all, []string{"p1 true false 1/1", "p2 false true 0/0", "p3 false false 0/0"})
}

func TestIDSet(t *testing.T) {
	var s IDSet
	for round := range 2 {
		for i := range 20_000 {
			if got := s.Add("a.b", idValue(t, i)); got != (round == 0) {
				t.Fatalf("round %d, key %d: %v", round, i, got)
			}
		}
	}
	if !s.Add("a.c", idValue(t, 1)) || s.Add("a.b", idValue(t, 1.0)) || s.Len() != 20_001 {
		t.Error("namespaces or numbers are mixed up")
	}
}
