//go:build integration

package mongo

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/flow"
	"sluice/internal/testkit"
)

// openFails wants Open, or else Start, to fail with a class and with words.
func openFails(t *testing.T, o Options, class flow.Class, words ...string) {
	t.Helper()
	ctx, done := context.WithTimeout(t.Context(), 30*time.Second)
	defer done()
	s, err := Open(ctx, o)
	if err == nil {
		err = s.Start(ctx, "", nil)
		_ = s.Close(ctx)
	}
	if err == nil {
		t.Fatal("no error")
	}
	t.Log(err)
	if flow.ClassOf(err) != class {
		t.Errorf("class %s, want %s: %v", flow.ClassOf(err), class, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q is not in: %v", w, err)
		}
	}
	if strings.Contains(err.Error(), "s3cret") {
		t.Errorf("the password is in: %v", err)
	}
}

func TestOpenStandalone(t *testing.T) {
	m := startMongo(t, testkit.MongoOptions{Standalone: true})
	openFails(t, Options{URI: m.URI(), Namespaces: []string{"a.b"}}, flow.Config, "standalone", "--replSet", "rs.initiate()", "0400")
	// With a set name the driver finds no server at all.
	uri := strings.Replace(m.URI(), "directConnection=true", "replicaSet=rs0&serverSelectionTimeoutMS=500", 1)
	openFails(t, Options{URI: uri, Namespaces: []string{"a.b"}}, flow.Config, "standalone", "--replSet")
}

func TestOpenNobodyThere(t *testing.T) {
	openFails(t, Options{URI: "mongodb://u:s3cret@127.0.0.1:1/?serverSelectionTimeoutMS=300", Namespaces: []string{"a.b"}}, flow.Transient, "connect to MongoDB", "***@127.0.0.1:1")
	openFails(t, Options{URI: "mongodb://u:s3cret@127.0.0.1:1:2/", Namespaces: []string{"a.b"}}, flow.Config)
	openFails(t, Options{URI: "mongodb://u:s3cret%@127.0.0.1/", Namespaces: []string{"a.b"}}, flow.Config)
}

func TestOpenRights(t *testing.T) {
	m := startMongo(t, testkit.MongoOptions{Auth: true})
	root, err := mongo.Connect(options.Client().ApplyURI(m.URI()))
	must(t, err)
	defer func() { _ = root.Disconnect(context.Background()) }()
	db := root.Database("app")
	insert(t, db.Collection("a"), 0, 10)
	insert(t, db.Collection("b"), 0, 10)
	insert(t, root.Database("other").Collection("c"), 0, 10)
	user := func(name string, privileges ...bson.D) string {
		all := bson.A{}
		for _, p := range privileges {
			all = append(all, p)
		}
		admin := root.Database("admin")
		must(t, admin.RunCommand(t.Context(), bson.D{{Key: "createRole", Value: name}, {Key: "privileges", Value: all}, {Key: "roles", Value: bson.A{}}}).Err())
		must(t, admin.RunCommand(t.Context(), bson.D{{Key: "createUser", Value: name}, {Key: "pwd", Value: "s3cret"}, {Key: "roles", Value: bson.A{name}}}).Err())
		return "mongodb://" + name + ":s3cret@" + strings.SplitN(m.URI(), "@", 2)[1]
	}
	may := func(db, coll string, actions ...string) bson.D {
		return bson.D{{Key: "resource", Value: bson.D{{Key: "db", Value: db}, {Key: "collection", Value: coll}}}, {Key: "actions", Value: actions}}
	}
	wrong := strings.Replace(m.URI(), ":sluice-test@", ":s3cret@", 1)
	openFails(t, Options{URI: wrong, Namespaces: []string{"app.a"}}, flow.Auth, "log in", "authSource")

	none := user("none")
	openFails(t, Options{URI: none, Namespaces: []string{"app.a"}}, flow.Auth, "createRole", `db: "app"`)
	reader := user("reader", may("app", "", "find", "listCollections"))
	openFails(t, Options{URI: reader, Namespaces: []string{"app.*"}}, flow.Auth, "createRole", "changeStream")
	whole := user("whole", may("app", "", "find", "changeStream", "listCollections", "listIndexes", "collStats"))
	openFails(t, Options{URI: whole, Namespaces: []string{"app.*", "other.*"}}, flow.Auth, `db: ""`)

	// The smallest roles that work: of one collection, and of one database.
	id := ""
	one := user("one", may("app", "a", "find", "changeStream"))
	for uri, names := range map[string][]string{one: {"app.a"}, whole: {"app.*"}, m.URI(): {"/./"}} {
		o := Options{URI: uri, Namespaces: names}
		p := startPump(t, o, "", newModel())
		insert(t, db.Collection("a"), 100+len(uri), 101+len(uri))
		p.waitEqual(db.Collection("a"))
		if id == "" {
			id = p.s.Identity()
		}
		if p.s.Identity() != id || len(id) != 24 {
			t.Errorf("identity %q for one user, %q for another", p.s.Identity(), id)
		}
		p.stop()
	}
}

func TestReplicaSetOfThree(t *testing.T) {
	m := startMongo(t, testkit.MongoOptions{Nodes: 3})
	coll := newDB(t, m.URI()).Collection("docs")
	seed(t, coll, 10000)
	w := startWriters(t, coll, 12000, 2)
	o := small(m.URI(), coll)
	o.Snapshot.ReadPreference = "secondaryPreferred"
	o.Snapshot.Rate = 3000
	o.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	p := startPump(t, o, "", newModel())
	testkit.Eventually(t, 30*time.Second, func() error { return atLeast(p.m, 60) })
	// A primary that steps down while the copy runs, and one that dies.
	_ = coll.Database().Client().Database("admin").RunCommand(t.Context(), bson.D{{Key: "replSetStepDown", Value: 10}, {Key: "force", Value: true}}).Err()
	testkit.Eventually(t, 30*time.Second, func() error { return atLeast(p.m, 150) })
	_, err := m.KillPrimary(t.Context())
	must(t, err)
	testkit.Eventually(t, 60*time.Second, func() error {
		if p.m.kinds(nsOf(coll)) != "<>" {
			return fmt.Errorf("%+v: %w", p.s.Progress(), p.failure())
		}
		return nil
	})
	w.end()
	p.waitEqual(coll)
}
