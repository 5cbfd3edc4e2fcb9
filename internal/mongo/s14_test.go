package mongo

import (
	"bytes"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/testkit/scriptmongo"
)

// filtered are options with a filter on content.
func filtered(t *testing.T) (Options, bson.Raw) {
	t.Helper()
	q, err := bson.Marshal(bson.D{{Key: "state", Value: "open"}})
	if err != nil {
		t.Fatal(err)
	}
	return Options{Filters: []Filter{{Pattern: "a.c", Query: q}}}, q
}

// With a filter every change asks for the document as it is, and what is not
// to be found has left: it is deleted.
func TestS14FilterLeaves(t *testing.T) {
	o, _ := filtered(t)
	s := bareSource(t, o)
	s.stream.know(scriptedNS, "")
	s.stream.know(flow.Namespace{DB: "a", Coll: "other"}, "")
	items := sortEvents(t, s,
		scriptmongo.Update("a.c", tick(1), 1, bson.D{{Key: "state", Value: "closed"}}),
		scriptmongo.Insert("a.c", tick(2), withID(2)),
		scriptmongo.Replace("a.c", tick(3), withID(1)),
		scriptmongo.Update("a.other", tick(4), 1, bson.D{}),
		scriptmongo.Delete("a.c", tick(5), 1),
		scriptmongo.Event{Op: "insert", NS: "a.other", Time: tick(6), Key: withID(1)},
		scriptmongo.Event{Op: "replace", NS: "a.other", Time: tick(7), Key: withID(1)},
	)
	if len(items) != 1 || len(items[0].batch.Changes) != 7 {
		t.Fatalf("%+v", items)
	}
	for i, want := range []flow.Change{
		{Op: flow.OpReread, MissingIsDelete: true},
		{Op: flow.OpReread, MissingIsDelete: true},
		{Op: flow.OpReread, MissingIsDelete: true},
		{Op: flow.OpReread},
		{Op: flow.OpDelete},
		{Op: flow.OpReread, MissingIsDelete: true}, // an insert without its document
		{Op: flow.OpReread},
	} {
		if c := items[0].batch.Changes[i]; c.Op != want.Op || c.MissingIsDelete != want.MissingIsDelete {
			t.Errorf("%d: %+v", i, c)
		}
	}
}

// The stream shows all changes of a filtered namespace; the filter is in each
// read of documents.
func TestS14FilterIsInTheReads(t *testing.T) {
	o, q := filtered(t)
	srv := newScripted(t, withID(1), withID(2))
	s := openScripted(t, srv, o)
	srv.Handle("find", func(c scriptmongo.Command) (bson.D, error) {
		filter, _ := c.Doc.Lookup("filter").DocumentOK()
		if !strings.Contains(filter.String(), "$and") && !bytes.Equal(filter, q) {
			return nil, nil
		}
		return bson.D{{Key: "cursor", Value: bson.D{{Key: "id", Value: int64(0)}, {Key: "ns", Value: "a.c"}, {Key: "firstBatch", Value: bson.A{}}}}}, nil
	})
	has := func(what string, before, want int) {
		t.Helper()
		n := 0
		for _, c := range srv.Commands("find")[before:] {
			if filter, ok := c.Doc.Lookup("filter").DocumentOK(); ok && bytes.Contains(filter, q) {
				n++
			}
		}
		if n != want {
			t.Errorf("%s: %d reads carry the filter, want %d", what, n, want)
		}
	}
	before := len(srv.Commands("find"))
	if _, err := s.Reread().Apply(t.Context(), flow.Batch{Changes: []flow.Change{rereadOf(t, 1, 3)}}); err != nil {
		t.Fatal(err)
	}
	has("re-read", before, 1)

	before = len(srv.Commands("find"))
	if missing, _, err := s.Missing(t.Context(), scriptedNS, []bson.RawValue{rawID(t, 1)}); err != nil || len(missing) != 1 {
		t.Fatal(missing, err)
	}
	has("ghosts", before, 1)

	before = len(srv.Commands("find"))
	if err := s.Start(t.Context(), "", nil); err != nil {
		t.Fatal(err)
	}
	follower(t, s)
	srv.Stream(scriptmongo.Reply{HighWater: bson.Timestamp{T: srv.Clock().T + 10}})
	copyAll(t, srv, s)
	has("copy", before, 2) // the range, and the document at its end
	if p := srv.Opens()[0].Pipeline; bytes.Contains(p, q) || strings.Contains(p.String(), "state") {
		t.Errorf("the stream filters content: %s", p)
	}
}

// What a document was is told where it is known for sure: of an insert that it was
// not there, of others what the pre-image says.
func TestS14BeforeIsToldWhereItIsKnown(t *testing.T) {
	f := func(want string, e scriptmongo.Event, o Options) {
		t.Helper()
		s := bareSource(t, o)
		s.stream.know(scriptedNS, "")
		items := sortEvents(t, s, e)
		got := "unknown"
		if b := items[0].batch.Changes[0].Before; b != nil {
			got = "known"
			for _, doc := range b.Docs {
				got += " " + doc.String()
			}
		}
		if got != want {
			t.Errorf("%s %s, want %s", e.Op, got, want)
		}
	}
	pre := func(e scriptmongo.Event) scriptmongo.Event {
		e.Extra = append(e.Extra, bson.E{Key: "fullDocumentBeforeChange", Value: bson.D{{Key: "m", Value: "01"}}})
		return e
	}
	on, off := Options{Before: true}, Options{}
	insert, update := scriptmongo.Insert("a.c", tick(1), withID(1)), scriptmongo.Update("a.c", tick(1), 1, bson.D{})
	f("known", insert, on)
	f("unknown", insert, off)
	f("unknown", update, on)
	f(`known {"m": "01"}`, pre(update), on)
	f(`known {"m": "01"}`, pre(scriptmongo.Delete("a.c", tick(1), 1)), on)
	f("unknown", pre(update), off)
	null := update
	null.Extra = append(null.Extra, bson.E{Key: "fullDocumentBeforeChange", Value: nil})
	f("unknown", null, on)
	f("unknown", scriptmongo.Event{Op: "insert", NS: "a.c", Time: tick(1), Key: withID(1)}, on) // came without its document
	sharded := pre(update)
	sharded.Key = bson.D{{Key: "_id", Value: 1}, {Key: "shard", Value: 2}}
	f("unknown", sharded, on)
}
