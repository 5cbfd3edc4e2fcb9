//go:build integration

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/pipeline"
	"sluice/internal/testkit"
)

// copied is nil when every snapshot is done.
func (p *process) copied(ctx context.Context) error {
	st, err := p.status(ctx)
	if err != nil {
		return err
	}
	if !st.Copied() {
		return fmt.Errorf("the snapshot is not done: %s", st.Text())
	}
	return nil
}

// atLeast is nil when the snapshot has settled n documents.
func (p *process) atLeast(ctx context.Context, n int64) error {
	st, err := p.status(ctx)
	if err != nil {
		return err
	}
	if have := st.SnapshotSettled(); have < n {
		return fmt.Errorf("%d documents settled, want %d", have, n)
	}
	return nil
}

// blocked is nil when the pump waits for the search server.
func (p *process) blocked(ctx context.Context) error {
	st, err := p.status(ctx)
	if err != nil {
		return err
	}
	for _, f := range st.Flows {
		if f.Pump.State != pipeline.BlockedSink {
			return fmt.Errorf("the pump is %s", f.Pump.State)
		}
	}
	return nil
}

// TestOnce: --once copies, ends by itself with 0, and both sides are equal.
func TestOnce(t *testing.T) {
	b := newBed(t)
	seedDocs(t, b.db.Collection("orders"), 12_000)
	p := start(t, append(b.args("orders"), "--once")...)
	if code := p.wait(t, 2*time.Minute); code != 0 {
		t.Fatalf("exit code %d\n%s", code, p.output())
	}
	if err := equal(t.Context(), b.db.Collection("orders"), b.search, b.index("orders")); err != nil {
		t.Fatal(err)
	}
}

// TestS12IndexDeletedByHand: the index is deleted and sluice started again:
// everything is copied again.
func TestS12IndexDeletedByHand(t *testing.T) {
	b := newBed(t)
	coll := b.db.Collection("orders")
	seedDocs(t, coll, 5000)
	p := start(t, b.args("orders")...)
	p.eventually(t, time.Minute, func() error { return p.copied(t.Context()) })
	if code := p.stop(t); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if err := call(t.Context(), http.MethodDelete, b.search+"/"+b.index("orders")+"-000001", "", nil); err != nil {
		t.Fatal(err)
	}
	q := start(t, b.args("orders")...)
	q.eventually(t, time.Minute, func() error { return equal(t.Context(), coll, b.search, b.index("orders")) })
}

// TestNamespaceAdded: a namespace added to the configuration gets its
// snapshot; the position of the others goes on, nothing is copied again.
func TestNamespaceAdded(t *testing.T) {
	b := newBed(t)
	orders, users := b.db.Collection("orders"), b.db.Collection("users")
	seedDocs(t, orders, 5000)
	seedDocs(t, users, 300)
	p := start(t, b.args("orders")...)
	p.eventually(t, time.Minute, func() error { return p.copied(t.Context()) })
	p.stop(t)
	if _, err := orders.UpdateByID(t.Context(), 1, bson.D{{Key: "$set", Value: bson.D{{Key: "while", Value: "down"}}}}); err != nil {
		t.Fatal(err)
	}
	q := start(t, b.args("orders", "users")...)
	q.eventually(t, time.Minute, func() error { return q.copied(t.Context()) })
	wantEqual(t, orders, b.search, b.index("orders"), time.Minute)
	wantEqual(t, users, b.search, b.index("users"), time.Minute)
	st, err := q.status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if read := st.SnapshotRead(); read > 300 {
		t.Fatalf("%d documents were read for the snapshot, want the 300 of the added namespace", read)
	}
}

// TestS9SearchOutage: the search server goes away in the middle and comes back;
// nothing is lost and memory does not grow.
func TestS9SearchOutage(t *testing.T) {
	m := testkit.SharedMongo(t)
	s, err := testkit.StartSearch(t.Context(), testkit.SearchOptions{Own: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	b := bed{uri: m.URI(), search: s.URL(), db: connect(t, m.URI()).Database(testkit.UniqueName(t)), state: t.TempDir()}
	coll := b.db.Collection("orders")
	seedDocs(t, coll, 20_000)
	w := startWriter(t, coll, 20_000, 2, 7)
	p := start(t, append(b.args("orders"), "--snapshot-rate", "5000")...)
	p.eventually(t, time.Minute, func() error { return p.atLeast(t.Context(), 8000) })
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	// The queues fill up to their budget first; what counts is growth after that.
	p.eventually(t, time.Minute, func() error { return p.blocked(t.Context()) })
	pause(t.Context(), 3*time.Second)
	before := p.rss(t)
	pause(t.Context(), time.Duration(rounds(15, 600))*time.Second)
	after := p.rss(t)
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	p.eventually(t, 3*time.Minute, func() error { return p.copied(t.Context()) })
	w.Stop(t)
	wantEqual(t, coll, b.search, b.index("orders"), 2*time.Minute)
	t.Logf("RSS %d KiB at the start, %d KiB at the end of the outage", before, after)
	if after > before+before/10 {
		t.Fatalf("RSS grew from %d KiB to %d KiB during the outage", before, after)
	}
}

// TestHistoryLost: while sluice is down the oplog rolls over: that is seen,
// everything is copied again, and what was deleted meanwhile is gone.
func TestHistoryLost(t *testing.T) {
	m, err := testkit.StartMongo(t.Context(), testkit.MongoOptions{OplogMB: 4, SyncDelay: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Stop() })
	b := bed{uri: m.URI(), search: testkit.SharedSearch(t).URL(), db: connect(t, m.URI()).Database(testkit.UniqueName(t)), state: t.TempDir()}
	coll, filler := b.db.Collection("orders"), b.db.Collection("filler")
	seedDocs(t, coll, 3000)
	p := start(t, b.args("orders")...)
	p.eventually(t, time.Minute, func() error { return p.copied(t.Context()) })
	p.stop(t)
	if _, err := coll.DeleteMany(t.Context(), bson.D{{Key: "_id", Value: bson.D{{Key: "$lt", Value: 500}}}}); err != nil {
		t.Fatal(err)
	}
	rollOver(t, filler)
	q := start(t, b.args("orders")...)
	q.eventually(t, 2*time.Minute, func() error { return equal(t.Context(), coll, b.search, b.index("orders")) })
}
