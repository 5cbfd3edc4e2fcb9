package mongo

import (
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/testkit/scriptmongo"
)

// wantRefused wants an error of class Config with words, and that nothing is
// taken for a lost history or a damaged position.
func wantRefused(t *testing.T, err error, words ...string) {
	t.Helper()
	if flow.ClassOf(err) != flow.Config {
		t.Errorf("class %s: %v", flow.ClassOf(err), err)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q is not in: %v", w, err)
		}
	}
}

func openRefused(t *testing.T, uri string) error {
	t.Helper()
	s, err := Open(t.Context(), Options{URI: uri, Namespaces: []string{"a.c"}})
	if err != nil {
		return err
	}
	err = s.Start(t.Context(), "", nil)
	_ = s.Close(t.Context())
	return err
}

func TestVersionOf(t *testing.T) {
	f := func(want string, d bson.D) {
		t.Helper()
		raw, err := bson.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		v, ok := versionOf(raw)
		if got := v.String(); ok && got != want || !ok && want != "" {
			t.Errorf("%v: %s %t, want %s", d, got, ok, want)
		}
	}
	f("6.0.5", bson.D{{Key: "versionArray", Value: bson.A{6, 0, 5, 0}}, {Key: "version", Value: "1.0"}})
	f("7.0.0", bson.D{{Key: "versionArray", Value: bson.A{int64(7), 0.0}}})
	f("5.0.0", bson.D{{Key: "version", Value: "5.0.0"}})
	f("8.1.0", bson.D{{Key: "version", Value: "8.1.0-rc0"}})
	f("", bson.D{{Key: "version", Value: "compatible"}})
	f("", bson.D{{Key: "versionArray", Value: bson.A{}}})
	f("", bson.D{})
}

// Servers that can't be followed say so at the start, with what is missing.
func TestServiceRefused(t *testing.T) {
	f := func(change func(*scriptmongo.Server), words ...string) {
		t.Helper()
		srv := newScripted(t, withID(1))
		change(srv)
		wantRefused(t, openRefused(t, srv.URI()), words...)
	}
	says := func(command string, d bson.D, err error) func(*scriptmongo.Server) {
		return func(s *scriptmongo.Server) {
			s.Handle(command, func(scriptmongo.Command) (bson.D, error) { return d, err })
		}
	}
	f(says("buildInfo", bson.D{{Key: "ok", Value: 1.0}}, nil), "does not say its version", "4.4")
	f(says("buildInfo", bson.D{{Key: "version", Value: "3.6.0"}}, nil), "version 3.6.0", "4.4")
	timeless := scriptmongo.New(t, scriptmongo.Options{Mongos: true}).Collection("a.c", withID(1)) // tells no time by itself
	wantRefused(t, openRefused(t, timeless.ReplicaURI()), "operationTime")
	for _, e := range []scriptmongo.Error{
		{Code: 40324, Message: "Unrecognized pipeline stage name: '$changeStream'"},
		{Code: 303, Message: "Feature not supported: $changeStream"},
		{Code: 115, Message: "Change stream is not supported."},
	} {
		f(says("aggregate", nil, &e), "has no change streams")
	}
	off := &scriptmongo.Error{Code: 136, Name: "CappedPositionLost", Message: "modifyChangeStreams has not been run for this collection/database."}
	f(says("aggregate", nil, off), "modifyChangeStreams: 1")
	// A token that does not tell its time joins no copy to the stream.
	f(func(s *scriptmongo.Server) {
		s.Handle("aggregate", func(scriptmongo.Command) (bson.D, error) {
			return bson.D{{Key: "cursor", Value: bson.D{
				{Key: "id", Value: int64(7)},
				{Key: "ns", Value: "a.c"},
				{Key: "firstBatch", Value: bson.A{}},
				{Key: "postBatchResumeToken", Value: bson.D{{Key: "_data", Value: "016741b2c3000000090100000009000041e1"}}},
			}}}, nil
		})
	}, "resume token", "DocumentDB")
	wantRefused(t, hello{setName: cosmosSet}.foreign("mongodb://h"), "Cosmos DB", "no deletes")
	wantRefused(t, hello{mongos: true}.foreign("mongodb://x.mongo.cosmos.azure.com:10255"), "no deletes")
	if err := (hello{setName: "rs0"}).foreign("mongodb://x.mongodb.net"); err != nil {
		t.Error(err)
	}
}

