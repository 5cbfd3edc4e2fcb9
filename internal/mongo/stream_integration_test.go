//go:build integration

package mongo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/flow"
	"sluice/internal/testkit"
)

// One transaction over several replies, with keys that it touches early and
// late: all of its changes come in one batch.
func TestS1TransactionComesWhole(t *testing.T) {
	uri := startMongo(t, testkit.MongoOptions{CacheGB: 0.75}).URI()
	db := newDB(t, uri)
	a, b := db.Collection("a"), db.Collection("b")
	insert(t, a, 0, 10)
	insert(t, b, 0, 10)
	m := newModel()
	times := map[bson.Timestamp]int{}
	biggest := 0
	m.onBatch = func(b flow.Batch) error {
		in := map[bson.Timestamp]bool{}
		for _, c := range b.Changes {
			in[c.Time] = true
		}
		for at := range in {
			if times[at]++; !b.Snapshot && times[at] > 1 {
				m.faults = append(m.faults, fmt.Sprintf("changes of %v came in %d batches", at, times[at]))
			}
		}
		biggest = max(biggest, len(b.Changes))
		return nil
	}
	m.prepare = func(s *Source) { s.stream.hold.limit = 8 << 20 } // what is more is held by keys alone
	p := startPump(t, small(uri, a, b), "", m)
	p.waitEqual(a)
	s, err := db.Client().StartSession()
	must(t, err)
	defer s.EndSession(t.Context())
	_, err = s.WithTransaction(t.Context(), func(ctx context.Context) (any, error) {
		text := strings.Repeat("y", 100_000)
		for i := range 420 { // 42 MB: three replies or more
			if _, err := a.InsertOne(ctx, bson.D{{Key: "_id", Value: 100 + i}, {Key: "text", Value: text}}); err != nil {
				return nil, err
			}
			if i%50 == 0 {
				if _, err := b.UpdateOne(ctx, bson.D{{Key: "_id", Value: 1}}, bson.D{{Key: "$set", Value: bson.D{{Key: "at", Value: i}}}}); err != nil {
					return nil, err
				}
				if _, err := a.DeleteOne(ctx, bson.D{{Key: "_id", Value: 100 + i}}); err != nil {
					return nil, err
				}
			}
		}
		_, err := a.InsertOne(ctx, bson.D{{Key: "_id", Value: 100}, {Key: "again", Value: true}})
		return nil, err
	})
	must(t, err)
	p.waitEqual(a)
	p.waitEqual(b)
	m.mu.Lock()
	defer m.mu.Unlock()
	if biggest < 430 {
		t.Errorf("the largest batch has %d changes", biggest)
	}
}

// Events of a transaction at the end of a quiet stream are held for one wait
// of the server, not longer.
func TestS1HoldEndsWithTheNextReply(t *testing.T) {
	uri := testkit.SharedMongo(t).URI()
	a := newDB(t, uri).Collection("a")
	insert(t, a, 0, 10)
	p := startPump(t, small(uri, a), "", newModel())
	p.waitEqual(a)
	s, err := a.Database().Client().StartSession()
	must(t, err)
	defer s.EndSession(t.Context())
	_, err = s.WithTransaction(t.Context(), func(ctx context.Context) (any, error) {
		_, err := a.InsertOne(ctx, bson.D{{Key: "_id", Value: "txn"}})
		return nil, err
	})
	must(t, err)
	start := time.Now()
	p.waitEqual(a)
	if took := time.Since(start); took > 4*maxAwait {
		t.Errorf("it took %s", took)
	}
}

func TestS6FailuresOfTheStream(t *testing.T) {
	mg := startMongo(t, testkit.MongoOptions{FailPoints: true})
	a := newDB(t, mg.URI()).Collection("a")
	insert(t, a, 0, 10)
	p := startPump(t, small(mg.URI(), a), "", newModel())
	p.waitEqual(a)
	n := 10
	fail := func(name string, mode, data bson.D) {
		t.Helper()
		failCommand(t, mg.URI(), mode, data)
		for range 3 {
			insert(t, a, n, n+3)
			n += 3
			p.waitEqual(a)
		}
		if t.Failed() {
			t.Fatal(name)
		}
	}
	for _, code := range []int{43, 11601, 143, 237, 50, 262, 4711} {
		for _, label := range []bool{false, true} {
			data := bson.D{{Key: "failCommands", Value: bson.A{"getMore"}}, {Key: "errorCode", Value: code}}
			if label {
				data = append(data, bson.E{Key: "errorLabels", Value: bson.A{"ResumableChangeStreamError"}})
			}
			fail(fmt.Sprint(code, label), bson.D{{Key: "times", Value: 2}}, data)
		}
	}
	fail("network", bson.D{{Key: "times", Value: 2}}, bson.D{{Key: "failCommands", Value: bson.A{"getMore"}}, {Key: "closeConnection", Value: true}})
	fail("network on open", bson.D{{Key: "times", Value: 4}}, bson.D{{Key: "failCommands", Value: bson.A{"getMore", "aggregate"}}, {Key: "closeConnection", Value: true}})
	fail("too large", bson.D{{Key: "times", Value: 1}}, bson.D{{Key: "failCommands", Value: bson.A{"getMore"}}, {Key: "errorCode", Value: 10334}})
	fail("hidden token", bson.D{{Key: "times", Value: 1}}, bson.D{{Key: "failCommands", Value: bson.A{"getMore"}}, {Key: "errorCode", Value: 280}})
	if n := p.s.Progress().HistoryLost; n != 0 {
		t.Errorf("history was lost %d times", n)
	}
	if k := p.m.kinds(nsOf(a)); k != "<>" {
		t.Errorf("controls %s", k)
	}
}

