//go:build integration

package statedb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/checkpoint"
	"sluice/internal/checkpoint/storetest"
	"sluice/internal/flow"
	"sluice/internal/testkit"
)

func TestS3CheckpointsContract(t *testing.T) {
	db := openAt(t, testkit.SharedMongo(t).URI())
	flows := map[string]string{}
	storetest.TestStore(t, func(t testing.TB) checkpoint.Store {
		if flows[t.Name()] == "" {
			flows[t.Name()] = flowOf(t, db)
		}
		// As another process has it.
		return openAt(t, testkit.SharedMongo(t).URI()).Checkpoints(flows[t.Name()])
	})
}

func save(t testing.TB, s checkpoint.Store, r checkpoint.Record) checkpoint.Record {
	t.Helper()
	r, err := s.Save(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func conflicts(t testing.TB, s checkpoint.Store, r checkpoint.Record) {
	t.Helper()
	if _, err := s.Save(t.Context(), r); !errors.Is(err, checkpoint.ErrConflict) || flow.ClassOf(err) != flow.Conflict {
		t.Errorf("saved under the revision %q and the fence %d: %v", r.Rev, r.Fence, err)
	}
}

// TestS3OneDocumentPerFlow: what people find, and that one flow's place is not
// another's.
func TestS3OneDocumentPerFlow(t *testing.T) {
	db := openAt(t, testkit.SharedMongo(t).URI())
	a, b := flowOf(t, db), flowOf(t, db)
	save(t, db.Checkpoints(a), checkpoint.Record{Fence: 3, Data: []byte("a")})
	save(t, db.Checkpoints(b), checkpoint.Record{Fence: 1, Data: []byte("b")})
	if r, err := db.Checkpoints(a).Load(t.Context()); err != nil || string(r.Data) != "a" {
		t.Errorf("%+v %v", r, err)
	}
	raw, err := db.client.Database("sluice").Collection("checkpoints").FindOne(t.Context(), byID(a)).Raw()
	if err != nil || raw.Lookup("fence").Int64() != 3 {
		t.Errorf("%v %v", raw, err)
	}
}

// TestS3FenceGuardsBesideTheRevision: a lower number loses even if it knows the
// revision, and what was seen before the document was removed, or put back from
// a backup, fits nothing.
func TestS3FenceGuardsBesideTheRevision(t *testing.T) {
	db := openAt(t, testkit.SharedMongo(t).URI())
	name := flowOf(t, db)
	s, coll := db.Checkpoints(name), db.own.Collection(checkpointsColl)
	first := save(t, s, checkpoint.Record{Fence: 5, Data: []byte("1")})
	conflicts(t, s, checkpoint.Record{Rev: first.Rev, Fence: 4, Data: []byte("2")})
	backup, err := coll.FindOne(t.Context(), byID(name)).Raw()
	if err != nil {
		t.Fatal(err)
	}
	second := save(t, s, checkpoint.Record{Rev: first.Rev, Fence: 5, Data: []byte("2")})
	if _, err := coll.ReplaceOne(t.Context(), byID(name), backup); err != nil {
		t.Fatal(err)
	}
	third := save(t, s, checkpoint.Record{Rev: first.Rev, Fence: 6, Data: []byte("3")})
	conflicts(t, s, checkpoint.Record{Rev: second.Rev, Fence: 6, Data: []byte("4")})
	if _, err := coll.DeleteOne(t.Context(), byID(name)); err != nil {
		t.Fatal(err)
	}
	conflicts(t, s, checkpoint.Record{Rev: third.Rev, Fence: 6, Data: []byte("4")})
	fourth := save(t, s, checkpoint.Record{Fence: 1, Data: []byte("new")})
	for _, r := range []checkpoint.Record{first, second, third} {
		conflicts(t, s, checkpoint.Record{Rev: r.Rev, Fence: 9, Data: []byte("5")})
	}
	if r, err := s.Load(t.Context()); err != nil || r.Rev != fourth.Rev || string(r.Data) != "new" {
		t.Errorf("%+v %v", r, err)
	}
}

// TestS3SecondOwnerIsRefused: two processes on one flow; who came first can't
// save any more.
func TestS3SecondOwnerIsRefused(t *testing.T) {
	name := flowOf(t, openAt(t, testkit.SharedMongo(t).URI()))
	keeper := func() *checkpoint.Keeper {
		db := openAt(t, testkit.SharedMongo(t).URI())
		return checkpoint.NewKeeper(checkpoint.KeeperOptions{Store: db.Checkpoints(name), Flow: name})
	}
	at := func(n string) checkpoint.State { return checkpoint.State{Position: json.RawMessage(n)} }
	old, next := keeper(), keeper()
	if _, err := old.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := old.Save(t.Context(), at("1")); err != nil {
		t.Fatal(err)
	}
	s, err := next.Acquire(t.Context())
	if err != nil || string(s.Position) != "1" {
		t.Fatalf("%+v %v", s, err)
	}
	if err := old.Save(t.Context(), at("2")); flow.ClassOf(err) != flow.Conflict || !strings.Contains(err.Error(), "another sluice took over") {
		t.Errorf("the first owner saves: %v", err)
	}
	if err := next.Save(t.Context(), at("3")); err != nil {
		t.Error(err)
	}
	if s, err := keeper().Acquire(t.Context()); err != nil || string(s.Position) != "3" {
		t.Errorf("%+v %v", s, err)
	}
}

// TestForeignDocument: what somebody else put there is neither read nor
// written over.
func TestForeignDocument(t *testing.T) {
	db := openAt(t, testkit.SharedMongo(t).URI())
	name := flowOf(t, db)
	s := db.Checkpoints(name)
	if _, err := db.own.Collection(checkpointsColl).InsertOne(t.Context(), append(byID(name), bson.E{Key: "x", Value: 1})); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(t.Context()); flow.ClassOf(err) != flow.Fatal {
		t.Errorf("%v", err)
	}
	conflicts(t, s, checkpoint.Record{Fence: 1})
}

// TestSavesAreNoDocumentsInTheStream: who follows the whole deployment is not
// sent each position.
func TestSavesAreNoDocumentsInTheStream(t *testing.T) {
	db := openAt(t, testkit.SharedMongo(t).URI())
	name := flowOf(t, db)
	s := db.Checkpoints(name)
	r := save(t, s, checkpoint.Record{Fence: 1, Data: []byte("1")})
	stream, err := db.own.Collection(checkpointsColl).Watch(t.Context(), []bson.D{{{Key: "$match", Value: bson.D{{Key: "documentKey._id", Value: name}}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close(context.Background()) }()
	save(t, s, checkpoint.Record{Rev: r.Rev, Fence: 1, Data: bytes.Repeat([]byte("2"), 1000)})
	if !stream.Next(t.Context()) {
		t.Fatal(stream.Err())
	}
	if kind := stream.Current.Lookup("operationType").StringValue(); kind != "update" || stream.Current.Lookup("fullDocument").Type != 0 {
		t.Errorf("%s", stream.Current)
	}
}
