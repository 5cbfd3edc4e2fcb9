package mongo

import (
	"context"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/testkit/scriptmongo"
)

// tick is a time of the scripted server's first second.
func tick(i uint32) bson.Timestamp { return bson.Timestamp{T: 1767225601, I: i} }

func withID(id any) bson.D { return bson.D{{Key: "_id", Value: id}} }

var scriptedNS = flow.Namespace{DB: "a", Coll: "c"}

// newScripted starts a server that plays scripts, with these documents in a.c.
func newScripted(t *testing.T, docs ...any) *scriptmongo.Server {
	t.Helper()
	srv := scriptmongo.New(t, scriptmongo.Options{})
	srv.Handle("buildInfo", func(scriptmongo.Command) (bson.D, error) {
		return bson.D{{Key: "version", Value: "6.0.5"}, {Key: "versionArray", Value: bson.A{6, 0, 5, 0}}}, nil
	})
	return srv.Collection("a.c", docs...)
}

// openScripted opens a source of a.c that is closed with the test.
func openScripted(t *testing.T, srv *scriptmongo.Server, o Options) *Source {
	t.Helper()
	o.URI, o.Namespaces = srv.URI(), append([]string{"a.c"}, o.Namespaces...)
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// follow opens and starts a source that copies nothing.
func follow(t *testing.T, srv *scriptmongo.Server, pos flow.Position) *Source {
	t.Helper()
	s := openScripted(t, srv, Options{Snapshot: SnapshotOptions{Disabled: true}})
	if err := s.Start(t.Context(), pos, nil); err != nil {
		t.Fatal(err)
	}
	return s
}

// readOne reads from src; only a test that fails waits for long.
func readOne(t *testing.T, src flow.Source) (flow.Batch, flow.Ack, error) {
	t.Helper()
	ctx, done := context.WithTimeout(t.Context(), 10*time.Second)
	defer done()
	return src.Read(ctx)
}

// nextChanges reads the next batch with changes and acks the controls before it.
func nextChanges(t *testing.T, src flow.Source) (flow.Batch, flow.Ack) {
	t.Helper()
	for {
		b, ack, err := readOne(t, src)
		if err != nil {
			t.Fatal(err)
		}
		if b.Control == nil {
			return b, ack
		}
		if err := ack(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
}

// All changes of a transaction share a version, so they have to be in one
// batch, however the server cuts them into replies.
func TestS1TransactionIsHeldTogether(t *testing.T) {
	srv := newScripted(t)
	s := follow(t, srv, "")
	txn := scriptmongo.Transaction(tick(5), 3,
		scriptmongo.Insert("a.c", tick(0), withID(1)), scriptmongo.Delete("a.c", tick(0), 1), scriptmongo.Insert("a.c", tick(0), withID(1)))
	srv.Stream(
		scriptmongo.Reply{Events: append([]scriptmongo.Event{scriptmongo.Insert("a.c", tick(3), withID(0))}, txn[:2]...)},
		scriptmongo.Reply{Events: txn[2:], HighWater: tick(9)},
	)
	b, ack := nextChanges(t, s.Stream())
	if len(b.Changes) != 1 || b.Changes[0].Time != tick(3) {
		t.Fatalf("before the transaction: %v", b.Changes)
	}
	if err := ack(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if p, err := parsePosition(s.Position()); err != nil || bson.Timestamp(p.Stream.Time) != tick(3) {
		t.Fatalf("the position is past what is held: %+v %v", p, err)
	}
	if b, _ = nextChanges(t, s.Stream()); len(b.Changes) != 3 {
		t.Fatalf("%d changes of the transaction's 3 in one batch", len(b.Changes))
	}
	want, _ := flow.VersionOf(tick(5))
	for i, op := range []flow.Op{flow.OpWrite, flow.OpDelete, flow.OpWrite} {
		if c := b.Changes[i]; c.Op != op || c.Version != want || !c.Txn {
			t.Errorf("%d: %+v", i, c)
		}
	}
}

// A reply that ends at an event's own token says nothing about more of its
// time; one whose token lies beyond it does.
func TestS1OpenTail(t *testing.T) {
	f := func(want int, end bson.Timestamp, events ...event) {
		t.Helper()
		if got := openTail(events, end); got != want {
			t.Errorf("%d events are held, want %d", got, want)
		}
	}
	one, txn := event{time: tick(4)}, event{time: tick(5), txn: true}
	f(0, tick(5))
	f(0, tick(4), one)
	f(1, tick(5), one, txn)
	f(2, tick(5), one, txn, txn)
	f(0, tick(6), one, txn, txn)
	f(0, tick(6), txn, event{time: tick(6)})
	// it began as a transaction: what follows at its time may be more of it
	f(2, tick(5), one, txn, event{time: tick(5)})
}
