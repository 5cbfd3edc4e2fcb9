//go:build integration

package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/checkpoint"
	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/testkit"
)

// kept is what a flow keeps in MongoDB.
type kept struct{ checkpoints, letters *driver.Collection }

// newKeptStage is newStage with a flow of its own name that keeps everything in
// MongoDB, and that would follow the place where it does, if one could.
func newKeptStage(t *testing.T) (stage, kept) {
	t.Helper()
	s := newStage(t)
	name := s.db.Name()
	s.cfg.State.Store, s.cfg.DeadLetters.Store = config.StoreMongoDB, config.StoreMongoDB
	s.cfg.Flows[0].Name, s.cfg.Flows[0].Namespaces = name, []string{"/^(" + name + "|sluice)[.]/"}
	own := s.db.Client().Database("sluice")
	k := kept{own.Collection("checkpoints"), own.Collection("dead_letters")}
	t.Cleanup(func() {
		_, _ = k.checkpoints.DeleteMany(context.Background(), bson.D{{Key: "_id", Value: name}})
		_, _ = k.letters.DeleteMany(context.Background(), bson.D{{Key: "flow", Value: name}})
	})
	return s, k
}

// position is the document of the flow.
func (k kept) position(t *testing.T, s stage) bson.Raw {
	t.Helper()
	raw, err := k.checkpoints.FindOne(t.Context(), bson.D{{Key: "_id", Value: s.db.Name()}}).Raw()
	must(t, err)
	return raw
}

func (k kept) wantLetters(t *testing.T, s stage, a *App, want int) {
	t.Helper()
	testkit.Eventually(t, time.Minute, func() error {
		n, err := k.letters.CountDocuments(t.Context(), bson.D{{Key: "flow", Value: s.db.Name()}, {Key: "db", Value: s.db.Name()}, {Key: "coll", Value: "a"}})
		if err != nil {
			return err
		}
		if open := a.Status().Flows[0].DeadLetters; int(n) != want || open != want {
			return fmt.Errorf("%d letters kept, %d open, want %d", n, open, want)
		}
		return nil
	})
}

