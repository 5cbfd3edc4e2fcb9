package catalogue

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/objstore"
)

// A store that keeps other bytes than it was given is found out at once, before
// anything is deleted on the word of a manifest.
func TestA4ManifestAndOutcomeAreReadBack(t *testing.T) {
	s, m := memoryShelf(t)
	x := build(t, s, spec{id: "p1", at: 1, docs: []bson.Raw{doc(t, 1, 1), doc(t, 2, 1)}})
	if err := s.Upload(t.Context(), &x.row, objstore.BytesBody(x.body)); err != nil {
		t.Fatal(err)
	}
	m.spoil = func(string) bool { return true }
	class(t, s.Commit(t.Context(), x.m), flow.Fatal)
	class(t, s.Settle(t.Context(), &x.row, nil), flow.Fatal)
}
