package scriptmongo

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func connect(t *testing.T, uri string) *mongo.Client {
	t.Helper()
	c, err := mongo.Connect(options.Client().ApplyURI(uri).SetServerSelectionTimeout(10 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Disconnect(context.WithoutCancel(t.Context())) })
	return c
}

func at(i uint32) bson.Timestamp { return bson.Timestamp{T: 1767225601, I: i} }

func id(v any) bson.D { return bson.D{{Key: "_id", Value: v}} }

func TestDriverConnects(t *testing.T) {
	f := func(o Options, uri func(*Server) string) {
		t.Helper()
		s := New(t, o)
		c := connect(t, uri(s))
		if err := c.Ping(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		var info struct{ Version string }
		if err := c.Database("admin").RunCommand(t.Context(), bson.D{{Key: "buildInfo", Value: 1}}).Decode(&info); err != nil || info.Version != s.opts.Version {
			t.Fatal(info, err)
		}
		err := c.UseSession(t.Context(), func(ctx context.Context) error {
			err := c.Ping(ctx, nil)
			if got := mongo.SessionFromContext(ctx).OperationTime(); err == nil && !o.Mongos && (got == nil || *got != s.Clock()) {
				t.Errorf("operation time %v", got)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		err = c.Database("admin").RunCommand(t.Context(), bson.D{{Key: "unheardOf", Value: 1}}).Err()
		var fault mongo.CommandError
		if !errors.As(err, &fault) || fault.Code != 59 {
			t.Fatal(err)
		}
	}
	f(Options{}, (*Server).URI)
	f(Options{Version: "8.0.4"}, (*Server).ReplicaURI)
	f(Options{Mongos: true, Version: "7.0.2"}, (*Server).ReplicaURI)
}

func TestFind(t *testing.T) {
	s := New(t, Options{SnapshotAt: at(7)})
	oid := bson.ObjectID{1}
	s.Collection("shop.orders", id("b"), id(2), id(oid), id(1.5), id("a"), id(bson.MaxKey{}))
	coll := connect(t, s.URI()).Database("shop").Collection("orders")
	f := func(filter bson.D, opts *options.FindOptionsBuilder, want ...any) {
		t.Helper()
		cur, err := coll.Find(t.Context(), filter, opts)
		if err != nil {
			t.Fatal(err)
		}
		var docs []bson.D
		if err := cur.All(t.Context(), &docs); err != nil || len(docs) != len(want) {
			t.Fatal(docs, err)
		}
		for i, d := range docs {
			if d[0].Value != want[i] {
				t.Fatalf("%d: %v, want %v", i, d, want[i])
			}
		}
	}
	find := options.Find
	f(bson.D{}, find().SetBatchSize(2), 1.5, int32(2), "a", "b", oid, bson.MaxKey{})
	f(bson.D{}, find().SetSort(id(-1)).SetLimit(2), bson.MaxKey{}, oid)
	f(bson.D{}, find().SetMin(id(2.0)).SetMax(id("b")).SetHint(id(1)), int32(2), "a")
	f(bson.D{}, find().SetSkip(4).SetLimit(1).SetProjection(id(1)), oid)
	f(id("a"), find(), "a")
	f(id(bson.D{{Key: "$in", Value: bson.A{int64(2), "b", "z"}}}), find(), int32(2), "b")
	f(id(bson.D{{Key: "$gt", Value: 1.5}, {Key: "$lt", Value: 3}}), find(), int32(2))
	f(id(bson.D{{Key: "$type", Value: "maxKey"}}), find(), bson.MaxKey{})
	if _, err := coll.Find(t.Context(), bson.D{{Key: "x", Value: 1}}); err == nil {
		t.Fatal("a filter on x")
	}
	var reply struct {
		Cursor struct{ AtClusterTime bson.Timestamp }
	}
	cmd := bson.D{{Key: "find", Value: "orders"}, {Key: "readConcern", Value: bson.D{{Key: "level", Value: "snapshot"}}}}
	var raw bson.Raw
	if err := coll.Database().RunCommand(t.Context(), cmd).Decode(&raw); err != nil {
		t.Fatal(err)
	}
	reply.Cursor.AtClusterTime.T, reply.Cursor.AtClusterTime.I = raw.Lookup("cursor", "atClusterTime").Timestamp()
	if reply.Cursor.AtClusterTime != at(7) {
		t.Fatal(raw)
	}
}

func TestLists(t *testing.T) {
	s := New(t, Options{})
	s.Collection("shop.orders").Collection("shop.tmp.x").Describe("shop.v", "view", bson.D{{Key: "viewOn", Value: "orders"}})
	c := connect(t, s.URI())
	dbs, err := c.ListDatabaseNames(t.Context(), bson.D{})
	if err != nil || len(dbs) != 4 {
		t.Fatal(dbs, err)
	}
	specs, err := c.Database("shop").ListCollectionSpecifications(t.Context(), bson.D{{Key: "type", Value: "collection"}})
	if err != nil || len(specs) != 2 || string(specs[0].UUID.Data) != string(s.UUID("shop.orders")) {
		t.Fatal(specs, err)
	}
	old := string(s.UUID("shop.orders"))
	s.DropCollection("shop.orders")
	if s.Collection("shop.orders"); string(s.UUID("shop.orders")) == old {
		t.Fatal("the same UUID")
	}
	if n, err := c.Database("shop").Collection("orders").EstimatedDocumentCount(t.Context()); err != nil || n != 0 {
		t.Fatal(n, err)
	}
}

// next returns the next event of a stream, waiting for it.
func next(t *testing.T, cs *mongo.ChangeStream) bson.Raw {
	t.Helper()
	for !cs.TryNext(t.Context()) {
		if cs.Err() != nil || t.Context().Err() != nil {
			t.Fatal(cs.Err(), t.Context().Err())
		}
	}
	return cs.Current
}

func opType(e bson.Raw) string { s, _ := e.Lookup("operationType").StringValueOK(); return s }

func TestStreamPlaysItsScript(t *testing.T) {
	s := New(t, Options{})
	doc := bson.D{{Key: "_id", Value: 1}, {Key: "v", Value: 1}}
	txn := Transaction(at(5), 3, Update("a.c", at(0), 1, bson.D{{Key: "v", Value: 2}}), Delete("a.c", at(0), 1), Insert("a.c", at(0), doc))
	s.Stream(
		Reply{Events: []Event{Insert("a.c", at(3), doc), Insert("a.d", at(3), doc)}},
		Reply{Events: txn[:2]}, Reply{Events: txn[2:], HighWater: at(9)},
		Reply{Events: Split(Insert("a.c", at(10), doc))},
		Reply{Events: []Event{Rename("a.c", "a.e", at(11)), Drop("a.d", at(12))}},
	)
	c := connect(t, s.ReplicaURI())
	cs, err := c.Watch(t.Context(), mongo.Pipeline{}, options.ChangeStream().SetMaxAwaitTime(20*time.Millisecond).SetStartAtOperationTime(&bson.Timestamp{T: 1767225601}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cs.Close(t.Context()) }()
	if got := cs.ResumeToken().Lookup("_data").StringValue(); got != HighWater(bson.Timestamp{T: 1767225601}) {
		t.Fatal("token at the start", got)
	}
	var tokens []string
	for i, want := range []string{"insert", "insert", "update", "delete", "insert", "insert", "", "rename", "drop"} {
		e := next(t, cs)
		if opType(e) != want {
			t.Fatal(i, e)
		}
		tokens = append(tokens, e.Lookup("_id", "_data").StringValue())
		if i > 0 && tokens[i] <= tokens[i-1] {
			t.Fatal("tokens do not rise", tokens)
		}
		switch txnNumber, inTxn := e.Lookup("txnNumber").AsInt64OK(); {
		case inTxn != (i >= 2 && i <= 4), inTxn && (txnNumber != 3 || e.Lookup("lsid").Type == 0):
			t.Fatal(e)
		case i == 4 && cs.ResumeToken().Lookup("_data").StringValue() != HighWater(at(9)):
			t.Fatal("no post-batch token", cs.ResumeToken())
		case i == 6 && (e.Lookup("splitEvent", "fragment").AsInt64() != 2 || e.Lookup("fullDocument", "v").AsInt64() != 1):
			t.Fatal(e)
		}
	}
	if cs.TryNext(t.Context()) || cs.Err() != nil {
		t.Fatal("more events", cs.Err())
	}
	s.Stream(Reply{HighWater: at(20)})
	for cs.ResumeToken().Lookup("_data").StringValue() != HighWater(at(20)) {
		if cs.TryNext(t.Context()); cs.Err() != nil {
			t.Fatal(cs.Err())
		}
	}
	if time, ok := TokenTime(tokens[0]); !ok || time != at(3) || s.Clock() != at(20) {
		t.Fatal(time, s.Clock())
	}
	if o := s.Opens()[0]; o.Scope != "" || o.StartAt.T != 1767225601 || o.Stage.Lookup("allChangesForCluster").Type == 0 {
		t.Fatal(o)
	}
}

func TestStreamErrors(t *testing.T) {
	s := New(t, Options{})
	doc := id(1)
	s.Stream(Reply{Events: []Event{Insert("a.c", at(1), doc)}}, Reply{Err: Fault(91)},
		Reply{Events: []Event{Delete("a.c", at(2), 1)}}, Reply{Err: CloseConnection},
		Reply{Events: []Event{Insert("a.c", at(3), doc)}}, Reply{Err: Fault(286)})
	c := connect(t, s.URI())
	watch := func(opts *options.ChangeStreamOptionsBuilder) *mongo.ChangeStream {
		cs, err := c.Database("a").Watch(t.Context(), mongo.Pipeline{}, opts.SetMaxAwaitTime(20*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		return cs
	}
	cs := watch(options.ChangeStream())
	for i, want := range []string{"insert", "delete", "insert"} { // the driver resumes twice by itself
		if e := next(t, cs); opType(e) != want {
			t.Fatal(i, e)
		}
	}
	for cs.Err() == nil {
		cs.TryNext(t.Context())
	}
	var fault mongo.CommandError
	if !errors.As(cs.Err(), &fault) || fault.Code != 286 || !fault.HasErrorLabel(LabelNonResumable) {
		t.Fatal(cs.Err())
	}
	_ = cs.Close(t.Context())
	opens := s.Opens()
	if len(opens) != 3 || opens[1].ResumeAfter == "" || opens[1].Scope != "a" || s.Pending() != 0 {
		t.Fatal(len(opens), s.Pending())
	}
	s.Fail("aggregate", Fault(280))
	if _, err := c.Database("a").Watch(t.Context(), mongo.Pipeline{}); !errors.As(err, &fault) || fault.Code != 280 {
		t.Fatal(err)
	}
	s.Stream(Reply{Events: []Event{{Op: "invalidate", Time: at(9)}}, End: true})
	cs = watch(options.ChangeStream())
	defer func() { _ = cs.Close(t.Context()) }()
	if e := next(t, cs); opType(e) != "invalidate" || cs.ID() != 0 {
		t.Fatal(e, cs.ID())
	}
}

func TestHooksAndGenerator(t *testing.T) {
	s := New(t, Options{})
	s.Handle("serverStatus", func(Command) (bson.D, error) { return bson.D{{Key: "uptime", Value: 1}}, nil })
	raw, err := Insert("a.c", at(1), id(1)).Raw(1)
	if err != nil {
		t.Fatal(err)
	}
	sent := 0
	s.Generate(func() (Reply, bool) {
		sent++
		return Reply{Raw: []bson.Raw{raw, raw}}, sent <= 10
	})
	c := connect(t, s.URI())
	if err := c.Database("admin").RunCommand(t.Context(), bson.D{{Key: "serverStatus", Value: 1}}).Err(); err != nil {
		t.Fatal(err)
	}
	cs, err := c.Watch(t.Context(), mongo.Pipeline{}, options.ChangeStream().SetMaxAwaitTime(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cs.Close(t.Context()) }()
	for range 20 {
		next(t, cs)
	}
	if cs.TryNext(t.Context()) {
		t.Fatal("more than the generator gave")
	}
	if len(s.Commands("serverStatus")) != 1 || len(s.Commands()) < 3 {
		t.Fatal(s.Commands())
	}
}

func TestMajorityReadInSession(t *testing.T) {
	s := New(t, Options{}).Collection("a.c", id(1))
	c := connect(t, s.ReplicaURI())
	coll := c.Database("a").Collection("c", options.Collection().SetReadConcern(readconcern.Majority()))
	err := c.UseSession(t.Context(), func(ctx context.Context) error {
		now := at(1)
		if err := mongo.SessionFromContext(ctx).AdvanceOperationTime(&now); err != nil {
			return err
		}
		return coll.FindOne(ctx, id(1)).Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	doc := s.Commands("find")[0].Doc
	if tt, i, ok := doc.Lookup("readConcern", "afterClusterTime").TimestampOK(); !ok || (bson.Timestamp{T: tt, I: i}) != at(1) {
		t.Fatal(doc)
	}
}
