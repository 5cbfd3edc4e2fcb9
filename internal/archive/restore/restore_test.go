package restore

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"

	"sluice/internal/archive/catalogue"
	"sluice/internal/cold"
	"sluice/internal/flow"
)

const ns = "shop.orders"

// history is three packs of one collection.
func history(t TB, s *catalogue.Shelf) {
	t.Helper()
	put(t, s, spec{id: "p1", at: 1, docs: []bson.Raw{doc(t, "a", 1), doc(t, "b", 1), doc(t, "c", 1)}})
	put(t, s, spec{
		id: "p2", at: 2, docs: []bson.Raw{doc(t, "a", 2), doc(t, "b", 2), doc(t, "d", 2), doc(t, "u", 2)},
		ex: []cold.Exception{{Entry: 1, Outcome: cold.Changed}, {Entry: 2, Outcome: cold.Gone}, {Entry: 3, Outcome: cold.Unknown}},
	})
	put(t, s, spec{id: "p3", at: 3, docs: []bson.Raw{doc(t, "e", 3), doc(t, "a", 3)}, copied: true})
}

func TestA8RestoresTheNewestThatWasDeleted(t *testing.T) {
	s, l := newShelf(t), newServer()
	history(t, s)
	r := run(t, deps(s, l), Options{HoldFor: 48 * time.Hour})
	same(t, "live", l.texts(ns), []string{`"a"/2`, `"b"/1`, `"c"/1`, `"u"/2`})
	if got := counts(r); got != "found 4 inserted 4 equal 0 replaced 0 conflict 0 refused 0" || r.Packs != 2 || len(r.Left) != 1 {
		t.Errorf("%s %+v", got, r)
	}
	// Open runs end first, and keys are on hold before the documents are there.
	same(t, "calls", l.calls, []string{"finish old shop.orders", "ensure shop.orders 14 1", "wait 4", "hold 2026-03-03", "restore"})
	if len(l.marks) > 0 {
		t.Errorf("a bookmark stays: %v", l.marks)
	}
	// Again.
	if got := counts(run(t, deps(s, l), Options{HoldFor: time.Hour})); got != "found 4 inserted 0 equal 4 replaced 0 conflict 0 refused 0" {
		t.Error(got)
	}
}

func TestA8Outcomes(t *testing.T) {
	s := newShelf(t)
	history(t, s)
	put(t, s, spec{id: "p4", at: 4, docs: []bson.Raw{doc(t, "p", 4)}, open: true})
	f := func(want []string, outcomes ...cold.Outcome) {
		t.Helper()
		l := newServer()
		run(t, deps(s, l), Options{Outcomes: outcomes})
		same(t, "live", l.texts(ns), want)
	}
	f([]string{`"a"/2`, `"b"/1`, `"c"/1`, `"p"/4`, `"u"/2`})
	f([]string{`"d"/2`}, cold.Gone)
	f([]string{`"b"/2`, `"d"/2`}, cold.Gone, cold.Changed)
	f([]string{`"a"/3`, `"e"/3`}, "")
	_, err := Run(t.Context(), deps(s, newServer()), Options{Outcomes: []cold.Outcome{"x"}})
	class(t, err, flow.Config)
}

// A run that is open when restore begins has ended when it chooses.
func TestA8OpenRunsEndFirst(t *testing.T) {
	s, l := newShelf(t), newServer()
	row := put(t, s, spec{id: "p1", at: 1, docs: []bson.Raw{doc(t, "a", 1), doc(t, "b", 1)}, open: true})
	l.finish = func(string, string) error {
		return s.Settle(context.Background(), &row, []cold.Exception{{Entry: 1, Outcome: cold.Gone}})
	}
	run(t, deps(s, l), Options{})
	same(t, "live", l.texts(ns), []string{`"a"/1`})
	// And what it commits at its end is chosen too.
	l = newServer()
	l.finish = func(string, string) error {
		put(t, s, spec{id: "p2", at: 2, docs: []bson.Raw{doc(t, "late", 2)}})
		return nil
	}
	run(t, deps(s, l), Options{})
	same(t, "live then", l.texts(ns), []string{`"a"/1`, `"late"/2`})
	l.finish = func(string, string) error {
		return &flow.Error{Op: "finish", Class: flow.Conflict, Err: errors.New("leased")}
	}
	l.docs = nil
	_, err := Run(t.Context(), deps(s, l), Options{})
	class(t, err, flow.Conflict)
	same(t, "live", l.texts(ns), nil)
}

