package mongo

import (
	"context"
	"errors"
	"strings"
	"testing"

	"sluice/internal/flow"
	"sluice/internal/testkit/scriptmongo"
)

func parted(t *testing.T, o Options) selection {
	t.Helper()
	s, err := newSelection(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What is copied and whose changes count are parts of what is followed, each of
// its own.
func TestChoiceOfCopiesAndChanges(t *testing.T) {
	f := func(o Options, ns string, copies, streams bool) {
		t.Helper()
		if o.Namespaces == nil {
			o.Namespaces = []string{"a.*", "b.x"}
		}
		s, n := parted(t, o), mustNS(ns)
		if s.copies(n) != copies || s.streams(n) != streams {
			t.Errorf("%s: copied %v, followed %v", ns, s.copies(n), s.streams(n))
		}
	}
	f(Options{}, "a.x", true, true)
	f(Options{}, "c.x", false, false)
	in := Options{Snapshot: SnapshotOptions{Include: []string{"a.x", "/^b/"}, Exclude: []string{"b.*"}}}
	f(in, "a.x", true, true)
	f(in, "a.y", false, true)
	f(in, "b.x", false, true)
	f(Options{Snapshot: SnapshotOptions{Include: []string{"/./"}}}, "c.x", false, false)
	out := Options{Stream: StreamOptions{Include: []string{"/x$/", "a.y"}, Exclude: []string{"a.x"}}}
	f(out, "a.x", true, false)
	f(out, "a.y", true, true)
	f(out, "a.z", true, false)
	f(out, "b.x", true, true)
	f(Options{Stream: StreamOptions{Disabled: true}}, "a.x", true, false)
	f(Options{Snapshot: SnapshotOptions{Disabled: true, Include: []string{"a.x"}}}, "a.x", false, true)
	f(Options{Namespaces: []string{"/./"}, Reserved: []string{"monstache"}}, "monstache.tokens", false, false)
	f(Options{Namespaces: []string{"/./"}}, "monstache.tokens", true, true)
}

// The pieces of GridFS are followed by their own name alone.
func TestChunksOfFilesByNameOnly(t *testing.T) {
	f := func(want bool, namespaces ...string) {
		t.Helper()
		if got := parted(t, Options{Namespaces: namespaces}).follows(mustNS("a.fs.chunks")); got != want {
			t.Errorf("%v follow a.fs.chunks: %v", namespaces, got)
		}
	}
	f(false, "a.*")
	f(false, "/./")
	f(true, "a.fs.chunks")
	f(true, "a.*", "a.fs.chunks")
}

func mustNS(s string) flow.Namespace {
	ns, _ := flow.ParseNamespace(s)
	return ns
}

// The stream is as narrow as what it is for, however much is copied.
func TestScopeIsThatOfTheChanges(t *testing.T) {
	f := func(want level, db, coll string, o Options) {
		t.Helper()
		if sc := parted(t, o).scope(true); sc.level != want || sc.db != db || sc.coll != coll {
			t.Errorf("%+v: %+v", o, sc)
		}
	}
	both := []string{"a.x", "b.y"}
	f(levelDeployment, "", "", Options{Namespaces: both})
	f(levelCollection, "a", "x", Options{Namespaces: both, Stream: StreamOptions{Include: []string{"a.x"}}})
	f(levelCollection, "a", "x", Options{Namespaces: both, Stream: StreamOptions{Exclude: []string{"/^b/"}}})
	f(levelCollection, "a", "x", Options{Namespaces: []string{"a.*", "b.y"}, Stream: StreamOptions{Include: []string{"a.x"}}})
	f(levelDatabase, "a", "", Options{Namespaces: []string{"a.*", "b.y"}, Stream: StreamOptions{Exclude: []string{"b.y"}}})
	f(levelDeployment, "", "", Options{Namespaces: both, Stream: StreamOptions{Include: []string{"/^a/"}, Exclude: []string{"a.z"}}, Related: []Relation{{When: mustNS("c.z"), Rewrite: mustNS("a.x"), Field: "f"}}})
}

func TestNothingLeftToFollow(t *testing.T) {
	o := Options{Namespaces: []string{"a.x"}, Stream: StreamOptions{Exclude: []string{"a.*"}}}
	if _, err := newSelection(o); flow.ClassOf(err) != flow.Config || !strings.Contains(err.Error(), "no namespace is left") {
		t.Errorf("%v", err)
	}
	o.Stream.Disabled = true
	parted(t, o)
}

// What happens to a namespace whose changes do not count leads to nothing.
func TestChangesThatDoNotCount(t *testing.T) {
	s := bareSource(t, Options{Stream: StreamOptions{Include: []string{"a.other"}}})
	s.stream.know(scriptedNS, uuidText(uuid(1)))
	drop := scriptmongo.Drop("a.c", tick(6))
	drop.UUID = uuid(1)
	for _, it := range sortEvents(t, s, scriptmongo.Insert("a.c", tick(5), withID(1)), drop) {
		if len(it.batch.Changes) > 0 || it.batch.Control != nil {
			t.Errorf("%+v", it.batch)
		}
	}
	items := sortEvents(t, s, scriptmongo.Insert("a.other", tick(7), withID(1)))
	if last := items[len(items)-1]; len(last.batch.Changes) != 1 {
		t.Errorf("%+v", items)
	}
}

// planned is what Start plans for a.c from a position that has this of it.
func planned(t *testing.T, o Options, st nsState) *nsCopy {
	t.Helper()
	srv := newScripted(t, withID(1))
	s := openScripted(t, srv, o)
	p := position{Format: positionFormat, Stream: streamMark{Time: timestamp(tick(1)), Fingerprint: s.fingerprint()}}
	st.UUID = uuidText(srv.UUID("a.c"))
	p.Namespaces = map[string]nsState{"a.c": st}
	if err := s.Start(t.Context(), p.encode(), nil); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.copies.find(scriptedNS)
}

// What was not followed for a while is copied again when it is.
func TestMissedChangesAreCopied(t *testing.T) {
	if c := planned(t, Options{}, nsState{}); c != nil {
		t.Errorf("copied without need: %+v", c)
	}
	if c := planned(t, Options{}, nsState{Still: true}); c == nil || !c.ghosts {
		t.Errorf("not copied: %+v", c)
	}
	if c := planned(t, Options{Stream: StreamOptions{Disabled: true}}, nsState{Still: true}); c != nil {
		t.Errorf("copied although its changes still do not count: %+v", c)
	}
}

// With repeat a start copies again, and takes nothing out; a copy under way goes on.
func TestRepeatCopiesAtEachStart(t *testing.T) {
	repeat := Options{Snapshot: SnapshotOptions{Repeat: true}}
	if c := planned(t, repeat, nsState{}); c == nil || c.ghosts {
		t.Errorf("%+v", c)
	}
	end := rawID(t, 1)
	under := nsState{Copy: &copyState{Begun: true, Settled: 7, Next: valueOf(&end), End: valueOf(&end)}}
	if c := planned(t, repeat, under); c == nil || c.settled != 7 {
		t.Errorf("%+v", c)
	}
}

// A given start is kept as a position only once it has proven to be one.
func TestGivenStartIsNoPositionYet(t *testing.T) {
	srv := newScripted(t, withID(1))
	s := openScripted(t, srv, Options{Snapshot: SnapshotOptions{Repeat: true}})
	before := len(srv.Opens())
	if err := s.Start(t.Context(), PositionAt(tick(3), []flow.Namespace{scriptedNS}), nil); err != nil {
		t.Fatal(err)
	}
	if o := srv.Opens()[before]; o.StartAt != tick(3) || s.Position() != "" {
		t.Errorf("opened at %v; position %s", o.StartAt, s.Position())
	}
	s.mu.Lock()
	if c := s.copies.find(scriptedNS); c != nil {
		t.Errorf("it is copied: %+v", c)
	}
	s.mu.Unlock()
	// Whatever generation of the collection the stream speaks of, its drop counts.
	drop := scriptmongo.Drop("a.c", tick(5))
	drop.UUID = uuid(77)
	srv.Stream(scriptmongo.Reply{Events: []scriptmongo.Event{drop}})
	b, _, err := readOne(t, s.Stream())
	if err != nil || b.Control == nil || b.Control.Kind != flow.ControlDropped {
		t.Fatalf("%+v %v", b, err)
	}
	if p, err := parsePosition(s.Position()); err != nil || p == nil || p.Given {
		t.Errorf("%+v %v", p, err)
	}
}

// A start that the oplog no longer holds follows the policy, and where something
// is followed that is not copied, nothing mends it.
func TestS6GivenStartThatIsGone(t *testing.T) {
	f := func(want string, o Options) {
		t.Helper()
		srv := newScripted(t, withID(1))
		s := openScripted(t, srv, o)
		srv.Stream(scriptmongo.Reply{Err: scriptmongo.Fault(286)})
		if err := s.Start(t.Context(), PositionAt(tick(1), []flow.Namespace{scriptedNS}), nil); err != nil {
			t.Fatal(err)
		}
		_, _, err := readOne(t, s.Stream())
		if want == "" && err != nil && flow.ClassOf(err) == flow.Lost || want != "" && (flow.ClassOf(err) != flow.Lost || !strings.Contains(err.Error()+hintOf(err), want)) {
			t.Errorf("%v\n%s", err, hintOf(err))
		}
		if s.Position() != "" {
			t.Errorf("it is kept: %s", s.Position())
		}
	}
	f("where the stream was to start", Options{HistoryLost: HistoryLostStop})
	f("enable snapshot", Options{Snapshot: SnapshotOptions{Disabled: true}})
	f("a.c is followed without being copied", Options{Snapshot: SnapshotOptions{Exclude: []string{"a.c"}}})
}

func hintOf(err error) string {
	var e *flow.Error
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}

// Without a stream every time counts as passed, and with Once the copies end it.
func TestIdleStream(t *testing.T) {
	srv := newScripted(t, withID(1), withID(2))
	s := openScripted(t, srv, Options{Once: true, Stream: StreamOptions{Disabled: true}})
	before := len(srv.Opens())
	if err := s.Start(t.Context(), "", nil); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, _, err := s.Stream().Read(context.Background())
		done <- err
	}()
	for ended := false; !ended; {
		b, ack, err := readOne(t, s.Snapshot())
		if err != nil {
			t.Fatal(err)
		}
		if err := ack(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		ended = b.Control != nil && b.Control.Kind == flow.ControlSnapshotDone
	}
	if err := <-done; err == nil || err.Error() != "EOF" {
		t.Errorf("the stream ends with %v", err)
	}
	if n := len(srv.Opens()) - before; n != 0 {
		t.Errorf("%d streams were opened", n)
	}
	p, err := parsePosition(s.Position())
	if err != nil || p.Stream.Fingerprint != idle || !p.Namespaces["a.c"].Still {
		t.Errorf("%s %v", s.Position(), err)
	}
}
