package catalogue

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/pack"
)

// inAnyPack tells whether the text is in a document of any pack of the store, with
// or without a manifest, or in any other object.
func inAnyPack(t TB, m *memory, text string) bool {
	t.Helper()
	for key, b := range m.objects {
		var raw bytes.Buffer
		if parse(key).kind == packObject {
			if err := pack.Decode(&raw, bytes.NewReader(b), pack.Zstd); err != nil {
				t.Fatal(err)
			}
		} else {
			raw.Write(b)
		}
		if strings.Contains(raw.String(), text) {
			return true
		}
	}
	return false
}

// family is a store with three versions of a document that is to be erased, among
// others.
func family(t TB, s *Shelf) {
	t.Helper()
	put(t, s, spec{
		id: "p1", at: 1, docs: []bson.Raw{doc(t, "a", 1), doc(t, "erase-me", 1), doc(t, "b", 1), doc(t, "c", 1)},
		ex: []cold.Exception{{Entry: 1, Outcome: cold.Changed}, {Entry: 2, Outcome: cold.Gone}, {Entry: 3, Outcome: cold.Changed}},
	})
	put(t, s, spec{id: "p2", at: 2, docs: []bson.Raw{doc(t, "erase-me", 2)}})
	put(t, s, spec{id: "p3", at: 3, docs: []bson.Raw{doc(t, "d", 1), doc(t, "erase-me", 3)}, copied: true})
	put(t, s, spec{id: "p4", at: 4, docs: []bson.Raw{doc(t, "e", 1)}})
}

func others() []string {
	return []string{`"a"/1 deleted`, `"b"/1 gone`, `"c"/1 changed`, `"d"/1 `, `"e"/1 deleted`}
}