func TestA8Conflicts(t *testing.T) {
	s := newShelf(t)
	history(t, s)
	// a is live in an older archived version, b in a newer one, c in one that was
	// never archived.
	live := func() *server {
		l := newServer()
		l.put(ns, doc(t, "a", 1))
		l.put(ns, doc(t, "b", 2))
		l.put(ns, doc(t, "c", 7))
		return l
	}
	untouched := []string{`"a"/1`, `"b"/2`, `"c"/7`}
	l := live()
	r := run(t, deps(s, l), Options{})
	same(t, "keep-live", l.texts(ns), append(slices.Clone(untouched), `"u"/2`))
	if got := counts(r); got != "found 4 inserted 1 equal 0 replaced 0 conflict 3 refused 0" || r.Unreturned() != 3 || len(r.Troubles) != 3 || r.Troubles[0].Pack == "" || r.Troubles[0].Reason == "" {
		t.Errorf("%s %+v", got, r)
	}
	l = live()
	r = run(t, deps(s, l), Options{OnConflict: cold.ReplaceOlder, BatchDocs: 1, HoldFor: time.Hour})
	same(t, "replace-older", l.texts(ns), []string{`"a"/2`, `"b"/2`, `"c"/7`, `"u"/2`})
	if got := counts(r); got != "found 4 inserted 1 equal 0 replaced 1 conflict 2 refused 0" {
		t.Error(got)
	}
	l = live()
	r, err := Run(t.Context(), deps(s, l), Options{OnConflict: cold.FailConflict, Troubles: 1})
	class(t, err, flow.Conflict)
	if r.Conflicts != 1 || len(r.Troubles) != 1 {
		t.Errorf("%+v", r)
	}
	same(t, "fail", l.texts(ns), untouched)
	// An older archived version of another key is no excuse.
	l = newServer()
	l.put(ns, doc(t, "c", 9))
	put(t, s, spec{id: "p0", at: 0, docs: []bson.Raw{doc(t, "x", 9)}})
	run(t, deps(s, l), Options{OnConflict: cold.ReplaceOlder, IDs: []bson.RawValue{idValue(t, "c")}})
	same(t, "another key", l.texts(ns), []string{`"c"/9`})
	// Nor is an older version of the same key, if it is not what is live.
	l = newServer()
	l.put(ns, doc(t, "a", 99))
	run(t, deps(s, l), Options{OnConflict: cold.ReplaceOlder, IDs: []bson.RawValue{idValue(t, "a")}})
	same(t, "another version", l.texts(ns), []string{`"a"/99`})
	// A newer one than what is restored is none either.
	l = newServer()
	l.put(ns, doc(t, "a", 3))
	run(t, deps(s, l), Options{OnConflict: cold.ReplaceOlder, IDs: []bson.RawValue{idValue(t, "a")}})
	same(t, "a newer version", l.texts(ns), []string{`"a"/3`})
	_, err = Run(t.Context(), deps(s, l), Options{OnConflict: "wat"})
	class(t, err, flow.Config)
}

func TestA8DryRunChangesNothing(t *testing.T) {
	s, l := newShelf(t), newServer()
	history(t, s)
	l.put(ns, doc(t, "a", 1))
	l.put(ns, doc(t, "c", 7))
	r := run(t, deps(s, l), Options{DryRun: true, OnConflict: cold.ReplaceOlder, HoldFor: time.Hour})
	if got := counts(r); got != "found 4 inserted 2 equal 0 replaced 1 conflict 1 refused 0" || !r.DryRun {
		t.Error(got)
	}
	same(t, "live", l.texts(ns), []string{`"a"/1`, `"c"/7`})
	if len(l.calls) > 0 || len(l.held) > 0 || len(l.marks) > 0 {
		t.Errorf("calls %v", l.calls)
	}
}

func TestRestoreIntoAnotherPlace(t *testing.T) {
	s := newShelf(t)
	history(t, s)
	put(t, s, spec{id: "q1", ns: "shop.more", at: 1, docs: []bson.Raw{doc(t, "a", 9)}})
	l := newServer()
	run(t, deps(s, l), Options{Into: "copy"})
	same(t, "orders", l.texts("copy.orders"), []string{`"a"/2`, `"b"/1`, `"c"/1`, `"u"/2`})
	same(t, "more", l.texts("copy.more"), []string{`"a"/9`})
	_, err := Run(t.Context(), deps(s, l), Options{Into: "copy.one"})
	class(t, err, flow.Config)
	run(t, deps(s, l), Options{Into: "copy.one", Query: catalogue.Query{NS: "shop.more"}})
	same(t, "one", l.texts("copy.one"), []string{`"a"/9`})
}

func TestRestoreChooses(t *testing.T) {
	s := newShelf(t)
	history(t, s)
	f := func(o Options, want ...string) {
		t.Helper()
		l := newServer()
		run(t, deps(s, l), o)
		same(t, "live", l.texts(ns), want)
	}
	query, err := bson.Marshal(bson.D{{Key: "v", Value: 1}})
	if err != nil {
		t.Fatal(err)
	}
	f(Options{IDs: []bson.RawValue{idValue(t, "a")}}, `"a"/2`)
	f(Options{Doc: query}, `"b"/1`, `"c"/1`)
	f(Options{Query: catalogue.Query{From: day0.Add(2 * time.Hour)}}, `"c"/1`, `"u"/2`)
	f(Options{Query: catalogue.Query{Rule: "none"}})
	f(Options{Limit: 2}, `"a"/2`, `"u"/2`)
	f(Options{Query: catalogue.Query{Pack: "p1"}}, `"a"/1`, `"b"/1`, `"c"/1`)
}

