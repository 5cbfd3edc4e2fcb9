//go:build integration

package mongo

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/flow"
	"sluice/internal/testkit"
)

// allIDs holds an _id of each kind that MongoDB takes.
func allIDs() []any {
	dec, _ := bson.ParseDecimal128("1.5E+3")
	dec2, _ := bson.ParseDecimal128("-0.1")
	return []any{
		bson.MinKey{},
		nil, int32(-5), int64(math.MinInt64), int64(1) << 60, 3.25, math.NaN(), math.Inf(-1), math.Inf(1), -0.5, dec, dec2,
		"", "a", "text with \x00 in it", bson.Symbol("symbol"),
		bson.D{},
		bson.D{{Key: "a", Value: 1}, {Key: "b", Value: "x"}},
		bson.D{{Key: "b", Value: 1}},
		bson.Binary{Subtype: 0, Data: []byte{1, 2}},
		bson.Binary{Subtype: 4, Data: make([]byte, 16)},
		bson.Binary{Subtype: 2, Data: []byte{9}},
		bson.NewObjectID(),
		bson.ObjectID{},
		false, true, bson.DateTime(-1), bson.DateTime(math.MaxInt64),
		bson.Timestamp{T: 5, I: 6},
		bson.DBPointer{DB: "a.b", Pointer: bson.NewObjectID()},
		bson.JavaScript("f()"),
		bson.CodeWithScope{Code: "f()", Scope: bson.D{{Key: "x", Value: 1}}},
		bson.MaxKey{},
	}
}

func TestS4EveryKindOfID(t *testing.T) {
	uri := testkit.SharedMongo(t).URI()
	coll := newDB(t, uri).Collection("kinds")
	for i, id := range allIDs() {
		if _, err := coll.InsertOne(t.Context(), bson.D{{Key: "_id", Value: id}, {Key: "i", Value: i}}); err != nil {
			t.Fatalf("%v: %v", id, err)
		}
	}
	for _, parallel := range []int{1, 3} {
		o := small(uri, coll)
		o.Snapshot.Parallel, o.Snapshot.ChunkBytes, o.Snapshot.BatchBytes = parallel, 1, 1
		m := newModel()
		p := startPump(t, o, "", m)
		p.waitEqual(coll)
		if m.changes < len(allIDs()) || m.changes > len(allIDs())+1 {
			t.Errorf("%d changes for %d documents", m.changes, len(allIDs()))
		}
		p.stop()
	}
}

func TestS4SpecialCollections(t *testing.T) {
	uri := testkit.SharedMongo(t).URI()
	db := newDB(t, uri)
	ctx := t.Context()
	must(t, db.CreateCollection(ctx, "capped", options.CreateCollection().SetCapped(true).SetSizeInBytes(1<<20)))
	must(t, db.CreateCollection(ctx, "collated", options.CreateCollection().SetCollation(&options.Collation{Locale: "en", Strength: 2})))
	must(t, db.CreateCollection(ctx, "clustered", options.CreateCollection().SetClusteredIndex(
		bson.D{{Key: "key", Value: bson.D{{Key: "_id", Value: 1}}}, {Key: "unique", Value: true}})))
	must(t, db.CreateCollection(ctx, "empty"))
	for _, name := range []string{"capped", "collated", "clustered"} {
		var docs []any
		for i := range 3000 {
			docs = append(docs, bson.D{{Key: "_id", Value: fmt.Sprintf("%c%05d", "aBcD"[i%4], i)}, {Key: "i", Value: i}})
		}
		_, err := db.Collection(name).InsertMany(ctx, docs)
		must(t, err)
	}
	must(t, db.CreateView(ctx, "view", "collated", bson.A{bson.D{{Key: "$match", Value: bson.D{{Key: "i", Value: bson.D{{Key: "$lt", Value: 500}}}}}}}))
	must(t, db.CreateCollection(ctx, "series", options.CreateCollection().SetTimeSeriesOptions(options.TimeSeries().SetTimeField("t"))))
	o := small(uri)
	o.Namespaces = []string{db.Name() + ".*", db.Name() + ".view", db.Name() + ".series"}
	p := startPump(t, o, "", newModel())
	for _, name := range []string{"capped", "collated", "clustered", "empty", "view"} {
		p.waitEqual(db.Collection(name))
		if k := p.m.kinds(flow.Namespace{DB: db.Name(), Coll: name}); k != "<>" {
			t.Errorf("%s: controls %s", name, k)
		}
	}
	for _, c := range p.s.Collections() {
		if (c.Refused != nil) != (c.Kind == KindTimeseries) {
			t.Errorf("%s (%s): refused: %v", c.NS, c.Kind, c.Refused)
		}
	}
}

