//go:build integration

package mongo

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/flow"
	"sluice/internal/testkit"
)

// narrow is a server with a user who may follow the database app, and of the
// database crm the collections x and y, but nothing wider.
type narrow struct {
	root      *mongo.Client
	uri       string
	namespace []string
}

func newNarrow(t *testing.T) narrow {
	t.Helper()
	m := startMongo(t, testkit.MongoOptions{Auth: true})
	root, err := mongo.Connect(options.Client().ApplyURI(m.URI()))
	must(t, err)
	t.Cleanup(func() { _ = root.Disconnect(context.Background()) })
	on := func(db, coll string) bson.D {
		return bson.D{
			{Key: "resource", Value: bson.D{{Key: "db", Value: db}, {Key: "collection", Value: coll}}},
			{Key: "actions", Value: bson.A{"find", "changeStream", "listCollections", "listIndexes", "collStats"}},
		}
	}
	admin := root.Database("admin")
	must(t, admin.RunCommand(t.Context(), bson.D{
		{Key: "createRole", Value: "narrow"},
		{Key: "roles", Value: bson.A{}},
		{Key: "privileges", Value: bson.A{on("app", ""), on("crm", "x"), on("crm", "y")}},
	}).Err())
	must(t, admin.RunCommand(t.Context(), bson.D{
		{Key: "createUser", Value: "narrow"}, {Key: "pwd", Value: "s3cret"}, {Key: "roles", Value: bson.A{"narrow"}},
	}).Err())
	return narrow{
		root: root, uri: strings.Replace(m.URI(), "root:sluice-test@", "narrow:s3cret@", 1),
		namespace: []string{"app.*", "crm.x", "crm.y"},
	}
}

// told is what was logged.
type told struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *told) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *told) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// write changes all collections at once, in transactions too, and at the end some
// of one alone.
func (n narrow) write(t *testing.T, from int) {
	t.Helper()
	colls := []*mongo.Collection{n.root.Database("app").Collection("a"), n.root.Database("crm").Collection("x"), n.root.Database("crm").Collection("y")}
	s, err := n.root.StartSession()
	must(t, err)
	defer s.EndSession(t.Context())
	for i := from; i < from+60; i++ {
		_, err := s.WithTransaction(t.Context(), func(ctx context.Context) (any, error) {
			for _, c := range colls {
				if _, err := c.InsertOne(ctx, bson.D{{Key: "_id", Value: i}}); err != nil {
					return nil, err
				}
			}
			_, err := colls[i%3].DeleteOne(ctx, bson.D{{Key: "_id", Value: i - 7}})
			return nil, err
		})
		must(t, err)
		_, err = colls[i%3].UpdateOne(t.Context(), bson.D{{Key: "_id", Value: i}}, bson.D{{Key: "$set", Value: bson.D{{Key: "i", Value: i}}}})
		must(t, err)
	}
	insert(t, colls[1], from+1000, from+1010)
}

// TestS6NarrowRights: who may not open one stream that is wide enough gets the
// same from several: in order, transactions whole, over drops, and with a
// position that each kind of stream goes on from.
func TestS6NarrowRights(t *testing.T) {
	n := newNarrow(t)
	app, x, y := n.root.Database("app").Collection("a"), n.root.Database("crm").Collection("x"), n.root.Database("crm").Collection("y")
	for _, c := range []*mongo.Collection{app, x, y} {
		insert(t, c, -100, 0)
	}
	m := newModel()
	var latest bson.Timestamp
	whole := map[bson.Timestamp]int{}
	m.onBatch = func(b flow.Batch) error {
		seen := map[bson.Timestamp]bool{}
		for _, c := range b.Changes {
			if b.Snapshot {
				return nil
			}
			if c.Time.Before(latest) {
				m.faults = append(m.faults, fmt.Sprintf("%v comes after %v", c.Time, latest))
			}
			latest = c.Time
			seen[c.Time] = true
		}
		for at := range seen {
			if whole[at]++; whole[at] > 1 {
				m.faults = append(m.faults, fmt.Sprintf("changes of %v came in %d batches", at, whole[at]))
			}
		}
		return nil
	}
	var log told
	o := Options{URI: n.uri, Namespaces: n.namespace, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	p := startPump(t, o, "", m)
	if !strings.Contains(log.String(), "narrower ones take its place\" streams=3") {
		t.Errorf("it is not made of three streams:\n%s", log.String())
	}
	equal := func(p *pump) {
		t.Helper()
		for _, c := range []*mongo.Collection{app, x, y} {
			p.waitEqual(c)
		}
	}
	equal(p)
	n.write(t, 0)
	began := time.Now()
	equal(p)
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("it is %v behind", took)
	}
	// A drop ends the streams of its collection, and nothing else.
	must(t, x.Drop(t.Context()))
	insert(t, x, 5000, 5005)
	must(t, app.Drop(t.Context()))
	insert(t, app, 5000, 5005)
	n.write(t, 6000)
	equal(p)
	p.stop()
	n.write(t, 8000)
	m.mu.Lock()
	latest, whole = bson.Timestamp{}, map[bson.Timestamp]int{}
	m.mu.Unlock()
	p = startPump(t, o, p.s.Position(), m)
	equal(p)
	p.stop()
	// With more rights, and with fewer again.
	wide := o
	wide.URI = strings.Replace(n.uri, "narrow:s3cret@", "root:sluice-test@", 1)
	n.write(t, 20_000)
	m.onBatch = nil
	p = startPump(t, wide, p.s.Position(), m)
	n.write(t, 30_000)
	equal(p)
	p.stop()
	n.write(t, 40_000)
	p = startPump(t, o, p.s.Position(), m)
	equal(p)
	p.stop()
}

// TestS6TooNarrow: where a stream is denied that has no narrower ones, the message
// names the rights.
func TestS6TooNarrow(t *testing.T) {
	n := newNarrow(t)
	for _, namespaces := range [][]string{{"app.*", "crm.*"}, {"app.a", "crm.z"}, {"/^app/", "crm.x"}} {
		_, err := tryPump(t, Options{URI: n.uri, Namespaces: namespaces, Snapshot: SnapshotOptions{Disabled: true}}, "", newModel())
		if flow.ClassOf(err) != flow.Auth || !strings.Contains(hintOf(err), "createRole") {
			t.Errorf("%v: %v", namespaces, err)
		}
	}
}
