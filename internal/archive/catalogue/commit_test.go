package catalogue

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/objstore"
)

func TestA4EveryStepTwiceIsOnce(t *testing.T) {
	s, _ := dirShelf(t)
	x := put(t, s, spec{id: "p1", at: 1, docs: []bson.Raw{doc(t, 1, 1), doc(t, 2, 1)}, ex: []cold.Exception{{Entry: 1, Outcome: cold.Gone}}})
	if err := s.Upload(t.Context(), &x.row, objstore.BytesBody(x.body)); err != nil {
		t.Error(err)
	}
	later := *x.m
	later.Header.Created = later.Header.Created.Add(1e9)
	if err := s.Commit(t.Context(), &later); err != nil {
		t.Errorf("the manifest of the same pack, made again: %v", err)
	}
	if err := s.Settle(t.Context(), &x.row, []cold.Exception{{Entry: 1, Outcome: cold.Gone}}); err != nil {
		t.Error(err)
	}
	o, err := s.Outcome(t.Context(), &x.row)
	if err != nil || !o.Known || o.Deleted != 1 || o.Of(0) != cold.Deleted || o.Of(1) != cold.Gone || o.Owner != "me" {
		t.Errorf("%+v %v", o, err)
	}
}

func TestA4NothingIsReplaced(t *testing.T) {
	s, d := dirShelf(t)
	x := put(t, s, spec{id: "p1", at: 1, docs: []bson.Raw{doc(t, 1, 1)}})
	y := build(t, s, spec{id: "p1", at: 1, docs: []bson.Raw{doc(t, 1, 2)}})
	class(t, s.Upload(t.Context(), &y.row, objstore.BytesBody(y.body)), flow.Conflict)
	class(t, s.Commit(t.Context(), y.m), flow.Conflict)
	class(t, s.Settle(t.Context(), &y.row, []cold.Exception{{Entry: 0, Outcome: cold.Changed}}), flow.Conflict)
	if b, err := New(d, Options{}).read(t.Context(), x.row.Object); err != nil || !bytes.Equal(b, x.body) {
		t.Errorf("the pack was replaced: %v", err)
	}
	// What is shorter than promised is not sent.
	z := build(t, s, spec{id: "p2", at: 1, docs: []bson.Raw{doc(t, 1, 2)}})
	class(t, s.Upload(t.Context(), &z.row, objstore.BytesBody(z.body[1:])), flow.Fatal)
}

func TestA4VerifySeesEveryDamage(t *testing.T) {
	s, m := memoryShelf(t)
	x := put(t, s, spec{id: "p1", at: 1, docs: []bson.Raw{doc(t, 1, 1), doc(t, 2, 1)}})
	good := m.objects[x.row.Object]
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		m.objects[x.row.Object] = bad
		if s.Verify(t.Context(), x.m) == nil {
			t.Fatalf("bit flipped in byte %d of %d is not seen", i, len(good))
		}
	}
	m.objects[x.row.Object] = good[:len(good)-1]
	class(t, s.Verify(t.Context(), x.m), flow.Fatal)
	delete(m.objects, x.row.Object)
	class(t, s.Verify(t.Context(), x.m), flow.Fatal)
}

func TestA4PackWithoutManifestIsIgnored(t *testing.T) {
	s, _ := dirShelf(t)
	put(t, s, spec{id: "p1", at: 1, docs: []bson.Raw{doc(t, 1, 1)}})
	x := build(t, s, spec{id: "p2", at: 2, docs: []bson.Raw{doc(t, 2, 1)}})
	if err := s.Upload(t.Context(), &x.row, objstore.BytesBody(x.body)); err != nil {
		t.Fatal(err)
	}
	same(t, "found", find(t, s, FindQuery{}), []string{`{"$numberInt":"1"}/1 deleted`})
	var bad []string
	for c, err := range s.Check(t.Context(), CheckOptions{Deep: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if c.Problem != "" {
			bad = append(bad, c.Object)
		}
	}
	same(t, "reported", bad, []string{x.row.Object})
}

// An outcome or a manifest that can't be read is never taken for an absent one.
func TestA4UnreadableIsNotAbsent(t *testing.T) {
	s, m := memoryShelf(t)
	x := put(t, s, spec{id: "p1", at: 1, docs: []bson.Raw{doc(t, 1, 1)}})
	for _, key := range []string{x.row.Manifest, outcomeOf(stemOf(x.row.Manifest))} {
		good := m.objects[key]
		m.objects[key] = good[:len(good)/2]
		var got error
		for _, err := range (Library{{Shelf: s}}).Find(t.Context(), FindQuery{}) {
			got = err
		}
		class(t, got, flow.Fatal)
		if !strings.Contains(got.Error(), key) {
			t.Errorf("the error does not name %s: %v", key, got)
		}
		if _, err := s.Rebuild(t.Context()); err == nil {
			t.Errorf("rebuilt without %s", key)
		}
		m.objects[key] = good
	}
	// The manifest of another pack under this key.
	y := put(t, s, spec{id: "p2", at: 1, docs: []bson.Raw{doc(t, 2, 1)}})
	m.objects[x.row.Manifest] = m.objects[y.row.Manifest]
	_, err := s.Manifest(t.Context(), x.row.Manifest)
	class(t, err, flow.Fatal)
}

func TestCat(t *testing.T) {
	s, _ := dirShelf(t)
	docs := []bson.Raw{doc(t, 1, 1), doc(t, 2, 2)}
	put(t, s, spec{id: "p1", at: 1, docs: docs})
	var b bytes.Buffer
	if err := s.Cat(t.Context(), "p1", &b); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), append(bytes.Clone(docs[0]), docs[1]...)) {
		t.Error("another stream than what was archived")
	}
	class(t, s.Cat(t.Context(), "p9", &b), flow.Config)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s.Cat(ctx, "p1", &b) == nil {
		t.Error("an ended context reads")
	}
}