// A crash in the middle of a copy, with batches in flight: the next run goes
// on inside the chunks.
func TestS4ResumesInsideChunk(t *testing.T) {
	uri := testkit.SharedMongo(t).URI()
	coll := newDB(t, uri).Collection("docs")
	const n = 30000
	seed(t, coll, n)
	o := small(uri, coll)
	o.Snapshot.ChunkBytes = 64 << 20 // one big chunk, or a few
	o.Snapshot.Rate = 8000           // so that the start of the stream is proven meanwhile
	m := newModel()
	var pos flow.Position
	total := 0
	for run := 0; ; run++ {
		var count atomic.Int64
		enough := make(chan struct{})
		m.onBatch = func(b flow.Batch) error {
			if b.Snapshot && count.Add(int64(len(b.Changes))) > n/5 {
				if run < 4 {
					select {
					case <-enough:
					default:
						close(enough)
					}
					return errors.New("crash")
				}
			}
			return nil
		}
		p := startPump(t, o, pos, m)
		if run == 4 {
			p.waitEqual(coll)
			total += int(p.s.Progress().CopyRead)
			break
		}
		select {
		case <-enough:
		case <-time.After(20 * time.Second):
			t.Fatal("the copy is too slow")
		}
		total += int(p.s.Progress().CopyRead)
		pos = p.stop()
	}
	if total > n+n/3 {
		t.Errorf("%d documents were read for %d", total, n)
	}
	t.Logf("read %d for %d", total, n)
}

// Restarts at any moment, under load: the model has to be right in the end.
func TestS3RestartsUnderLoad(t *testing.T) {
	uri := testkit.SharedMongo(t).URI()
	coll := newDB(t, uri).Collection("docs")
	seed(t, coll, 15000)
	w := startWriters(t, coll, 20000, 3)
	o := small(uri, coll)
	m := newModel()
	var pos flow.Position
	for run := range rounds(12, 100) {
		p := startPump(t, o, pos, m)
		testkit.Eventually(t, 20*time.Second, func() error {
			m.mu.Lock()
			defer m.mu.Unlock()
			if m.batches < (run+1)*25 {
				return fmt.Errorf("%d batches", m.batches)
			}
			return nil
		})
		if err := p.failure(); err != nil {
			t.Fatal(err)
		}
		pos = p.stop()
	}
	w.end()
	p := startPump(t, o, pos, m)
	p.waitEqual(coll)
}

func TestS4WindowEnds(t *testing.T) {
	mg := startMongo(t, testkit.MongoOptions{Own: true, ExtraArgs: []string{
		"--setParameter", "minSnapshotHistoryWindowInSeconds=1",
	}})
	coll := newDB(t, mg.URI()).Collection("docs")
	seed(t, coll, 5000)
	w := startWriters(t, coll, 5000, 1)
	o := small(mg.URI(), coll)
	o.Snapshot.Rate = 1000 // five seconds: longer than the window
	p := startPump(t, o, "", newModel())
	testkit.Eventually(t, 30*time.Second, func() error {
		if p.m.kinds(nsOf(coll)) != "<>" {
			return errors.New("copying")
		}
		return p.failure()
	})
	w.end()
	p.waitEqual(coll)
}

// A time that is too old is answered with a new one, and the copy goes on
// after the last _id.
func TestS4SnapshotTooOld(t *testing.T) {
	mg := startMongo(t, testkit.MongoOptions{Own: true, FailPoints: true})
	db := newDB(t, mg.URI())
	coll := db.Collection("docs")
	seed(t, coll, 5000)
	for _, code := range []int{239, 246, 43, 175, 262, 11602} {
		p := startPump(t, small(mg.URI(), coll), "", newModel())
		failCommand(t, mg.URI(), bson.D{{Key: "times", Value: 4}}, bson.D{{Key: "failCommands", Value: bson.A{"find"}}, {Key: "errorCode", Value: code}})
		p.waitEqual(coll)
		p.stop()
	}
	p := startPump(t, small(mg.URI(), coll), "", newModel())
	failCommand(t, mg.URI(), bson.D{{Key: "times", Value: 3}}, bson.D{{Key: "failCommands", Value: bson.A{"find"}}, {Key: "closeConnection", Value: true}})
	p.waitEqual(coll)
}

