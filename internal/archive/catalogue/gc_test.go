package catalogue

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/objstore"
)

func keys(m *memory) []string { return slices.Sorted(maps.Keys(m.objects)) }

func collect(t TB, s *Shelf, o GCOptions) []string {
	t.Helper()
	all, err := s.GC(t.(*testing.T).Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var some []string
	for _, g := range all {
		some = append(some, g.Object)
	}
	slices.Sort(some)
	return some
}

func alive(keys ...string) func(context.Context) (map[string]bool, error) {
	return func(context.Context) (map[string]bool, error) {
		live := map[string]bool{}
		for _, k := range keys {
			live[k] = true
		}
		return live, nil
	}
}

// A pack that is planned when the journal is asked and uploaded when the store is
// listed would be in neither answer's favour: the journal is asked after.
func TestA4GCAsksTheJournalAfterTheListing(t *testing.T) {
	s, m := memoryShelf(t)
	x := build(t, s, spec{id: "p1", at: 1, docs: []bson.Raw{doc(t, 1, 1)}})
	journal := map[string]bool{}
	s.store = &listed{memory: m, before: func() {
		// Between the beginning of the GC and its listing a run comes this far.
		journal[x.row.Object] = true
		if err := s.Upload(t.Context(), &x.row, objstore.BytesBody(x.body)); err != nil {
			t.Fatal(err)
		}
	}}
	same(t, "removed", collect(t, s, GCOptions{Live: func(context.Context) (map[string]bool, error) { return maps.Clone(journal), nil }}), nil)
	if _, ok := m.objects[x.row.Object]; !ok {
		t.Error("the pack of a run that goes on was removed")
	}
	if _, err := s.GC(t.Context(), GCOptions{Live: func(context.Context) (map[string]bool, error) { return nil, errKilled }}); err == nil {
		t.Error("without the journal's answer it goes on")
	}
}

// listed is a store in which something happens before it is listed.
type listed struct {
	*memory
	before func()
}

func (l *listed) List(ctx context.Context, prefix string) iter.Seq2[objstore.Info, error] {
	if l.before != nil {
		happens := l.before
		l.before = nil
		happens()
	}
	return l.memory.List(ctx, prefix)
}

func TestA4GCRemovesOnlyWhatNoManifestNames(t *testing.T) {
	s, m := memoryShelf(t)
	put(t, s, spec{id: "p1", at: 1, docs: []bson.Raw{doc(t, 1, 1)}})
	whole := keys(m)
	x := build(t, s, spec{id: "p2", at: 2, docs: []bson.Raw{doc(t, 2, 1)}})
	if err := s.Upload(t.Context(), &x.row, objstore.BytesBody(x.body)); err != nil {
		t.Fatal(err)
	}
	if err := s.Settle(t.Context(), &x.row, nil); err != nil {
		t.Fatal(err)
	}
	outcome := outcomeOf(stemOf(x.row.Manifest))
	m.objects["readme.txt"], m.objects["a/b/c/d.txt"] = []byte("mine"), []byte("mine")
	garbage := []string{x.row.Object, outcome}

	same(t, "too young", collect(t, s, GCOptions{OlderThan: time.Hour}), nil)
	s.o.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	same(t, "of a run that goes on", collect(t, s, GCOptions{OlderThan: time.Hour, Live: alive(x.row.Object)}), []string{outcome})
	m.objects[outcome] = []byte("x")
	m.modified[outcome] = time.Now()
	same(t, "dry", collect(t, s, GCOptions{OlderThan: time.Hour, DryRun: true}), garbage)
	if _, ok := m.objects[x.row.Object]; !ok {
		t.Error("a dry run removes")
	}
	// Nothing is garbage on the word of a manifest that can't be read.
	broken := "old/shop.orders/2026-03-01/p3.manifest"
	m.objects[broken] = []byte("x")
	if all, err := s.GC(t.Context(), GCOptions{OlderThan: time.Hour}); err == nil || len(all) > 0 {
		t.Errorf("removed %v beside a broken manifest: %v", all, err)
	}
	delete(m.objects, broken)
	same(t, "removed", collect(t, s, GCOptions{OlderThan: time.Hour}), garbage)
	same(t, "left", keys(m), slices.Sorted(slices.Values(append(whole, "readme.txt", "a/b/c/d.txt"))))
}

func TestCheckTellsWhatIsWrong(t *testing.T) {
	s, m := memoryShelf(t)
	good := put(t, s, spec{id: "p0", at: 1, docs: []bson.Raw{doc(t, 1, 1)}})
	short := put(t, s, spec{id: "p1", at: 1, docs: []bson.Raw{doc(t, 1, 1)}})
	missing := put(t, s, spec{id: "p2", at: 1, docs: []bson.Raw{doc(t, 1, 1)}})
	flipped := put(t, s, spec{id: "p3", at: 1, docs: []bson.Raw{doc(t, 1, 1)}})
	manifest := put(t, s, spec{id: "p4", at: 1, docs: []bson.Raw{doc(t, 1, 1)}})
	outcome := put(t, s, spec{id: "p5", at: 1, docs: []bson.Raw{doc(t, 1, 1)}})
	m.objects[short.row.Object] = m.objects[short.row.Object][1:]
	delete(m.objects, missing.row.Object)
	b := slices.Clone(m.objects[flipped.row.Object])
	b[len(b)/2] ^= 1
	m.objects[flipped.row.Object] = b
	m.objects[manifest.row.Manifest] = []byte("no manifest at all, but long enough")
	o := outcomeOf(stemOf(outcome.row.Manifest))
	m.objects[o] = m.objects[o][:20]

	f := func(deep bool, want map[string]string) {
		t.Helper()
		for c, err := range s.Check(t.Context(), CheckOptions{Deep: deep}) {
			if err != nil {
				t.Fatal(err)
			}
			problem, known := want[c.Pack]
			switch {
			case !known:
				t.Errorf("reports %+v", c)
			case problem == "" && c.Problem != "", !strings.Contains(c.Problem, problem):
				t.Errorf("%s: %q, want %q", c.Pack, c.Problem, problem)
			case c.Deep != (deep && problem == ""):
				t.Errorf("%s: deep %v", c.Pack, c.Deep)
			}
			delete(want, c.Pack)
		}
		if len(want) > 0 {
			t.Errorf("not reported: %v", want)
		}
	}
	f(false, map[string]string{"p0": "", "p1": "bytes", "p2": "missing", "p3": "", "p4": "manifest", "p5": "outcome"})
	f(true, map[string]string{"p0": "", "p1": "bytes", "p2": "missing", "p3": "frame", "p4": "manifest", "p5": "outcome"})
	for c, err := range s.Check(t.Context(), CheckOptions{Query: Query{Pack: "p0"}, Deep: true}) {
		if err != nil || c.Object != good.row.Object || c.Problem != "" {
			t.Errorf("%+v %v", c, err)
		}
	}
}

// The journal comes back from the bucket alone.
func TestA4RebuildEqualsTheJournal(t *testing.T) {
	s, _ := dirShelf(t)
	ex := []cold.Exception{{Entry: 0, Outcome: cold.Changed}, {Entry: 2, Outcome: cold.Gone}}
	want := []made{
		put(t, s, spec{id: "p1", at: 1, docs: []bson.Raw{doc(t, 1, 1), doc(t, 2, 1), doc(t, 3, 1)}, ex: ex}),
		put(t, s, spec{id: "p2", at: 2, docs: []bson.Raw{doc(t, 4, 1)}, open: true}),
		put(t, s, spec{id: "p3", at: 3, rule: "copy", docs: []bson.Raw{doc(t, 5, 1)}, copied: true}),
		put(t, s, spec{id: "p4", at: 4, ns: "shop.ö/%", rule: "o", docs: []bson.Raw{doc(t, 6, 1)}}),
	}
	r, err := s.Rebuild(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Packs) != len(want) {
		t.Fatalf("%d packs", len(r.Packs))
	}
	for i, w := range want {
		if r.Packs[i] != w.row {
			t.Errorf("pack %d:\n got %+v\nwant %+v", i, r.Packs[i], w.row)
		}
	}
	if len(r.Exceptions) != 2 || r.Exceptions[0].Pack != "p1" || r.Exceptions[0].Outcome != cold.Changed || !r.Exceptions[0].ID.Equal(idValue(t, 1)) || r.Exceptions[1].Entry != 2 {
		t.Errorf("exceptions %+v", r.Exceptions)
	}
	states := map[string]cold.RunState{}
	for _, run := range r.Runs {
		states[run.ID] = run.State
		if run.ID == "run-old" && (run.Packs != 2 || run.Docs != 4 || run.Deleted != 1 || run.Changed != 1 || run.Gone != 1 || !run.Ended.IsZero() || !run.Delete || run.Field != "at" || run.UUID != "u") {
			t.Errorf("run %+v", run)
		}
	}
	if want := map[string]cold.RunState{"run-old": cold.RunOpen, "run-copy": cold.RunClosed, "run-o": cold.RunClosed}; !maps.Equal(states, want) {
		t.Errorf("runs %v", states)
	}
}
