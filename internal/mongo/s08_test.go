package mongo

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

func rereadOf(t *testing.T, id any, i uint32) flow.Change {
	t.Helper()
	v, err := flow.VersionOf(tick(i))
	if err != nil {
		t.Fatal(err)
	}
	return flow.Change{Op: flow.OpReread, NS: scriptedNS, ID: rawID(t, id), Version: v, Time: tick(i)}
}

// A document that is missing has a delete on its way: nothing is written. One
// that left a filter is deleted at the version of its event.
func TestS8MissingDocument(t *testing.T) {
	srv := newScripted(t, bson.D{{Key: "_id", Value: 1}, {Key: "v", Value: 7}})
	s := openScripted(t, srv, Options{})
	gone, left := rereadOf(t, 2, 4), rereadOf(t, 3, 4)
	left.MissingIsDelete = true
	b, err := s.Reread().Apply(t.Context(), flow.Batch{Changes: []flow.Change{rereadOf(t, 1, 3), gone, left, rereadOf(t, 1.0, 5)}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []flow.Op{flow.OpWrite, flow.OpSkip, flow.OpDelete, flow.OpWrite} {
		c := b.Changes[i]
		if c.Op != want || (c.Doc != nil) != (want == flow.OpWrite) {
			t.Errorf("%d: %s with %v, want %s", i, c.Op, c.Doc, want)
		}
	}
	if v := b.Changes[2].Version; v != left.Version {
		t.Errorf("the delete has version %d, its event %d", v, left.Version)
	}
	if n := len(srv.Commands("find")) - len(probes(s)); n != 1 {
		t.Errorf("%d queries for 3 keys", n)
	}
}

// probes are the finds by which Open has found out what the server can.
func probes(s *Source) []struct{} {
	if s.caps.snapshot {
		return make([]struct{}, 1)
	}
	return nil
}

// A re-read sees the change that asked for it, and nothing that may be undone.
func TestS8ReadsAfterTheEvent(t *testing.T) {
	srv := newScripted(t, withID(1))
	s := openScripted(t, srv, Options{})
	f := func(after, want bson.Timestamp, changes ...flow.Change) {
		t.Helper()
		if _, err := s.Reread().Apply(t.Context(), flow.Batch{Changes: changes, After: after}); err != nil {
			t.Fatal(err)
		}
		finds := srv.Commands("find")
		concern := finds[len(finds)-1].Doc.Lookup("readConcern").Document()
		level, _ := concern.Lookup("level").StringValueOK()
		var got bson.Timestamp
		got.T, got.I, _ = concern.Lookup("afterClusterTime").TimestampOK()
		if level != "majority" || got != want {
			t.Errorf("read concern %s, want majority after %v", concern, want)
		}
	}
	f(tick(9), tick(9), rereadOf(t, 1, 3))
	f(bson.Timestamp{}, tick(7), rereadOf(t, 1, 3), rereadOf(t, 2, 7), rereadOf(t, 3, 5))
}
