package mongo

import (
	"context"
	"errors"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/testkit/scriptmongo"
)

// A repair is a snapshot of some keys: read at L, written just below L's own
// events; what is missing is deleted at the version of L. While it is under way
// its read counts among the open ones (S5).
func TestS13RepairIsASnapshotOfKeys(t *testing.T) {
	srv := newScripted(t, withID(1), withID("x"))
	s := openScripted(t, srv, Options{})
	var got flow.Batch
	write := func(_ context.Context, b flow.Batch) error {
		got = b
		if low, open := s.OldestOpen(); !open || low != b.Low {
			t.Errorf("the oldest open read is %v, %v", low, open)
		}
		return nil
	}
	ids := []bson.RawValue{rawID(t, 2), rawID(t, 1.0), rawID(t, 1), rawID(t, "x")}
	done, err := s.Repair(t.Context(), scriptedNS, ids, RepairOptions{Write: write})
	if err != nil || done.Written != 2 || done.Missing != 1 || done.At != got.Low {
		t.Fatal(done, err)
	}
	at, err := flow.VersionOf(got.Low)
	if err != nil || !got.Repair || !got.Snapshot || len(got.Changes) != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, c := range got.Changes {
		if c.ID.Equal(rawID(t, 2)) {
			if c.Op != flow.OpDelete || c.Version != at {
				t.Errorf("missing: %s at %d, want a delete at %d", c.Op, c.Version, at)
			}
			continue
		}
		if c.Op != flow.OpWrite || c.Version != at-1 || c.Doc == nil {
			t.Errorf("there: %s at %d, want a write at %d", c.Op, c.Version, at-1)
		}
	}
	finds := srv.Commands("find")
	var read bson.Timestamp
	read.T, read.I, _ = finds[len(finds)-1].Doc.Lookup("readConcern").Document().Lookup("atClusterTime").TimestampOK()
	if read != got.Low {
		t.Errorf("read at %v, told as of %v", read, got.Low)
	}
	if _, open := s.OldestOpen(); open {
		t.Error("the read is still counted as open")
	}
}

// What an archive holds is told as its delete, and where archived documents
// can't be told apart, what is missing is left alone.
func TestS13RepairKnowsTheArchive(t *testing.T) {
	srv := newScripted(t)
	s := openScripted(t, srv, Options{})
	f := func(o RepairOptions, op flow.Op, archived *flow.Archived) {
		t.Helper()
		o.Write = func(_ context.Context, b flow.Batch) error {
			if c := b.Changes[0]; c.Op != op || c.Archived != archived {
				t.Errorf("%s, %v", c.Op, c.Archived)
			}
			return nil
		}
		if _, err := s.Repair(t.Context(), scriptedNS, []bson.RawValue{rawID(t, 1)}, o); err != nil {
			t.Error(err)
		}
	}
	by := &flow.Archived{Rule: "old"}
	ask := func(context.Context, flow.Namespace, []bson.RawValue) ([]*flow.Archived, error) {
		return []*flow.Archived{by}, nil
	}
	f(RepairOptions{Archived: ask}, flow.OpDelete, by)
	f(RepairOptions{}, flow.OpDelete, nil)
	f(RepairOptions{Leave: true, Archived: ask}, flow.OpSkip, nil)
	_, err := s.Repair(t.Context(), flow.Namespace{DB: "b", Coll: "c"}, nil, RepairOptions{})
	if flow.ClassOf(err) != flow.Config {
		t.Error("a collection that is not followed:", err)
	}
}

// Where the source runs, a repair goes the way of the copy, and ends when it is
// settled; a drop ends it, and what it read is handed to nobody.
func TestS15RepairEndsWithTheDrop(t *testing.T) {
	srv := newScripted(t, withID(1))
	s := openScripted(t, srv, Options{})
	s.bound[scriptedNS] = ""
	ids := []bson.RawValue{rawID(t, 1)}
	ended := make(chan error, 1)
	go func() {
		_, err := s.Repair(t.Context(), scriptedNS, ids, RepairOptions{})
		ended <- err
	}()
	b, ack, err := s.Snapshot().Read(t.Context())
	if err != nil || len(b.Changes) != 1 || !b.Repair {
		t.Fatal(b, err)
	}
	select {
	case err := <-ended:
		t.Fatal("it ended before it was settled:", err)
	default:
	}
	if err := ack(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}

	go func() {
		_, err := s.Repair(t.Context(), scriptedNS, ids, RepairOptions{})
		ended <- err
	}()
	late := <-s.copies.out // on its way to Read
	if err := s.copies.abandon(t.Context(), scriptedNS); err != nil {
		t.Fatal(err)
	}
	if s.copies.hand(late) != nil {
		t.Fatal("what was read before the drop is handed out after it")
	}
	if err := <-ended; !errors.Is(err, errDropped) || flow.ClassOf(err) != flow.Conflict {
		t.Error(err)
	}
}