// An event that is too large with its document comes without, and its key is
// read again; what comes before and after is not touched.
func TestS6EventTooLarge(t *testing.T) {
	uri := startMongo(t, testkit.MongoOptions{CacheGB: 0.5}).URI()
	a := newDB(t, uri).Collection("a")
	insert(t, a, 0, 10)
	o := small(uri, a)
	o.Metrics = NewMetrics(nil)
	p := startPump(t, o, "", newModel())
	p.waitEqual(a)
	insert(t, a, 10, 20)
	// The _id is in the document, in the key, and twice its size in the token.
	_, err := a.InsertOne(t.Context(), bson.D{{Key: "_id", Value: strings.Repeat("k", 4_200_000)}, {Key: "x", Value: 1}})
	must(t, err)
	insert(t, a, 20, 30)
	p.waitEqual(a)
	insert(t, a, 30, 40)
	p.waitEqual(a)
	if testutil.ToFloat64(o.Metrics.reopens.WithLabelValues("too_large")) < 1 {
		t.Error("no event was too large")
	}
}

func TestS6ErrorsThatEndTheFlow(t *testing.T) {
	mg := startMongo(t, testkit.MongoOptions{FailPoints: true})
	for code, class := range map[int]flow.Class{40647: flow.Fatal, 15: flow.Fatal, 13: flow.Auth} {
		a := newDB(t, mg.URI()).Collection("a")
		insert(t, a, 0, 10)
		p := startPump(t, small(mg.URI(), a), "", newModel())
		p.waitEqual(a)
		failCommand(t, mg.URI(), bson.D{{Key: "times", Value: 1}}, bson.D{{Key: "failCommands", Value: bson.A{"getMore"}}, {Key: "errorCode", Value: code}})
		testkit.Eventually(t, 10*time.Second, func() error {
			if p.failure() == nil {
				return errors.New("no failure")
			}
			return nil
		})
		if got := flow.ClassOf(p.failure()); got != class {
			t.Errorf("code %d: class %s: %v", code, got, p.failure())
		}
		t.Log(p.failure())
		p.stop()
	}
}

func TestS6HistoryLost(t *testing.T) {
	mg := startMongo(t, testkit.MongoOptions{OplogMB: 4, SyncDelay: 1})
	db := newDB(t, mg.URI())
	a := db.Collection("a")
	noise := newDB(t, mg.URI()).Collection("noise")
	insert(t, a, 0, 1000)
	o := small(mg.URI(), a)
	m := newModel()
	p := startPump(t, o, "", m)
	p.waitEqual(a)
	pos := p.stop()

	// What happens while we are away, and is forgotten.
	_, err := a.DeleteMany(t.Context(), bson.D{{Key: "_id", Value: bson.D{{Key: "$lt", Value: 100}}}})
	must(t, err)
	insert(t, a, 5000, 5010)
	rollOver(t, noise)

	stop := o
	stop.HistoryLost = HistoryLostStop
	q, err := tryPump(t, stop, pos, newModel())
	if err == nil {
		testkit.Eventually(t, 20*time.Second, func() error {
			if q.failure() == nil {
				return errors.New("no failure")
			}
			return nil
		})
		err = q.failure()
		if got := q.stop(); got != pos {
			t.Errorf("the position moved from %s to %s", pos, got)
		}
	}
	if flow.ClassOf(err) != flow.Lost {
		t.Fatalf("class %s: %v", flow.ClassOf(err), err)
	}
	t.Log(err)

	p = startPump(t, o, pos, m)
	p.waitKinds(a, "<><>")
	p.waitEqual(a)
	m.mu.Lock()
	last := m.controls[len(m.controls)-1]
	m.mu.Unlock()
	if !last.Ghosts {
		t.Error("the copy after lost history does not look for ghosts")
	}
	insert(t, a, 6000, 6010)
	p.waitEqual(a)
	pos = p.stop()
	p = startPump(t, o, pos, m)
	insert(t, a, 7000, 7010)
	p.waitEqual(a)
	p.waitKinds(a, "<><>")
}

