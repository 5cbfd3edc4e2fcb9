package mongo

import (
	"context"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/testkit/scriptmongo"
)

// bareSource is a source without a server, for what needs none: it follows a.c.
func bareSource(t *testing.T, o Options) *Source {
	t.Helper()
	o.Namespaces = []string{"a.c", "a.other"}
	o, err := o.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	s := &Source{opts: o, log: o.Logger, changed: make(chan struct{}), bound: map[flow.Namespace]string{}}
	if s.sel, err = newSelection(o); err != nil {
		t.Fatal(err)
	}
	s.scope = s.sel.scope(true)
	if s.related, err = newRelations(s); err != nil {
		t.Fatal(err)
	}
	s.ctx, s.cancel = context.WithCancel(t.Context())
	t.Cleanup(s.cancel)
	s.stream, s.copies = newStream(s), newCopies(s)
	return s
}

// sortEvents lets the stream sort events as if they had come in one reply.
func sortEvents(t *testing.T, s *Source, events ...scriptmongo.Event) []item {
	t.Helper()
	parsed := make([]event, len(events))
	for i, e := range events {
		raw, err := e.Raw(uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		if err := parsed[i].parse(raw); err != nil {
			t.Fatal(err)
		}
	}
	s.stream.queue = nil
	if err := s.stream.sort(parsed, mark{}); err != nil {
		t.Fatal(err)
	}
	return s.stream.queue
}

// controls returns the kinds of the controls among items.
func controls(items []item) (kinds []flow.ControlKind) {
	for _, it := range items {
		if it.batch.Control != nil {
			kinds = append(kinds, it.batch.Control.Kind)
		}
	}
	return kinds
}

func uuid(n byte) []byte { return append(make([]byte, 15), n) }

// A name is not a collection: history of an older one of that name does not
// touch the one that we know, and a newer one in its place is copied.
func TestS12CollectionIsKnownByItsUUID(t *testing.T) {
	f := func(want []flow.ControlKind, ghosts bool, known byte, e scriptmongo.Event) {
		t.Helper()
		s := bareSource(t, Options{})
		s.stream.know(scriptedNS, uuidText(uuid(known)))
		s.copies.schedule(scriptedNS, false)
		items := sortEvents(t, s, e)
		got := controls(items)
		if len(got) != len(want) || len(got) > 0 && got[0] != want[0] {
			t.Errorf("%s of %d when %d is known: %v, want %v", e.Op, e.UUID[15], known, got, want)
			return
		}
		for _, it := range items {
			if it.onAck != nil {
				it.onAck()
			}
		}
		if c := s.copies.find(scriptedNS); c == nil || c.ghosts != ghosts {
			t.Errorf("%s of %d when %d is known: the copy is %+v", e.Op, e.UUID[15], known, c)
		}
	}
	drop, rename := scriptmongo.Drop("a.c", tick(5)), scriptmongo.Rename("x.y", "a.c", tick(5))
	drop.UUID, rename.UUID = uuid(1), uuid(1)
	f([]flow.ControlKind{flow.ControlDropped}, false, 1, drop)
	f(nil, true, 2, drop)
	f(nil, true, 1, rename)
	f([]flow.ControlKind{flow.ControlReplaced}, true, 2, rename)
}

// The position keeps the UUID of each collection.
func TestS12PositionHoldsTheUUIDs(t *testing.T) {
	srv := newScripted(t, withID(1))
	s := follow(t, srv, "")
	srv.Stream(scriptmongo.Reply{Events: []scriptmongo.Event{scriptmongo.Insert("a.c", tick(5), withID(2))}})
	_, ack := nextChanges(t, s.Stream())
	if err := ack(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	p, err := parsePosition(s.Position())
	if err != nil || p.Namespaces["a.c"].UUID != uuidText(srv.UUID("a.c")) {
		t.Fatalf("%+v %v", p, err)
	}
	if bson.Timestamp(p.Stream.Time) != tick(5) {
		t.Errorf("%+v", p.Stream)
	}
}