func failCommand(t *testing.T, uri string, mode, data bson.D) {
	t.Helper()
	db := newDB(t, uri).Client().Database("admin")
	must(t, db.RunCommand(context.Background(), bson.D{{Key: "configureFailPoint", Value: "failCommand"}, {Key: "mode", Value: mode}, {Key: "data", Value: data}}).Err())
}

func TestS5OldestOpenCoversWhatIsInFlight(t *testing.T) {
	uri := testkit.SharedMongo(t).URI()
	coll := newDB(t, uri).Collection("docs")
	seed(t, coll, 3000)
	m := newModel()
	var p *pump
	ready := make(chan struct{})
	m.onBatch = func(b flow.Batch) error {
		<-ready
		if !b.Snapshot {
			return nil
		}
		low, open := p.s.OldestOpen()
		if !open || low.After(b.Low) {
			m.faults = append(m.faults, fmt.Sprintf("a batch at %v is in flight, the oldest open is %v %v", b.Low, low, open))
		}
		for _, c := range b.Changes {
			if v, _ := flow.VersionOf(b.Low); c.Version != v-1 || c.Time != b.Low {
				m.faults = append(m.faults, "a version is not just below its time")
			}
		}
		return nil
	}
	w := startWriters(t, coll, 3000, 1)
	p = startPump(t, small(uri, coll), "", m)
	close(ready)
	testkit.Eventually(t, 20*time.Second, func() error {
		if m.kinds(nsOf(coll)) != "<>" {
			return errors.New("copying")
		}
		return nil
	})
	w.end()
	p.waitEqual(coll)
	if _, open := p.s.OldestOpen(); open {
		t.Error("something is open after the copy")
	}
}

func TestS4FilterInSnapshot(t *testing.T) {
	uri := testkit.SharedMongo(t).URI()
	coll := newDB(t, uri).Collection("docs")
	seed(t, coll, 5000)
	q, _ := bson.Marshal(bson.D{{Key: "n", Value: bson.D{{Key: "$lt", Value: 100}}}})
	o := small(uri, coll)
	o.Filters = []Filter{{Pattern: nsOf(coll).String(), Query: q}}
	w := startWriters(t, coll, 5000, 2)
	p := startPump(t, o, "", newModel())
	testkit.Eventually(t, 20*time.Second, func() error {
		if p.m.kinds(nsOf(coll)) != "<>" {
			return errors.New("copying")
		}
		return p.failure()
	})
	w.end()
	testkit.Eventually(t, 20*time.Second, func() error { return p.m.differs(t.Context(), coll, q) })
}

func TestOnceEndsWhenAllIsCopied(t *testing.T) {
	uri := testkit.SharedMongo(t).URI()
	coll := newDB(t, uri).Collection("docs")
	seed(t, coll, 5000)
	o := small(uri, coll)
	o.Once = true
	m := newModel()
	p := startPump(t, o, "", m)
	p.waitEnd()
	must(t, m.differs(t.Context(), coll, bson.D{}))
	pos := p.stop()

	// The next run goes on from there, to what is now.
	seedAt := bson.D{{Key: "_id", Value: "new"}}
	_, err := coll.InsertOne(t.Context(), seedAt)
	must(t, err)
	p = startPump(t, o, pos, m)
	p.waitEnd()
	must(t, m.differs(t.Context(), coll, bson.D{}))
	if n := p.s.Progress().CopyRead; n != 0 {
		t.Errorf("%d documents were copied again", n)
	}
}

// Two documents of more than half a reply each never come in one.
func TestS4DocumentsThatFillAReply(t *testing.T) {
	uri := testkit.SharedMongo(t).URI()
	coll := newDB(t, uri).Collection("giants")
	const n = 4
	for i := range n {
		if _, err := coll.InsertOne(t.Context(), bson.D{{Key: "_id", Value: i}, {Key: "text", Value: strings.Repeat("x", 9<<20)}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, filter := range []bson.D{nil, {{Key: "text", Value: bson.D{{Key: "$exists", Value: true}}}}} {
		o := small(uri, coll)
		if filter != nil {
			query, err := bson.Marshal(filter)
			if err != nil {
				t.Fatal(err)
			}
			o.Filters = []Filter{{Pattern: coll.Database().Name() + "." + coll.Name(), Query: query}}
		}
		m := newModel()
		p := startPump(t, o, "", m)
		p.waitEqual(coll)
		if m.changes != n {
			t.Errorf("%d changes for %d documents", m.changes, n)
		}
		p.stop()
	}
}