// A namespace that pauses has its changes passed over, and owes a copy that is
// not older than any of them: the position says so at once, so a crash can't
// lose them.
func TestS13PauseOwesACopy(t *testing.T) {
	s := bareSource(t, Options{})
	s.bound[scriptedNS] = "u"
	s.stream.know(scriptedNS, "")
	if err := s.Pause(scriptedNS); err != nil {
		t.Fatal(err)
	}
	if err := s.Pause(scriptedNS); err != nil || s.copies.pauses.Load() != 1 {
		t.Error("pausing twice:", err)
	}
	if st := s.copies.state(scriptedNS); st == nil || !st.Ghosts || st.Begun {
		t.Fatalf("the position has %+v", st)
	}
	items := sortEvents(t, s, scriptmongo.Insert("a.c", tick(40), withID(1)), scriptmongo.Insert("a.other", tick(40), withID(1)))
	for _, it := range items {
		for _, c := range it.batch.Changes {
			if c.NS == scriptedNS {
				t.Error("a change of the paused namespace is written")
			}
		}
	}
	if c := s.copies.nextControl(); c != nil {
		t.Error("the copy begins while paused")
	}
	if p := s.Progress().Namespaces; len(p) == 0 || p[0].Phase != "paused" {
		t.Errorf("%+v", p)
	}
	if err := s.Resync(scriptedNS); flow.ClassOf(err) != flow.Conflict {
		t.Error("a resync of what pauses:", err)
	}
	if !s.Resume(scriptedNS) || s.Resume(scriptedNS) {
		t.Error("resumed otherwise than once")
	}
	c := s.copies.nextControl()
	if c == nil || c.ns != scriptedNS || !c.ghosts {
		t.Fatalf("after the pause: %+v", c)
	}
	if at, _, _ := s.copies.lease(c); at.Before(tick(40)) {
		t.Errorf("the copy reads at %v, before a change that was passed over", at)
	}
}

// A change that is passed over moves the time of the copy at once, not at the
// end of its reply: the pause may end in between.
func TestS13PassedOverIsRead(t *testing.T) {
	s := bareSource(t, Options{})
	s.bound[scriptedNS] = "u"
	if err := s.Pause(scriptedNS); err != nil {
		t.Fatal(err)
	}
	if !s.passOver(scriptedNS, tick(9)) || s.passOver(flow.Namespace{DB: "a", Coll: "other"}, tick(9)) {
		t.Fatal("what is passed over")
	}
	s.Resume(scriptedNS)
	if s.passOver(scriptedNS, tick(10)) {
		t.Error("passed over after the pause")
	}
	if at, _, _ := s.copies.lease(s.copies.find(scriptedNS)); at != tick(9) {
		t.Errorf("the copy reads at %v", at)
	}
}

// A resync takes the place of a copy under way, and begins when what that one
// handed out is settled.
func TestS13ResyncBeginsAfterTheOldCopy(t *testing.T) {
	s := bareSource(t, Options{})
	if err := s.Resync(scriptedNS); flow.ClassOf(err) != flow.Config {
		t.Error("a namespace that nobody follows:", err)
	}
	s.bound[scriptedNS] = "u"
	if err := s.Resync(scriptedNS); err != nil {
		t.Fatal(err)
	}
	old := s.copies.nextControl()
	_, ack := s.copies.control(old)
	if err := s.Resync(scriptedNS); err != nil || !old.dead {
		t.Fatal(err)
	}
	if c := s.copies.nextControl(); c != nil {
		t.Error("two copies of a namespace at one time")
	}
	if err := ack(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if c := s.copies.nextControl(); c == nil || c == old || !c.ghosts {
		t.Errorf("%+v", c)
	}
	s.sel.copied.none = true
	if err := s.Resync(scriptedNS); flow.ClassOf(err) != flow.Config {
		t.Error("a flow that copies nothing:", err)
	}
}
