package mongo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/testkit/scriptmongo"
)

// sec is a time so many seconds after the scripted server's.
func sec(n uint32) bson.Timestamp { return bson.Timestamp{T: tick(0).T + n, I: 1} }

// late is a source that knows of an oplog and is somewhere in it.
func late(t *testing.T, least float64, full bool, first, passed, clock uint32) *Source {
	t.Helper()
	s := &Source{clock: sec(clock), oplogFirst: sec(first), oplogFull: full, changed: make(chan struct{})}
	s.opts, _ = Options{Namespaces: []string{"a.c"}, Snapshot: SnapshotOptions{MinHeadRoom: least}}.withDefaults()
	s.log = s.opts.Logger
	s.stream = newStream(s)
	s.stream.add(mark{passed: sec(passed)})()
	s.copies = newCopies(s)
	s.copies.order = []*nsCopy{{phase: phaseCopying}}
	return s
}

// The stream goes first while it is too near to the end of a full oplog, and
// until it has caught up.
func TestS4StreamGoesFirstWhenTheOplogIsShort(t *testing.T) {
	f := func(least float64, full bool, yielding bool, first, passed, clock uint32, want bool) {
		t.Helper()
		s := late(t, least, full, first, passed, clock)
		if yielding {
			s.copies.yielding = "so it was"
		}
		s.copies.alternate()
		if got := s.copies.yielding != ""; got != want {
			t.Errorf("least %v, full %v, oplog %d..%d, settled %d: yields %v (%s)", least, full, first, clock, passed, got, s.copies.yielding)
		}
		if want && s.copies.waiting() != s.copies.yielding {
			t.Errorf("what is shown is %q", s.copies.waiting())
		}
	}
	f(0.25, true, false, 0, 26, 100, false)
	f(0.25, true, false, 0, 24, 100, true)
	f(0.25, true, false, 0, 74, 100, false)
	f(0.75, true, false, 0, 74, 100, true)
	f(0, true, false, 0, 1, 100, false)     // not asked for
	f(0.25, false, false, 0, 1, 100, false) // young, not short
	f(0.9, true, false, 90, 96, 100, false) // never for some seconds
	f(0.25, true, true, 0, 26, 100, true)   // not yet caught up
	f(0.25, true, true, 0, 80, 100, true)   // a quarter of what it may be
	f(0.25, true, true, 0, 82, 100, false)
	f(0.25, true, true, 0, 100, 100, false)
	s := late(t, 0.25, true, 0, 1, 100)
	s.copies.order = nil
	if s.copies.alternate(); s.copies.yielding != "" {
		t.Error("nobody copies, and yields")
	}
}

// nothingIsReadFor fails if the copy reads within d.
func nothingIsReadFor(t *testing.T, srv *scriptmongo.Server, d time.Duration) {
	t.Helper()
	from := len(copyReads(srv))
	timer := time.NewTimer(d)
	<-timer.C
	if n := len(copyReads(srv)); n != from {
		t.Fatalf("%d reads of the copy while it waits", n-from)
	}
}

// copyReads are the finds of the copy for documents.
func copyReads(srv *scriptmongo.Server) (all []scriptmongo.Command) {
	for _, c := range srv.Commands("find") {
		if name, _ := c.Doc.Lookup("find").StringValueOK(); name == "c" && c.Doc.Lookup("skip").Type == 0 && c.Doc.Lookup("projection").Type == 0 {
			all = append(all, c)
		}
	}
	return all
}

// Without the oplog's room nothing of the copy is read and no lease is held;
// when the stream has passed, it goes on by itself.
func TestS4CopyWaitsForTheStream(t *testing.T) {
	srv := newScripted(t, withID(1))
	srv.Collection("local.oplog.rs", bson.D{{Key: "_id", Value: 1}, {Key: "ts", Value: sec(0)}})
	srv.Handle("collStats", func(c scriptmongo.Command) (bson.D, error) {
		if name, _ := c.Doc.Lookup("collStats").StringValueOK(); name != "oplog.rs" {
			return nil, nil
		}
		return bson.D{{Key: "size", Value: 90}, {Key: "maxSize", Value: int64(100)}}, nil
	})
	s := openScripted(t, srv, Options{Snapshot: SnapshotOptions{MinHeadRoom: 0.5}})
	if err := s.Start(t.Context(), "", nil); err != nil {
		t.Fatal(err)
	}
	srv.Stream(scriptmongo.Reply{Events: []scriptmongo.Event{scriptmongo.Insert("a.c", sec(1), withID(2))}})
	if _, ack := nextChanges(t, s.Stream()); ack(t.Context(), nil) != nil {
		t.Fatal("the ack fails")
	}
	srv.Advance(sec(1000))
	waitFor(t, func() bool { return s.yields() != "" })
	b, ack, err := readOne(t, s.Snapshot())
	if err != nil || b.Control == nil {
		t.Fatal(b, err)
	}
	if err := ack(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	nothingIsReadFor(t, srv, 300*time.Millisecond)
	if _, open := s.OldestOpen(); open {
		t.Error("a lease is held by who waits")
	}
	if why := s.Progress().Waiting; !strings.Contains(why, "the stream goes first: it is 16m") {
		t.Errorf("the reason is %q", why)
	}
	follower(t, s)
	srv.Stream(scriptmongo.Reply{HighWater: sec(1001)})
	if b, ack := nextChanges(t, s.Snapshot()); len(b.Changes) != 1 || ack(t.Context(), nil) != nil {
		t.Fatal(b)
	}
	if why := s.Progress().Waiting; why != "" {
		t.Errorf("still %q", why)
	}
}

func (s *Source) yields() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.copies.yielding
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("it does not happen")
		}
	}
}

