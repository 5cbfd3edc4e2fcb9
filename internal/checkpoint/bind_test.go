package checkpoint

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"sluice/internal/flow"
)

func saved(change func(*State)) State {
	s := State{
		Flow: "shop", Source: "rs-1", Position: json.RawMessage(`{"t":1}`),
		Fingerprints: map[string]string{"db.a": "shape", "db.b": "shape"},
		Targets:      map[string]string{"db.a": "uuid-a", "db.b": "uuid-b"},
	}
	if change != nil {
		change(&s)
	}
	return s
}

func found(change func(*Binding)) Binding {
	b := Binding{
		Source:       "rs-1",
		Fingerprints: map[string]string{"db.b": "shape", "db.a": "shape"},
		Targets:      map[string]Target{"db.a": {UUID: "uuid-a", Docs: 5}, "db.b": {UUID: "uuid-b", Docs: 5}},
	}
	if change != nil {
		change(&b)
	}
	return b
}

func TestS12Bind(t *testing.T) {
	f := func(s State, b Binding, c Choices, want ...string) {
		t.Helper()
		decisions, err := Bind(s, b, c)
		if err != nil {
			t.Error(err)
			return
		}
		var got []string
		for _, d := range decisions {
			line := fmt.Sprintf("%s %s", d.NS, d.Reason)
			if d.Resync {
				line += " resync"
			}
			if d.Ghosts {
				line += " ghosts"
			}
			got = append(got, line)
		}
		if strings.Join(got, "; ") != strings.Join(want, "; ") {
			t.Errorf("\n got %q\nwant %q", got, want)
		}
	}
	none := Choices{}
	target := func(uuid string, docs int64) func(*Binding) {
		return func(b *Binding) { b.Targets["db.a"] = Target{uuid, docs} }
	}
	shape := func(b *Binding) { b.Fingerprints["db.a"] = "other" }

	f(saved(nil), found(nil), none, "db.a fits", "db.b fits")
	// First run: an index with documents but no position ends with the removal of ghosts.
	f(State{Flow: "shop"}, found(target("u", 0)), none, "db.a first run resync", "db.b first run resync ghosts")
	f(saved(func(s *State) { s.Position = nil }), found(nil), none, "db.a first run resync ghosts", "db.b first run resync ghosts")
	// The index was deleted, or deleted and made again.
	f(saved(nil), found(target("", 0)), none, "db.a index missing resync", "db.b fits")
	f(saved(nil), found(target("uuid-x", 0)), none, "db.a index replaced resync", "db.b fits")
	f(saved(nil), found(target("uuid-x", 9)), none, "db.a index replaced resync ghosts", "db.b fits")
	f(saved(func(s *State) { delete(s.Targets, "db.a") }), found(nil), none, "db.a index replaced resync ghosts", "db.b fits")
	f(saved(nil), found(func(b *Binding) { delete(b.Targets, "db.a") }), none, "db.a index missing resync", "db.b fits")
	// A namespace came, or went.
	f(saved(func(s *State) { delete(s.Fingerprints, "db.b"); delete(s.Targets, "db.b") }), found(nil), none,
		"db.a fits", "db.b new namespace resync ghosts")
	f(saved(nil), found(func(b *Binding) { delete(b.Fingerprints, "db.b"); delete(b.Targets, "db.b") }), none, "db.a fits")
	// Another shape, with each choice; a missing index settles it without one.
	f(saved(nil), found(shape), Choices{Resync: []string{"db.a"}}, "db.a asked for resync ghosts", "db.b fits")
	f(saved(nil), found(shape), Choices{AcceptShape: true}, "db.a changed shape accepted", "db.b fits")
	f(saved(nil), found(shape), Choices{Resync: []string{"*"}}, "db.a asked for resync ghosts", "db.b asked for resync ghosts")
	f(saved(nil), found(func(b *Binding) { shape(b); target("", 0)(b) }), none, "db.a index missing resync", "db.b fits")
	// A resync that nothing but the user asks for.
	f(saved(nil), found(nil), Choices{Resync: []string{"db.b"}}, "db.a fits", "db.b asked for resync ghosts")
	// Accepting a shape does not accept another index.
	f(saved(nil), found(func(b *Binding) { shape(b); target("uuid-x", 1)(b) }), Choices{AcceptShape: true},
		"db.a index replaced resync ghosts", "db.b fits")
	f(State{Flow: "shop"}, Binding{Source: "rs-1"}, none)
}

func TestS12BindRefuses(t *testing.T) {
	f := func(s State, b Binding, c Choices, says ...string) {
		t.Helper()
		decisions, err := Bind(s, b, c)
		if flow.ClassOf(err) != flow.Config || decisions != nil {
			t.Errorf("%v %v, want an error of class Config alone", decisions, err)
			return
		}
		for _, want := range says {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v\nshould say %q", err, want)
			}
		}
	}
	other := func(b *Binding) { b.Source = "rs-2" }
	shapes := func(b *Binding) { b.Fingerprints["db.a"], b.Fingerprints["db.b"] = "other", "other" }

	f(saved(nil), found(other), Choices{}, "rs-1", "rs-2", "mongodb.uri", "another name")
	// No choice about documents makes another deployment right, not even before a first position.
	f(saved(nil), found(other), Choices{AcceptShape: true, Resync: []string{"*"}}, "rs-2")
	f(saved(func(s *State) { s.Position = nil }), found(other), Choices{}, "rs-2")
	f(saved(nil), found(shapes), Choices{}, "db.a, db.b", "--resync db.a --resync db.b", "--accept-shape")
	f(saved(nil), found(shapes), Choices{Resync: []string{"db.a"}}, "documents of db.b has changed", "--resync db.b")
	f(saved(nil), found(nil), Choices{Resync: []string{"db.c"}}, "db.c", "it follows: db.a, db.b")
}