// TestS12StoresInMongoDB: a flow with position and dead letters in MongoDB is
// killed, and goes on where it was: nothing is copied again, what happened
// meanwhile arrives, and the dead letter of before is closed.
func TestS12StoresInMongoDB(t *testing.T) {
	s, k := newKeptStage(t)
	s.put(t, "a", 0, 300, "x")
	a, stop := run(t, Options{Config: s.cfg})
	testkit.Eventually(t, time.Minute, copied(a))
	s.wantIndex(t, "a", want{0, 300, "live x"})
	// n is a number by now: this document can't be written.
	_, err := s.db.Collection("a").InsertOne(t.Context(), bson.D{{Key: "_id", Value: 300}, {Key: "n", Value: bson.D{{Key: "x", Value: 1}}}})
	must(t, err)
	k.wantLetters(t, s, a, 1)
	must(t, stop())
	early := k.position(t, s)

	ctx, kill := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	a = New(Options{Config: s.cfg, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	go func() { ended <- a.Run(ctx, nil) }()
	s.put(t, "a", 301, 400, "y")
	s.wantIndex(t, "a", want{0, 300, "live x"}, want{301, 400, "live y"})
	k.wantLetters(t, s, a, 1)
	if n := a.Status().SnapshotRead(); n != 0 {
		t.Errorf("%d documents were copied again", n)
	}
	kill()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("killed: %v", err)
	}
	// A kill -9 would have left an older position.
	_, err = k.checkpoints.ReplaceOne(t.Context(), bson.D{{Key: "_id", Value: s.db.Name()}}, early)
	must(t, err)
	s.put(t, "a", 300, 310, "z")

	a, stop = run(t, Options{Config: s.cfg})
	s.wantIndex(t, "a", want{0, 300, "live x"}, want{300, 310, "live z"}, want{310, 400, "live y"})
	k.wantLetters(t, s, a, 0)
	if n := a.Status().SnapshotRead(); n != 0 {
		t.Errorf("%d documents were copied again", n)
	}
	for _, coll := range []string{"checkpoints", "dead_letters"} {
		if err := ask(t.Context(), http.MethodGet, s.cfg.Search.URLs[0]+"/sluice."+coll, "", nil); err == nil {
			t.Errorf("sluice.%s is followed", coll)
		}
	}
	must(t, stop())
}

// TestS12BindingInMongoDB: a changed shape is refused, and an index that was
// deleted is filled again, wherever the position lies.
func TestS12BindingInMongoDB(t *testing.T) {
	s, _ := newKeptStage(t)
	s.insert(t, "a", 50)
	a, stop := run(t, Options{Config: s.cfg})
	testkit.Eventually(t, time.Minute, copied(a))
	must(t, stop())
	s.cfg.Flows[0].Fields.Exclude = []string{"name"}
	if err := New(Options{Config: s.cfg}).Run(t.Context(), nil); flow.ClassOf(err) != flow.Config {
		t.Fatalf("got %v, want a refusal", err)
	}
	s.cfg.Flows[0].Fields.Exclude = nil
	s.deleteIndex(t, "a")
	a, stop = run(t, Options{Config: s.cfg})
	s.wantIndex(t, "a", want{0, 50, "live"})
	if n := a.Status().SnapshotRead(); n < 50 {
		t.Errorf("%d documents were copied again", n)
	}
	must(t, stop())
}

// deleteIndex deletes what the alias of coll names.
func (s stage) deleteIndex(t *testing.T, coll string) {
	t.Helper()
	var found map[string]any
	url := s.cfg.Search.URLs[0] + "/"
	must(t, ask(t.Context(), http.MethodGet, url+"_alias/"+s.db.Name()+"."+coll, "", &found))
	for index := range found {
		must(t, ask(t.Context(), http.MethodDelete, url+index, "", nil))
	}
}

// TestS3SecondProcessTakesOver: of two processes on one flow, the first ends
// with an error that says so, and its position counts no more.
func TestS3SecondProcessTakesOver(t *testing.T) {
	s, _ := newKeptStage(t)
	s.insert(t, "a", 10)
	first := New(Options{Config: s.cfg})
	ended := make(chan error, 1)
	go func() { ended <- first.Run(t.Context(), nil) }()
	testkit.Eventually(t, time.Minute, copied(first))
	second, stop := run(t, Options{Config: s.cfg})
	testkit.Eventually(t, time.Minute, copied(second))
	// So that the first one has something to save.
	s.put(t, "a", 10, 20, "x")
	select {
	case err := <-ended:
		if !errors.Is(err, checkpoint.ErrConflict) || flow.ClassOf(err) != flow.Conflict {
			t.Errorf("the first ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("the first one goes on")
	}
	s.wantIndex(t, "a", want{0, 10, "live"}, want{10, 20, "live x"})
	must(t, stop())
}

// TestRightsOnTheStores: who may not write there is told so at the start, with
// the cure, before anything is copied.
func TestRightsOnTheStores(t *testing.T) {
	m, err := testkit.StartMongo(t.Context(), testkit.MongoOptions{Auth: true})
	must(t, err)
	t.Cleanup(func() { _ = m.Stop() })
	client, err := driver.Connect(options.Client().ApplyURI(m.URI()))
	must(t, err)
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	s, _ := newKeptStage(t)
	db := s.db.Name()
	s.cfg.MongoDB.URI = config.Secret(strings.Replace(m.URI(), "root:sluice-test@", "sync:s3cret@", 1))
	s.cfg.Flows[0].Namespaces = []string{db + ".*"}
	admin := client.Database("admin")
	must(t, admin.RunCommand(t.Context(), bson.D{
		{Key: "createUser", Value: "sync"},
		{Key: "pwd", Value: "s3cret"},
		{Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: "read"}, {Key: "db", Value: db}}}},
	}).Err())
	f := func(privilege string) {
		t.Helper()
		err := New(Options{Config: s.cfg}).Run(t.Context(), nil)
		if flow.ClassOf(err) != flow.Auth {
			t.Errorf("got %v, want a refusal", err)
			return
		}
		for _, want := range []string{privilege, "createRole", "sluiceState"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("no %q in %v", want, err)
			}
		}
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("it tells the password: %v", err)
		}
	}
	f(`insert and update on {db: "sluice", collection: "dead_letters"}`)
	must(t, admin.RunCommand(t.Context(), bson.D{{Key: "createRole", Value: "half"}, {Key: "roles", Value: bson.A{}}, {Key: "privileges", Value: bson.A{
		bson.D{{Key: "resource", Value: bson.D{{Key: "db", Value: "sluice"}, {Key: "collection", Value: "dead_letters"}}}, {Key: "actions", Value: bson.A{"find", "insert", "update", "remove"}}},
		bson.D{{Key: "resource", Value: bson.D{{Key: "db", Value: "sluice"}, {Key: "collection", Value: "checkpoints"}}}, {Key: "actions", Value: bson.A{"find"}}},
	}}}).Err())
	must(t, admin.RunCommand(t.Context(), bson.D{{Key: "grantRolesToUser", Value: "sync"}, {Key: "roles", Value: bson.A{"half"}}}).Err())
	f(`insert on {db: "sluice", collection: "checkpoints"}`)
}