// rollOver writes more than the oplog holds, until its start has moved on.
func rollOver(t *testing.T, noise *mongo.Collection) {
	t.Helper()
	oplog := noise.Database().Client().Database("local").Collection("oplog.rs")
	first := func() bson.Timestamp {
		raw, err := oplog.FindOne(t.Context(), bson.D{}).Raw()
		must(t, err)
		s, i := raw.Lookup("ts").Timestamp()
		return bson.Timestamp{T: s, I: i}
	}
	raw, err := noise.Database().RunCommand(t.Context(), bson.D{{Key: "ping", Value: 1}}).Raw()
	must(t, err)
	s, i := raw.Lookup("operationTime").Timestamp()
	now := bson.Timestamp{T: s, I: i}
	text := strings.Repeat("z", 500_000)
	testkit.Eventually(t, 60*time.Second, func() error {
		for range 20 {
			if _, err := noise.InsertOne(t.Context(), bson.D{{Key: "text", Value: text}}); err != nil {
				t.Fatal(err)
			}
		}
		if f := first(); !f.After(now) {
			return fmt.Errorf("the oplog starts at %v, before %v", f, now)
		}
		return nil
	})
}

// Another scope: the saved event token may be hidden, so the stream starts by
// time, and a namespace that came into the configuration is copied meanwhile.
func TestS6ScopeChanges(t *testing.T) {
	uri := testkit.SharedMongo(t).URI()
	db := newDB(t, uri)
	a, b := db.Collection("a"), db.Collection("b")
	insert(t, a, 0, 500)
	insert(t, b, 0, 500)
	m := newModel()
	o := small(uri, a)
	p := startPump(t, o, "", m)
	p.waitEqual(a)
	insert(t, a, 1000, 1010)
	p.waitEqual(a)
	pos := p.stop()
	insert(t, a, 2000, 2010)
	insert(t, b, 2000, 2010)

	for i, namespaces := range [][]string{{nsOf(a).String(), nsOf(b).String()}, {db.Name() + ".*"}, {"/^" + db.Name() + `\./`}, {nsOf(b).String()}, {nsOf(a).String(), nsOf(b).String()}} {
		o.Namespaces = namespaces
		p = startPump(t, o, pos, m)
		last := 3000 + 100*i
		insert(t, a, last, last+5)
		insert(t, b, last, last+5)
		p.waitEqual(b)
		if i != 3 {
			p.waitEqual(a)
		}
		pos = p.stop()
	}
	// a was away for one run, so it was copied again.
	p.waitKinds(a, "<><>")
	p.waitKinds(b, "<>")
}

func TestS8FilterLeavesAndComes(t *testing.T) {
	uri := testkit.SharedMongo(t).URI()
	a := newDB(t, uri).Collection("a")
	insert(t, a, 0, 10)
	q, _ := bson.Marshal(bson.D{{Key: "on", Value: true}})
	o := small(uri, a)
	o.Filters = []Filter{{Pattern: nsOf(a).String(), Query: q}}
	p := startPump(t, o, "", newModel())
	set := func(id int, on bool) {
		_, err := a.UpdateByID(t.Context(), id, bson.D{{Key: "$set", Value: bson.D{{Key: "on", Value: on}}}})
		must(t, err)
	}
	equal := func() {
		t.Helper()
		testkit.Eventually(t, 10*time.Second, func() error {
			if err := p.failure(); err != nil {
				t.Fatal(err)
			}
			return p.m.differs(t.Context(), a, q)
		})
	}
	for i := range 10 {
		set(i, true)
	}
	equal()
	for i := range 5 {
		set(i, false)
	}
	_, err := a.DeleteOne(t.Context(), bson.D{{Key: "_id", Value: 7}})
	must(t, err)
	_, err = a.ReplaceOne(t.Context(), bson.D{{Key: "_id", Value: 8}}, bson.D{{Key: "on", Value: false}})
	must(t, err)
	equal()
}

func TestStreamIsQuick(t *testing.T) {
	uri := testkit.SharedMongo(t).URI()
	a := newDB(t, uri).Collection("a")
	insert(t, a, 0, 10)
	m := newModel()
	p := startPump(t, small(uri, a), "", m)
	p.waitEqual(a)
	came := make(chan struct{}, 100)
	m.mu.Lock()
	m.onBatch = func(flow.Batch) error { came <- struct{}{}; return nil }
	m.mu.Unlock()
	var sum time.Duration
	for i := range 50 {
		start := time.Now()
		insert(t, a, 100+i, 101+i)
		<-came
		sum += time.Since(start)
	}
	t.Logf("insert and delivery take %s", sum/50)
	if sum/50 > 50*time.Millisecond {
		t.Errorf("insert and delivery take %s", sum/50)
	}
}
