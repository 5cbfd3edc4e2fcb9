//go:build integration

package testkit

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

func startMongo(t *testing.T, o MongoOptions) *Mongo {
	t.Helper()
	began := time.Now()
	m, err := StartMongo(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Stop(); err != nil {
			t.Error(err)
		}
	})
	t.Logf("%s up in %s", m, time.Since(began).Round(time.Millisecond))
	return m
}

func connect(t *testing.T, uri string) *mongo.Client {
	t.Helper()
	c, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Disconnect(context.WithoutCancel(t.Context())) })
	return c
}

func insert(t *testing.T, c *mongo.Collection, n int, size int) {
	t.Helper()
	docs := make([]any, n)
	for i := range docs {
		docs[i] = bson.D{{Key: "v", Value: strings.Repeat("x", size)}}
	}
	if _, err := c.InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
}

func TestMongoShared(t *testing.T) {
	m := SharedMongo(t)
	if m != SharedMongo(t) {
		t.Fatal("two of them")
	}
	db := connect(t, m.URI()).Database(UniqueName(t))
	stream, err := db.Watch(t.Context(), mongo.Pipeline{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close(t.Context()) }()
	insert(t, db.Collection("c"), 3, 10)
	if !stream.Next(t.Context()) {
		t.Fatal(stream.Err())
	}
}

func TestMongoKillPrimaryOfThree(t *testing.T) {
	m := startMongo(t, MongoOptions{Nodes: 3})
	majority := options.Collection().SetWriteConcern(writeconcern.Majority())
	coll := connect(t, m.URI()).Database("a").Collection("c", majority)
	insert(t, coll, 10, 10)
	killed, err := m.KillPrimary(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	Eventually(t, time.Minute, func() error {
		_, err := coll.InsertOne(t.Context(), bson.D{})
		return err
	})
	next, err := m.Primary(t.Context())
	if err != nil || next == killed {
		t.Fatal(next, killed, err)
	}
	if err := m.Restart(t.Context(), killed); err != nil {
		t.Fatal(err)
	}
	insert(t, coll, 10, 10)
	if n, err := coll.CountDocuments(t.Context(), bson.D{}); err != nil || n < 21 {
		t.Fatal(n, err)
	}
}

func TestMongoAuth(t *testing.T) {
	m := startMongo(t, MongoOptions{Auth: true})
	insert(t, connect(t, m.URI()).Database("a").Collection("c"), 1, 1)
	insert(t, connect(t, m.DirectURI(0)).Database("a").Collection("c"), 1, 1)
	nobody := connect(t, "mongodb://"+m.nodes[0].port.addr()+"/?directConnection=true")
	_, err := nobody.Database("a").Collection("c").InsertOne(t.Context(), bson.D{})
	var command mongo.CommandError
	if !errors.As(err, &command) || command.Code != 13 {
		t.Fatalf("without a login: %v", err)
	}
}

func TestMongoTinyOplogForgets(t *testing.T) {
	m := startMongo(t, MongoOptions{OplogMB: 4, SyncDelay: 1})
	db := connect(t, m.URI()).Database("a")
	stream, err := db.Watch(t.Context(), mongo.Pipeline{})
	if err != nil {
		t.Fatal(err)
	}
	insert(t, db.Collection("c"), 1, 1)
	if !stream.Next(t.Context()) {
		t.Fatal(stream.Err())
	}
	token := stream.ResumeToken()
	_ = stream.Close(t.Context())
	Eventually(t, time.Minute, func() error {
		insert(t, db.Collection("filler"), 100, 50_000)
		s, err := db.Watch(t.Context(), mongo.Pipeline{}, options.ChangeStream().SetResumeAfter(token))
		if err == nil {
			s.TryNext(t.Context())
			s.TryNext(t.Context())
			err = s.Err()
			_ = s.Close(t.Context())
		}
		var command mongo.CommandError
		if errors.As(err, &command) && command.Code == 286 {
			return nil
		}
		return errors.New("the oplog still has it")
	})
}

func TestMongoFailPoint(t *testing.T) {
	m := startMongo(t, MongoOptions{FailPoints: true})
	c := connect(t, m.URI()+"&retryReads=false")
	err := c.Database("admin").RunCommand(t.Context(), bson.D{
		{Key: "configureFailPoint", Value: "failCommand"},
		{Key: "mode", Value: bson.D{{Key: "times", Value: 1}}},
		{Key: "data", Value: bson.D{{Key: "failCommands", Value: bson.A{"find"}}, {Key: "errorCode", Value: 96}}},
	}).Err()
	if err != nil {
		t.Fatal(err)
	}
	err = c.Database("a").Collection("c").FindOne(t.Context(), bson.D{}).Err()
	var command mongo.CommandError
	if !errors.As(err, &command) || command.Code != 96 {
		t.Fatal(err)
	}
}

func TestMongoStandaloneHasNoStreams(t *testing.T) {
	m := startMongo(t, MongoOptions{Standalone: true})
	c := connect(t, m.URI())
	insert(t, c.Database("a").Collection("c"), 1, 1)
	if _, err := c.Watch(t.Context(), mongo.Pipeline{}); err == nil {
		t.Fatal("a standalone server opened a change stream")
	}
}

func TestMongoLeavesNothing(t *testing.T) {
	m := startMongo(t, MongoOptions{})
	if err := m.Stop(); err != nil {
		t.Fatal(err)
	}
	if canDial(t.Context(), m.nodes[0].port.addr()) == nil {
		t.Fatal("still listening")
	}
}