func TestA9Forget(t *testing.T) {
	s, m := memoryShelf(t)
	family(t, s)
	o := ForgetOptions{IDs: []bson.RawValue{idValue(t, "erase-me")}, Reason: "asked for", DryRun: true}
	before := keys(m)
	f, err := s.Forget(t.Context(), o)
	if err != nil || f.Documents != 3 || f.Packs != 3 || len(f.Unreached) > 0 {
		t.Errorf("%+v %v", f, err)
	}
	same(t, "after a dry run", keys(m), before)
	o.DryRun = false
	f, err = s.Forget(t.Context(), o)
	if err != nil || f.Documents != 3 || f.Packs != 3 || len(f.Unreached) > 0 || len(f.Keys) != 3 || len(f.Rewritten) != 3 || len(f.Audit) != 3 {
		t.Errorf("%+v %v", f, err)
	}
	if f.Rewritten[0].Old != "p1" || f.Rewritten[0].New != "p1.r1" || f.Rewritten[0].Row.Docs != 3 || f.Rewritten[0].Row.State != cold.PackClosed || f.Rewritten[0].Row.Changed != 1 {
		t.Errorf("%+v", f.Rewritten[0])
	}
	same(t, "left", find(t, s, FindQuery{Versions: true}), others())
	if inAnyPack(t, m, "erase-me") {
		t.Error("it is still in the store")
	}
	var a Audit
	if err := json.Unmarshal(m.objects[f.Audit[0]], &a); err != nil || a.Documents != 1 || a.Old != "p1" || a.New != "p1.r1" || a.Reason != "asked for" || a.Owner != "me" || len(a.Keys) != 1 {
		t.Errorf("%+v %v", a, err)
	}
	// Again, by a query, another one: the packs that were written anew.
	query, err := bson.Marshal(bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: bson.A{"a", "nobody"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	if f, err = s.Forget(t.Context(), ForgetOptions{Doc: query}); err != nil || f.Documents != 1 || f.Rewritten[0].New != "p1.r2" {
		t.Errorf("%+v %v", f, err)
	}
	same(t, "left then", find(t, s, FindQuery{Versions: true}), others()[1:])
	for c, err := range s.Check(t.Context(), CheckOptions{Deep: true}) {
		if err != nil || c.Problem != "" {
			t.Errorf("%+v %v", c, err)
		}
	}
	same(t, "the new under the old's name", find(t, s, FindQuery{Query: Query{Pack: "p1"}, Versions: true}), []string{`"b"/1 gone`, `"c"/1 changed`})
}

func TestA9ForgetSaysWhatItCantReach(t *testing.T) {
	s, m := memoryShelf(t)
	family(t, s)
	open := put(t, s, spec{id: "p5", at: 5, docs: []bson.Raw{doc(t, "erase-me", 5)}, open: true})
	orphan := build(t, s, spec{id: "p6", at: 6, docs: []bson.Raw{doc(t, "x", 5)}})
	m.objects[orphan.row.Object] = orphan.body
	m.version = "v7"
	m.locked = func(key string) bool { return strings.Contains(key, "/p2.bson") }
	f, err := s.Forget(t.Context(), ForgetOptions{IDs: []bson.RawValue{idValue(t, "erase-me")}})
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]string{}
	for _, u := range f.Unreached {
		reasons[u.Object] += u.Reason
	}
	for object, want := range map[string]string{open.row.Object: "run", orphan.row.Object: "without a manifest"} {
		if !strings.Contains(reasons[object], want) {
			t.Errorf("%s: %q", object, reasons[object])
		}
	}
	for object, r := range reasons {
		if strings.Contains(object, "/p1.") && !strings.Contains(r, "v7") || strings.Contains(object, "/p2.") && (!strings.Contains(r, "lock") || !strings.Contains(r, "v7")) {
			t.Errorf("%s: %q", object, r)
		}
	}
	if len(reasons) != 5 {
		t.Errorf("%v", reasons)
	}
	// The locked pack is there, and ignored; what is open, is not touched.
	same(t, "left", find(t, s, FindQuery{Versions: true}), append(others(), `"erase-me"/5 `))
	// When the lock has ended, the same again reaches it.
	m.locked = nil
	if f, err = s.Forget(t.Context(), ForgetOptions{IDs: []bson.RawValue{idValue(t, "erase-me")}}); err != nil || f.Documents != 1 {
		t.Errorf("%+v %v", f, err)
	}
	for _, k := range keys(m) {
		if strings.Contains(k, "/p2.bson") || strings.Contains(k, "/p2.manifest") {
			t.Errorf("%s is still there", k)
		}
	}
	_, err = s.Forget(t.Context(), ForgetOptions{})
	class(t, err, flow.Config)
}

// Killed at any write, before or after its effect, no other document is lost, and
// the same again finishes.
func TestA9ForgetKilledAtEachStep(t *testing.T) {
	s, first := memoryShelf(t)
	family(t, s)
	o := ForgetOptions{IDs: []bson.RawValue{idValue(t, "erase-me")}}
	for step := 1; ; step++ {
		finished := false
		for _, late := range []bool{false, true} {
			m := first.copy()
			m.dieAt, m.late = step, late
			_, err := New(m, Options{TempDir: t.TempDir()}).Forget(t.Context(), o)
			finished = err == nil
			m.dieAt = 0
			again := New(m, Options{TempDir: t.TempDir()})
			query, err := bson.Marshal(bson.D{{Key: "_id", Value: bson.D{{Key: "$ne", Value: "erase-me"}}}})
			if err != nil {
				t.Fatal(err)
			}
			same(t, "after the kill", find(t, again, FindQuery{Versions: true, Doc: query}), others())
			if _, err := again.Rebuild(t.Context()); err != nil {
				t.Error(err)
			}
			if _, err := again.Forget(t.Context(), o); err != nil {
				t.Fatalf("step %d: again: %v", step, err)
			}
			if _, err := again.GC(t.Context(), GCOptions{}); err != nil {
				t.Fatal(err)
			}
			same(t, "in the end", find(t, again, FindQuery{Versions: true}), others())
			if inAnyPack(t, m, "erase-me") {
				t.Errorf("step %d (late: %v): it is still in the store", step, late)
			}
			if n := len(keys(m)); !finished && n < 11 {
				t.Errorf("step %d: %d objects", step, n)
			}
		}
		if finished {
			if step < 20 {
				t.Errorf("only %d steps", step)
			}
			return
		}
	}
}

// What a lock kept of an earlier Forget is reached by a later one for another
// document, too, also if the pack is written anew once more.
func TestA9ForgetReachesWhatAnEarlierOneLeft(t *testing.T) {
	s, m := memoryShelf(t)
	family(t, s)
	m.locked = func(key string) bool { return strings.Contains(key, "/p1.bson") }
	if f, err := s.Forget(t.Context(), ForgetOptions{IDs: []bson.RawValue{idValue(t, "erase-me")}}); err != nil || len(f.Unreached) != 1 {
		t.Fatalf("%+v %v", f, err)
	}
	m.locked = nil
	f, err := s.Forget(t.Context(), ForgetOptions{IDs: []bson.RawValue{idValue(t, "c")}})
	if err != nil || f.Documents != 2 || len(f.Unreached) > 0 || len(f.Rewritten) != 2 || f.Rewritten[1].Old != "p1" || f.Rewritten[1].New != "p1.r2" {
		t.Errorf("%+v %v", f, err)
	}
	if inAnyPack(t, m, "erase-me") {
		t.Error("it is still in the store")
	}
	same(t, "left", find(t, s, FindQuery{Query: Query{Pack: "p1"}, Versions: true}), []string{`"a"/1 deleted`, `"b"/1 gone`})
}

// A new pack that does not read back as it was written takes no one's place.
func TestA9ForgetReadsBackBeforeItRemoves(t *testing.T) {
	for _, kind := range []objectKind{packObject, manifestObject, outcomeObject} {
		s, m := memoryShelf(t)
		family(t, s)
		before := find(t, s, FindQuery{Versions: true})
		m.spoil = func(key string) bool { return parse(key).kind == kind }
		_, err := s.Forget(t.Context(), ForgetOptions{IDs: []bson.RawValue{idValue(t, "erase-me")}})
		class(t, err, flow.Fatal)
		for _, k := range keys(m) { // what an operator would do with the spoilt ones
			if strings.Contains(k, ".r1") {
				delete(m.objects, k)
			}
		}
		same(t, "left", find(t, s, FindQuery{Versions: true}), before)
	}
}

// Another that forgets in the same pack at the same time: one of the two fails,
// and nothing is lost.
func TestA9TwoThatForget(t *testing.T) {
	s, m := memoryShelf(t)
	family(t, s)
	it, err := s.item(t.Context(), "p1")
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.Open(t.Context(), it)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Forget(t.Context(), ForgetOptions{IDs: []bson.RawValue{idValue(t, "a")}}); err != nil {
		t.Fatal(err)
	}
	m.objects[o.Header.Object] = build(t, s, spec{id: "p1", at: 1, docs: []bson.Raw{doc(t, "a", 1), doc(t, "erase-me", 1), doc(t, "b", 1), doc(t, "c", 1)}}).body
	_, err = s.rewrite(t.Context(), o, []int{1})
	class(t, err, flow.Conflict)
	same(t, "left", find(t, s, FindQuery{Query: Query{Pack: "p1"}, Versions: true}), []string{`"b"/1 gone`, `"c"/1 changed`, `"erase-me"/1 changed`})
}