func TestRestoreReportsRefusals(t *testing.T) {
	s, l := newShelf(t), newServer()
	put(t, s, spec{id: "p1", at: 1, docs: []bson.Raw{doc(t, "good", 1), doc(t, "bad", 1)}})
	l.refuse = "bad"
	var told []Trouble
	r := run(t, deps(s, l), Options{Trouble: func(x Trouble) { told = append(told, x) }})
	if r.Refused != 1 || len(told) != 1 || told[0].ID != `"bad"` || !strings.Contains(told[0].Reason, "server") || told[0].Entry != 1 {
		t.Errorf("%+v %v", r, told)
	}
}

// Killed at any batch, the same again goes on where it was, and in the end what
// is live is what one run would have made.
func TestA8ResumesAfterAKill(t *testing.T) {
	s := newShelf(t)
	for p := range 6 {
		var docs []bson.Raw
		for i := range 30 {
			docs = append(docs, doc(t, (p*17+i)%100, p))
		}
		put(t, s, spec{id: string(rune('a' + p)), at: uint32(p), docs: docs})
	}
	whole := newServer()
	o := Options{BatchDocs: 3}
	all := run(t, deps(s, whole), o)
	for step := 1; ; step++ {
		l := newServer()
		l.dieAt = step
		_, err := Run(t.Context(), deps(s, l), o)
		if err == nil {
			if step < 20 {
				t.Errorf("only %d batches", step)
			}
			return
		}
		l.dieAt = 0
		r := run(t, deps(s, l), o)
		same(t, "live", l.texts(ns), whole.texts(ns))
		if step > 3*marks && (!r.Resumed || r.Skipped == 0 || r.Found+r.Skipped != all.Found) {
			t.Errorf("step %d: resumed %v, %d found, %d skipped, of %d", step, r.Resumed, r.Found, r.Skipped, all.Found)
		}
	}
}

// A pack that came between a kill and the same again is not passed over: it may
// hold newer versions.
func TestA8ResumeSeesNewPacks(t *testing.T) {
	s, l := newShelf(t), newServer()
	var docs []bson.Raw
	for i := range 30 {
		docs = append(docs, doc(t, i, 1))
	}
	put(t, s, spec{id: "p1", at: 1, docs: docs})
	o := Options{BatchDocs: 1}
	l.dieAt = 20
	_, err := Run(t.Context(), deps(s, l), o)
	class(t, err, flow.Transient)
	if len(l.marks) != 1 {
		t.Fatalf("bookmarks %v", l.marks)
	}
	l.dieAt = 0
	put(t, s, spec{id: "p2", at: 2, docs: []bson.Raw{doc(t, "new", 2)}})
	r := run(t, deps(s, l), o)
	if r.Resumed || r.Inserted != 1+30-19 || r.Equal != 19 {
		t.Errorf("%+v", r)
	}
}

// Whatever is archived, in whatever order, and whatever is live: what is live was
// live, or is the newest version that was deleted.
func TestA8RestoreEqualsTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, l := newShelf(t), newServer()
		want := map[int]int{}
		newest := map[int]uint32{}
		for p := range rapid.IntRange(1, 4).Draw(rt, "packs") {
			at := rapid.Uint32Range(1, 9).Draw(rt, "at")*10 + uint32(p)
			x := spec{id: string(rune('a' + p)), at: at}
			for i, id := range rapid.SliceOfNDistinct(rapid.IntRange(0, 8), 1, 6, rapid.ID).Draw(rt, "ids") {
				x.docs = append(x.docs, doc(rt, id, 10*p+1))
				outcome := rapid.SampledFrom([]cold.Outcome{cold.Deleted, cold.Deleted, cold.Changed, cold.Gone, cold.Unknown}).Draw(rt, "outcome")
				if outcome != cold.Deleted {
					x.ex = append(x.ex, cold.Exception{Entry: i, Outcome: outcome})
				}
				if (outcome == cold.Deleted || outcome == cold.Unknown) && at > newest[id] {
					newest[id], want[id] = at, 10*p+1
				}
			}
			put(rt, s, x)
		}
		for _, id := range rapid.SliceOfDistinct(rapid.IntRange(0, 8), rapid.ID).Draw(rt, "live") {
			l.put(ns, doc(rt, id, 500))
			want[id] = 500
		}
		run(rt, deps(s, l), Options{BatchDocs: rapid.IntRange(1, 4).Draw(rt, "batch")})
		model := newServer()
		for id, v := range want {
			model.put(ns, doc(rt, id, v))
		}
		same(rt, "live", l.texts(ns), model.texts(ns))
	})
}
