package mongo

import (
	"bytes"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/testkit/scriptmongo"
)

var a5Session = [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

func deleteEvent(t testing.TB, more ...bson.E) bson.Raw {
	return rawOf(t, append(bson.D{
		{Key: "_id", Value: bson.D{{Key: "_data", Value: "82AB"}}},
		{Key: "operationType", Value: "delete"},
		{Key: "clusterTime", Value: bson.Timestamp{T: 3, I: 4}},
		{Key: "ns", Value: nsDoc("a", "b")},
		{Key: "documentKey", Value: bson.D{{Key: "_id", Value: 5}}},
	}, more...))
}

func lsidOf(fields ...bson.E) bson.E {
	return bson.E{Key: "lsid", Value: append(bson.D{}, fields...)}
}

// TestA5SessionOfADelete: a delete in a transaction tells its session, in
// whatever order the fields come; nothing else does.
func TestA5SessionOfADelete(t *testing.T) {
	id := bson.E{Key: "id", Value: bson.Binary{Subtype: 4, Data: a5Session[:]}}
	uid := bson.E{Key: "uid", Value: bson.Binary{Data: bytes.Repeat([]byte{9}, 32)}}
	number := bson.E{Key: "txnNumber", Value: int64(7)}
	f := func(want [16]byte, more ...bson.E) {
		t.Helper()
		var e event
		if err := e.parse(deleteEvent(t, more...)); err != nil {
			t.Fatal(err)
		}
		if got := e.session(); got != want {
			t.Errorf("%v: %x, want %x", more, got, want)
		}
	}
	f(a5Session, lsidOf(id, uid), number)
	f(a5Session, number, lsidOf(uid, id))
	f([16]byte{}, lsidOf(id, uid)) // no transaction
	f([16]byte{}, number)
	f([16]byte{})
	f([16]byte{}, lsidOf(uid), number)
	f([16]byte{}, lsidOf(bson.E{Key: "id", Value: bson.Binary{Subtype: 4, Data: a5Session[:15]}}), number)
	f([16]byte{}, lsidOf(bson.E{Key: "id", Value: "text"}), number)
}

// TestA5SessionCostsNothing: it is read without an allocation.
func TestA5SessionCostsNothing(t *testing.T) {
	raw := deleteEvent(t, lsidOf(bson.E{Key: "id", Value: bson.Binary{Subtype: 4, Data: a5Session[:]}}), bson.E{Key: "txnNumber", Value: int64(7)})
	var e event
	var sink [16]byte
	n := testing.AllocsPerRun(100, func() {
		if e.parse(raw) == nil {
			sink = e.session()
		}
	})
	if n != 0 || sink != a5Session {
		t.Errorf("%v allocations, session %x", n, sink)
	}
}

// TestA5SessionReachesTheChange: deletes of a transaction carry its session;
// writes, and deletes of none, carry nothing.
func TestA5SessionReachesTheChange(t *testing.T) {
	srv := newScripted(t)
	s := follow(t, srv, "")
	txn := scriptmongo.Transaction(tick(5), 3, scriptmongo.Insert("a.c", tick(0), withID(1)), scriptmongo.Delete("a.c", tick(0), 2))
	srv.Stream(scriptmongo.Reply{Events: append(txn, scriptmongo.Delete("a.c", tick(6), 3)), HighWater: tick(9)})
	b, _ := nextChanges(t, s.Stream())
	if len(b.Changes) != 3 {
		t.Fatal(b.Changes)
	}
	for i, want := range []string{"", "a session's UUID", ""} {
		var session [16]byte
		copy(session[:], want)
		if c := b.Changes[i]; c.Session != session {
			t.Errorf("%s: session %q, want %q", c.Op, c.Session, want)
		}
	}
}

// TestS14NothingStandsWherePreImagesTell: the delete that comes tells where the
// document lay at last, and what stood elsewhere would stay there for ever.
func TestS14NothingStandsWherePreImagesTell(t *testing.T) {
	s := openScripted(t, newScripted(t), Options{Before: true, PreImages: true})
	gone := rereadOf(t, 2, 4)
	gone.Doc, gone.Before = rawOf(t, withID(2)), &flow.Before{Docs: []bson.Raw{rawOf(t, withID(2))}}
	b, err := s.Reread().Apply(t.Context(), flow.Batch{Changes: []flow.Change{gone}})
	if err != nil {
		t.Fatal(err)
	}
	if c := b.Changes[0]; c.Op != flow.OpSkip || c.Doc != nil || c.Before == nil {
		t.Errorf("%+v", c)
	}
}

// TestA5MergedDocumentStands: what was merged into a re-read is written if the
// re-read finds nothing: the delete that comes may be an archive's.
func TestA5MergedDocumentStands(t *testing.T) {
	s := openScripted(t, newScripted(t), Options{})
	stands, filtered := rereadOf(t, 2, 4), rereadOf(t, 3, 4)
	stands.Doc = rawOf(t, withID(2))
	filtered.Doc, filtered.MissingIsDelete = rawOf(t, withID(3)), true
	b, err := s.Reread().Apply(t.Context(), flow.Batch{Changes: []flow.Change{stands, filtered}})
	if err != nil {
		t.Fatal(err)
	}
	if c := b.Changes[0]; c.Op != flow.OpWrite || !bytes.Equal(c.Doc, stands.Doc) {
		t.Errorf("%+v", c)
	}
	if c := b.Changes[1]; c.Op != flow.OpDelete {
		t.Errorf("%+v", c)
	}
}