// Without reads at a time of our choice a copy reads with majority after a
// time that is known.
func TestServiceWithoutSnapshotReads(t *testing.T) {
	srv := newScripted(t, withID(1), withID(2))
	srv.Handle("find", func(c scriptmongo.Command) (bson.D, error) {
		if level, _ := c.Doc.Lookup("readConcern", "level").StringValueOK(); level == "snapshot" {
			return nil, &scriptmongo.Error{Code: 303, Message: "Feature not supported: readConcern snapshot"}
		}
		return nil, nil
	})
	s := openScripted(t, srv, Options{})
	if s.caps.snapshot {
		t.Fatal("it can't read at a time")
	}
	asked := len(srv.Commands("find"))
	if err := s.Start(t.Context(), "", nil); err != nil {
		t.Fatal(err)
	}
	total := 0
	for total < 2 {
		b, ack := nextChanges(t, s.Snapshot())
		total += len(b.Changes)
		if err := ack(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range srv.Commands("find")[asked:] {
		if _, err := c.Doc.LookupErr("skip"); c.DB != "a" || err == nil {
			continue // what only looks for the borders of chunks
		}
		level, _ := c.Doc.Lookup("readConcern", "level").StringValueOK()
		if _, _, ok := c.Doc.Lookup("readConcern", "afterClusterTime").TimestampOK(); level != "majority" || !ok {
			t.Errorf("read with %s", c.Doc.Lookup("readConcern"))
		}
	}
}

// Where startAfter is not known, the stream goes on by time after the end of a
// collection, and what comes then is not lost.
func TestServiceWithoutStartAfter(t *testing.T) {
	srv := newScripted(t, withID(1))
	srv.Handle("aggregate", func(c scriptmongo.Command) (bson.D, error) {
		if _, err := c.Doc.LookupErr("pipeline", "0", "$changeStream", "startAfter"); err == nil {
			return nil, &scriptmongo.Error{Code: 40415, Message: "BSON field '$changeStream.startAfter' is an unknown field."}
		}
		return nil, nil
	})
	s := follow(t, srv, "")
	drop, invalidate := scriptmongo.Drop("a.c", tick(4)), scriptmongo.Event{Op: "invalidate", Time: tick(4)}
	srv.Stream(
		scriptmongo.Reply{Events: []scriptmongo.Event{scriptmongo.Insert("a.c", tick(3), withID(3)), drop, invalidate}, End: true},
		scriptmongo.Reply{Events: []scriptmongo.Event{scriptmongo.Insert("a.c", tick(6), withID(6))}, HighWater: tick(9)},
	)
	for _, want := range []bson.Timestamp{tick(3), tick(6)} {
		b, ack := nextChanges(t, s.Stream())
		if len(b.Changes) != 1 || b.Changes[0].Time != want {
			t.Fatalf("%v, want one at %v", b.Changes, want)
		}
		if err := ack(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	opens := srv.Opens()
	if last := opens[len(opens)-1]; last.StartAt != tick(5) {
		t.Errorf("opened at %v, want just behind the end at %v", last.StartAt, tick(4))
	}
}

// A router is followed like a set; its identity is that of the cluster.
func TestServiceSharded(t *testing.T) {
	srv := scriptmongo.New(t, scriptmongo.Options{Mongos: true}).Collection("a.c", withID(1))
	id := bson.ObjectID{3: 9}
	srv.Handle("ping", func(c scriptmongo.Command) (bson.D, error) {
		if _, err := c.Doc.LookupErr("$replData"); err == nil {
			t.Error("a router has no $replData")
		}
		return bson.D{{Key: "operationTime", Value: srv.Clock()}}, nil
	})
	srv.Handle("find", func(c scriptmongo.Command) (bson.D, error) {
		if c.DB != "config" {
			return nil, nil
		}
		return bson.D{{Key: "cursor", Value: bson.D{
			{Key: "id", Value: int64(0)},
			{Key: "ns", Value: "config.version"},
			{Key: "firstBatch", Value: bson.A{bson.D{{Key: "clusterId", Value: id}}}},
		}}}, nil
	})
	s, err := Open(t.Context(), Options{URI: srv.ReplicaURI(), Namespaces: []string{"a.c"}, Snapshot: SnapshotOptions{Disabled: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close(t.Context()) }()
	if !s.caps.sharded || s.Identity() != id.Hex() {
		t.Errorf("%+v %s", s.caps, s.Identity())
	}
	if err := s.Start(t.Context(), "", nil); err != nil {
		t.Fatal(err)
	}
	srv.Stream(scriptmongo.Reply{Events: []scriptmongo.Event{scriptmongo.Insert("a.c", tick(3), withID(3))}, HighWater: tick(9)})
	b, _ := nextChanges(t, s.Stream())
	if len(b.Changes) != 1 || b.Changes[0].Time != tick(3) {
		t.Error(b.Changes)
	}
}
