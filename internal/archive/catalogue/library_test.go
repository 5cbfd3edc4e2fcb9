package catalogue

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Versions of a key lie on two shelves: whichever is named first, the newest counts.
func TestA8LibraryNewestOfAll(t *testing.T) {
	a, _ := memoryShelf(t)
	b, _ := memoryShelf(t)
	put(t, a, spec{id: "p1", at: 1, docs: []bson.Raw{doc(t, 1, 1), doc(t, 2, 1)}})
	put(t, b, spec{id: "p2", at: 2, docs: []bson.Raw{doc(t, 1, 2)}})
	put(t, a, spec{id: "p3", at: 3, docs: []bson.Raw{doc(t, 2, 3)}})
	for name, l := range map[string]Library{
		"older first": {{Shelf: a}, {Shelf: b}}, "newer first": {{Shelf: b}, {Shelf: a}},
		"by rule": {{Shelf: a, Rule: "old"}, {Shelf: b, Rule: "old"}, {Shelf: a, Rule: "other"}},
	} {
		var got []string
		for f, err := range l.Find(t.Context(), FindQuery{}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, f.Header.ID)
		}
		same(t, name, got, []string{"p3", "p2"})
	}
	if items, err := (Library{{Shelf: a, Rule: "old"}}).Select(t.Context(), Query{Rule: "other"}, nil); err != nil || len(items) != 0 {
		t.Errorf("a rule beside that of the section: %v, %v", items, err)
	}
}