// gatePacer is a pacer that lets pass what it is told to.
type gatePacer struct {
	open  chan struct{}
	docs  chan int
	cause string
}

func (p gatePacer) Reason() string { return p.cause }

func (p gatePacer) Wait(ctx context.Context, docs int, _ int64) error {
	select {
	case p.docs <- docs:
	default:
	}
	select {
	case <-p.open:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// told is of how many documents it was told by the next call.
func (p gatePacer) told(t *testing.T) int {
	t.Helper()
	select {
	case n := <-p.docs:
		return n
	case <-time.After(5 * time.Second):
		t.Fatal("the pacer is not asked")
		return 0
	}
}

// A pacer is asked before each read, told of what was read, and its reason shown.
func TestS9CopyWaitsForThePacer(t *testing.T) {
	srv := newScripted(t, withID(1), withID(2), withID(3))
	p := gatePacer{open: make(chan struct{}), docs: make(chan int, 10), cause: "replication lag is 12s, more than 10s"}
	s := openScripted(t, srv, Options{Snapshot: SnapshotOptions{Pacer: p, BatchBytes: 1, Parallel: 1}})
	if err := s.Start(t.Context(), "", nil); err != nil {
		t.Fatal(err)
	}
	_, ack, err := readOne(t, s.Snapshot())
	if err != nil || ack(t.Context(), nil) != nil {
		t.Fatal(err)
	}
	if n := p.told(t); n != 0 {
		t.Errorf("told of %d documents before any", n)
	}
	nothingIsReadFor(t, srv, 100*time.Millisecond)
	if _, open := s.OldestOpen(); open {
		t.Error("a lease is held by who waits")
	}
	if why := s.Progress().Waiting; why != p.cause {
		t.Errorf("the reason is %q", why)
	}
	sum := 0
	for range 2 { // it asks for the next one when it has handed this one out
		p.open <- struct{}{}
		b, ack := nextChanges(t, s.Snapshot())
		if err := ack(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		n := p.told(t)
		if sum += n; n != len(b.Changes) {
			t.Errorf("told of %d documents, read %d", n, len(b.Changes))
		}
	}
	if sum != 2 {
		t.Errorf("told of %d documents", sum)
	}
	close(p.open)
}

// Killed at any moment, a copy repeats at most one chunk for each reader,
// however seldom its position is saved.
func TestS4KillRepeatsAtMostAChunkForEachReader(t *testing.T) {
	const docs, size, readers, page = 20_000, 200, 2, 100
	const docBytes = size - 40 + 5 + 9 + 10 // the text, and BSON around it
	all := make([]any, docs)
	for i := range all {
		all[i] = bson.D{{Key: "_id", Value: i}, {Key: "pad", Value: strings.Repeat("x", size-40)}}
	}
	srv := newScripted(t, all...)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	o := Options{Snapshot: SnapshotOptions{Parallel: readers, ChunkBytes: minChunkDocs * size, BatchBytes: page * size, AwaitSave: true}}
	read, pos := map[string]int{}, flow.Position("")
	for life := 0; ; life++ {
		s := openScripted(t, srv, o)
		if err := s.Start(t.Context(), pos, nil); err != nil {
			t.Fatal(err)
		}
		ctx, kill := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for {
				_, ack, err := s.Stream().Read(ctx)
				if err != nil {
					return
				}
				_ = ack(ctx, nil)
			}
		}()
		repeated, pages, done := 0, 1+r.IntN(30), false
		saving := make(chan struct{})
		go func() {
			defer close(saving)
			for {
				select {
				case <-s.Due():
				case <-ctx.Done():
					return
				}
				s.mu.Lock()
				late := s.copies.unsafe() // not a moment before it has to
				s.mu.Unlock()
				if !late {
					continue
				}
				var saved func()
				pos, saved = s.Checkpoint()
				saved()
			}
		}()
		for ; pages > 0 && !done; pages-- {
			b, ack, err := readOne(t, s.Snapshot())
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range b.Changes {
				k := string(appendKey(nil, c.ID.Type, c.ID.Value))
				if read[k]++; read[k] > 1 && life > 0 {
					repeated++
				}
			}
			if err := ack(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			if len(b.Changes) > 0 {
				srv.Stream(scriptmongo.Reply{HighWater: bson.Timestamp{T: srv.Clock().T + 1}})
			}
			done = b.Control != nil && b.Control.Kind == flow.ControlSnapshotDone
		}
		kill()
		<-ended
		<-saving
		// Documents are a little smaller than size, so more of them are in a chunk, and
		// a page is asked for by their mean size, which may bring some more.
		if most := readers * (minChunkDocs*size/docBytes + page/4); repeated > most {
			t.Fatalf("life %d: %d documents again, want at most %d", life, repeated, most)
		}
		for k := range read { // what this life repeated is no fault of the next one
			read[k] = 1
		}
		if done {
			t.Logf("%d lives", life+1)
			break
		}
	}
	if len(read) != docs {
		t.Errorf("%d documents were read, there are %d", len(read), docs)
	}
}

// Who is told that it is unsafe to go on waits until the position is saved.
func TestS4UnsavedCopyWaits(t *testing.T) {
	f := func(saver bool, inFlight, unsaved int64, want bool) {
		t.Helper()
		s := late(t, 0, false, 0, 0, 0)
		s.opts.Snapshot = SnapshotOptions{Parallel: 2, ChunkBytes: 1000, BatchBytes: 100, AwaitSave: saver}
		s.copies.inFlight, s.copies.unsaved = inFlight, unsaved
		if got := s.copies.unsafe(); got != want {
			t.Errorf("saver %v, %d in flight, %d unsaved: %v", saver, inFlight, unsaved, got)
		}
	}
	f(true, 1000, 800, false)
	f(true, 1001, 800, true)
	f(true, 0, 1801, true)
	f(false, 5000, 5000, false)
}

// The order of copies is that of the patterns, whatever comes when.
func TestS9PriorityOfNamespaces(t *testing.T) {
	s := late(t, 0, false, 0, 0, 0)
	var err error
	if s.sel, err = newSelection(Options{Namespaces: []string{"a.*", "b.*"}, Snapshot: SnapshotOptions{Priority: []string{"b.now", "/a\\..*1/"}}}); err != nil {
		t.Fatal(err)
	}
	s.ctx = t.Context()
	m := newCopies(s)
	s.copies = m
	names := func() string {
		var all []string
		for _, c := range m.order {
			all = append(all, c.ns.String())
		}
		return strings.Join(all, " ")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range []string{"a.a", "a.b1", "b.b", "a.c1", "b.now"} {
		ns, _ := flow.ParseNamespace(name)
		m.schedule(ns, false)
	}
	if got, want := names(), "b.now a.b1 a.c1 a.a b.b"; got != want {
		t.Errorf("the order is %s, want %s", got, want)
	}
	// One that an earlier run has begun goes before its like.
	begun := m.newCopy(flow.Namespace{DB: "a", Coll: "z"}, false)
	begun.begun = true
	m.enqueue(begun)
	if got, want := names(), "b.now a.b1 a.c1 a.z a.a b.b"; got != want {
		t.Errorf("the order is %s, want %s", got, want)
	}
	// Of as many as there are readers those behind don't hold up those before.
	for _, c := range m.order[1:] {
		c.phase = phaseCopying
	}
	if c := m.nextControl(); c == nil || c.ns.Coll != "now" {
		t.Errorf("%v begins next", c)
	}
	m.order[0].phase, m.order[1].phase = phaseCopying, phaseCopying
	m.order[4].phase = phaseWaiting
	if c := m.nextControl(); c != nil {
		t.Errorf("%v begins, though readers are busy before it", c.ns)
	}
	// A reader takes from the first that has something.
	for i, c := range m.order {
		c.chunks = []*chunk{{}}
		c.ns.Coll = fmt.Sprint(i)
	}
	s.mu.Unlock()
	for want := range 3 {
		c, _, _ := m.toRead()
		if c == nil || c.ns.Coll != fmt.Sprint(want) {
			t.Errorf("reader %d reads %v", want, c)
		}
	}
	s.mu.Lock()
}
