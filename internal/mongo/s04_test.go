package mongo

import (
	"fmt"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/testkit/scriptmongo"
)

func rawID(t *testing.T, id any) bson.RawValue {
	t.Helper()
	typ, b, err := bson.MarshalValue(id)
	if err != nil {
		t.Fatal(err)
	}
	return bson.RawValue{Type: typ, Value: b}
}

// What a snapshot read at L says is older than any event of L.
func TestS4StampIsJustBelowL(t *testing.T) {
	raw, err := bson.Marshal(bson.D{{Key: "cursor", Value: bson.D{{Key: "id", Value: int64(0)}, {Key: "firstBatch", Value: bson.A{withID(1), withID(2)}}}}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := parseReply(raw)
	if err != nil {
		t.Fatal(err)
	}
	b, n, err := documents(&r, scriptedNS, tick(7), nil)
	if err != nil || n != 2 || len(b.Changes) != 2 {
		t.Fatal(b, n, err)
	}
	below, _ := flow.VersionOf(tick(7))
	if c := b.Changes[0]; c.Version != below-1 || b.Low != tick(7) {
		t.Errorf("version %d at %v, the events of that time have %d", c.Version, b.Low, below)
	}
}

// Every document is read once, whatever its _id: the first and the last key
// that there can be, and those at the borders of chunks and replies.
func TestS4ChunksCoverEveryKey(t *testing.T) {
	docs := []any{withID(bson.MinKey{}), withID(nil), withID(bson.MaxKey{})}
	for i := range 1200 {
		docs = append(docs, withID(i), withID(fmt.Sprintf("s%04d", i)))
	}
	srv := newScripted(t, docs...)
	s := openScripted(t, srv, Options{Snapshot: SnapshotOptions{Parallel: 1, ChunkBytes: 1, BatchBytes: 5000}})
	if err := s.Start(t.Context(), "", nil); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	batches := 0
	for total := 0; total < len(docs); batches++ {
		b, ack := nextChanges(t, s.Snapshot())
		for _, c := range b.Changes {
			total++
			k := string(appendKey(nil, c.ID.Type, c.ID.Value))
			if seen[k] {
				t.Fatalf("%v came twice", c.ID)
			}
			seen[k] = true
		}
		if err := ack(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	if batches < 10 {
		t.Errorf("%d batches have few borders", batches)
	}
}

// A chunk is final when it is settled and the stream has passed its last read.
func TestS4FinalWhenTheStreamHasPassed(t *testing.T) {
	f := func(stage stage, passed uint32, want int) {
		t.Helper()
		c := &nsCopy{chunks: []*chunk{{stage: stage, pass: tick(5)}}}
		c.sweep(tick(passed))
		if len(c.chunks) != want {
			t.Errorf("stage %d, passed %d: %d chunks are left", stage, passed, len(c.chunks))
		}
	}
	f(stageSettled, 5, 0)
	f(stageSettled, 6, 0)
	f(stageSettled, 4, 1)
	f(stageRead, 9, 1)
	f(stageReady, 9, 1)
}

// A restart goes on after what was settled, not after what was read.
func TestS4StateIsTheSettledPrefix(t *testing.T) {
	ids := make([]bson.RawValue, 4)
	for i := range ids {
		ids[i] = rawID(t, i)
	}
	ch := &chunk{stage: stageReading, max: &ids[3]}
	c := &nsCopy{begun: true, end: &ids[3], chunks: []*chunk{ch}}
	ch.at = &ids[2]
	first, second := ch.last.Add(&ids[1]), ch.last.Add(&ids[2])
	f := func(want value) {
		t.Helper()
		if got := c.state().Chunks[0].Last; string(got) != string(want) {
			t.Errorf("it goes on after %v, want %v", got, want)
		}
	}
	f(nil)
	second()
	f(nil)
	first()
	f(valueOf(&ids[2]))
}

// L is not before what the stream has delivered, or a copy could bring back
// what an event of then has settled.
func TestS4ReadsAtTheTimeOfTheStream(t *testing.T) {
	f := func(clock, event, want uint32) {
		t.Helper()
		s := &Source{clock: tick(clock), eventTime: tick(event)}
		s.copies = newCopies(s)
		if at, l, _ := s.copies.lease(&nsCopy{}); at != tick(want) || l.low != at {
			t.Errorf("clock %d, stream %d: a read at %v", clock, event, at)
		}
	}
	f(5, 3, 5)
	f(3, 5, 5)
}

// A mark that did not move proves nothing: the first one may lie in the future.
func TestS4PassedTime(t *testing.T) {
	f := func(sharded bool, at, end mark, got bool, want uint32) {
		t.Helper()
		s := &Source{caps: capabilities{sharded: sharded}}
		st := newStream(s)
		st.at = at
		if p := st.passed(end, got); p != tick(want) {
			t.Errorf("passed %v, want %d", p, want)
		}
	}
	at := mark{time: tick(5), high: true, passed: tick(4)}
	f(false, at, mark{time: tick(5), high: true}, false, 4)
	f(false, at, mark{time: tick(7), high: true}, false, 7)
	f(false, at, mark{time: tick(7)}, true, 6)
	f(false, at, mark{time: tick(7)}, false, 7)
	f(true, at, mark{time: tick(7), high: true}, false, 6)
}

// An idle stream lets a copy end once its marks have passed the last read.
func TestS4DoneWhenPassed(t *testing.T) {
	srv := newScripted(t, withID(1))
	s := openScripted(t, srv, Options{})
	if err := s.Start(t.Context(), "", nil); err != nil {
		t.Fatal(err)
	}
	follower(t, s)
	copyAll(t, srv, s)
}

// follower acks all that the stream brings until the test ends.
func follower(t *testing.T, s *Source) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			_, ack, err := s.Stream().Read(t.Context())
			if err != nil {
				return
			}
			_ = ack(t.Context(), nil)
		}
	}()
	t.Cleanup(func() { <-ended })
}

// copyAll reads the copy of a.c, lets the stream pass it, and returns what
// ends it.
func copyAll(t *testing.T, srv *scriptmongo.Server, s *Source) flow.Control {
	t.Helper()
	for {
		b, ack, err := readOne(t, s.Snapshot())
		if err != nil {
			t.Fatal(err)
		}
		if err := ack(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		switch {
		case b.Control == nil:
			srv.Stream(scriptmongo.Reply{HighWater: bson.Timestamp{T: srv.Clock().T + 10}})
		case b.Control.Kind == flow.ControlSnapshotDone:
			return *b.Control
		}
	}
}

// A chunk of which a batch was given up is not settled, though all is read.
func TestS4GivenUpIsReadAgain(t *testing.T) {
	f := func(failed bool, want stage) {
		t.Helper()
		ch := &chunk{stage: stageRead, failed: failed}
		c := &nsCopy{chunks: []*chunk{ch}}
		c.settleIfDone(ch)
		if ch.stage != want {
			t.Errorf("failed %v: stage %d, want %d", failed, ch.stage, want)
		}
	}
	f(false, stageSettled)
	f(true, stageRead)
}
