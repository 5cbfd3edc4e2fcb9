//go:build integration

package e2e

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/testkit"
)

// TestErrorStandalone: a server without a replica set has no change streams;
// the message holds the whole cure.
func TestErrorStandalone(t *testing.T) {
	m, err := testkit.StartMongo(t.Context(), testkit.MongoOptions{Standalone: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Stop() })
	host := strings.TrimPrefix(m.URI(), "mongodb://")
	host, _, _ = strings.Cut(host, "/")
	words := []string{"standalone", host, "--replSet rs0", "rs.initiate()", "keyFile", "0400", "--keyFile", "replicaSet=rs0"}
	for _, uri := range []string{
		"mongodb://" + host + "/",
		"mongodb://" + host + "/?directConnection=true",
		"mongodb://" + host + "/?replicaSet=rs0&serverSelectionTimeoutMS=3000",
	} {
		b := bed{uri: uri, search: testkit.SharedSearch(t).URL(), db: connect(t, m.URI()).Database(testkit.UniqueName(t)), state: t.TempDir()}
		wantFailure(t, 2, b.args("orders"), words)
	}
}

// TestErrorMongoUnreachable: nobody listens there.
func TestErrorMongoUnreachable(t *testing.T) {
	b := newBed(t)
	addr := freeAddr(t)
	b.uri = "mongodb://sluice:s3cret-pw@" + addr + "/?replicaSet=rs0&serverSelectionTimeoutMS=300"
	wantFailure(t, 1, b.args("orders"), []string{"MongoDB", addr, "connection refused", "reached from here"}, "s3cret-pw")
}

// TestErrorRights: a server with users, and what can be wrong with ours.
func TestErrorRights(t *testing.T) {
	m, err := testkit.StartMongo(t.Context(), testkit.MongoOptions{Auth: true, ExtraArgs: lively()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Stop() })
	admin := connect(t, m.URI())
	b := bed{uri: m.URI(), search: testkit.SharedSearch(t).URL(), db: admin.Database(testkit.UniqueName(t)), state: t.TempDir()}
	coll := b.db.Collection("orders")
	seedDocs(t, coll, 50)

	t.Run("other set", func(t *testing.T) {
		b := b
		b.uri = strings.Replace(m.URI(), "replicaSet=rs0", "replicaSet=other&serverSelectionTimeoutMS=300", 1)
		wantFailure(t, 1, b.args("orders"), []string{"MongoDB", "replicaSet=", "names the set"})
	})
	t.Run("password", func(t *testing.T) {
		for _, login := range []*url.Userinfo{
			url.UserPassword("root", "wr0ng-s3cret"),
			url.UserPassword("nobody", "wr0ng@s3cret/2"),
		} {
			b := b
			b.uri = as(t, m.URI(), login)
			secret, _ := login.Password()
			wantFailure(t, 1, b.args("orders"), []string{"uthentication", "user", "password", "authSource"}, secret, url.QueryEscape(secret), login.String())
		}
	})
	t.Run("privilege", func(t *testing.T) {
		b := b
		b.uri = as(t, m.URI(), url.UserPassword("reader", "r3ader-pw"))
		run := func(cmd bson.D) {
			t.Helper()
			if err := admin.Database("admin").RunCommand(t.Context(), cmd).Err(); err != nil {
				t.Fatal(err)
			}
		}
		run(bson.D{
			{Key: "createUser", Value: "reader"},
			{Key: "pwd", Value: "r3ader-pw"},
			{Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: "read"}, {Key: "db", Value: "elsewhere"}}}},
		})
		actions := bson.A{"find", "changeStream", "listCollections", "listIndexes", "collStats"}
		wantFailure(t, 1, b.args("orders"),
			[]string{"not authorized", "createRole", strings.ReplaceAll(fmt.Sprintf("%q", actions), " ", ", "), b.db.Name(), "admin"}, "r3ader-pw")
		// The role that the message shows is enough.
		run(bson.D{{Key: "createRole", Value: "sluiceSource"}, {Key: "roles", Value: bson.A{}}, {Key: "privileges", Value: bson.A{bson.D{
			{Key: "resource", Value: bson.D{{Key: "db", Value: b.db.Name()}, {Key: "collection", Value: ""}}}, {Key: "actions", Value: actions},
		}}}})
		run(bson.D{{Key: "grantRolesToUser", Value: "reader"}, {Key: "roles", Value: bson.A{"sluiceSource"}}})
		p := following(t, b.args("orders")...)
		set(t, coll, 7, "by", "the role")
		p.eventually(t, 30*time.Second, func() error { return equal(t.Context(), coll, b.search, b.index("orders")) })
		p.wantDrain(t)
		wantNone(t, p.output(), "r3ader-pw")
	})
	t.Run("other source", func(t *testing.T) {
		// The state of the run before belongs to that server; this is another.
		c := newBed(t)
		c.state = b.state
		wantFailure(t, 2, c.args("orders"), []string{"MongoDB deployment", "mongodb.uri", "another name", "copy everything again"})
		p := following(t, b.args("orders")...)
		if st, err := p.status(t.Context()); err != nil || st.SnapshotRead() != 0 {
			t.Errorf("the first flow was copied again: %v %v", st.SnapshotRead(), err)
		}
		set(t, coll, 8, "after", "the refusal")
		p.eventually(t, 30*time.Second, func() error { return equal(t.Context(), coll, b.search, b.index("orders")) })
	})
}

// lively are arguments of a mongod that tells its time every second although
// nobody writes: an idle one takes ten to let a copy end.
func lively() []string { return []string{"--setParameter", "periodicNoopIntervalSecs=1"} }

// as is a connection string with another login.
func as(t *testing.T, uri string, login *url.Userinfo) string {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	u.User = login
	return u.String()
}

// TestErrorEventOver16MB: events that are larger than a document may be. They
// need more cache than the shared server has.
func TestErrorEventOver16MB(t *testing.T) {
	m, err := testkit.StartMongo(t.Context(), testkit.MongoOptions{CacheGB: 1, ExtraArgs: lively()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Stop() })
	db := connect(t, m.URI()).Database(testkit.UniqueName(t))
	fresh := func(t *testing.T) bed {
		return bed{uri: m.URI(), search: testkit.SharedSearch(t).URL(), db: db, state: t.TempDir()}
	}
	t.Run("update", func(t *testing.T) { hugeUpdate(t, fresh(t)) })
	t.Run("key", func(t *testing.T) { giantKey(t, fresh(t)) })
}

// hugeUpdate: the event of an update could hold the new document and the
// difference, 9 MB each; it arrives all the same.
func hugeUpdate(t *testing.T, b bed) {
	coll := b.db.Collection("orders")
	const half = 9 << 20
	insert(t, coll, bson.D{{Key: "_id", Value: 1}, {Key: "n", Value: 0}, {Key: "pad", Value: strings.Repeat("a ", half/2)}})
	// The engine need not analyse all that: its time is not what is tested.
	p := following(t, "run", "-c", configFile(t, fmt.Sprintf(`
mongodb: {uri: %q}
search: {urls: [%q]}
state: {path: %q}
flows: [{name: big, namespaces: [%q], mappings: {dynamic: false}}]
`, b.uri, b.search, b.state, b.db.Name()+".orders")))
	set(t, coll, 1, "pad", strings.Repeat("b ", half/2))
	insert(t, coll, bson.D{{Key: "_id", Value: 2}, {Key: "pad", Value: strings.Repeat("c ", 15<<19)}})
	insert(t, coll, bson.D{{Key: "_id", Value: 3}, {Key: "n", Value: 3}})
	p.eventually(t, time.Minute, func() error {
		if n := p.flowStatus(t).Pump.Total.Sum(); n < 4 {
			return fmt.Errorf("%d of 4 changes are settled", n)
		}
		return nil
	})
	if err := equal(t.Context(), coll, b.search, b.index("orders")); err != nil {
		t.Error(err)
	}
	if f := p.flowStatus(t); f.DeadLetters != 0 {
		t.Errorf("%d dead letters", f.DeadLetters)
	}
	p.wantDrain(t)
}

// giantKey: an event holds its _id several times; no stream gets past one of
// 6 MB. The message shows the way out, which works.
func giantKey(t *testing.T, b bed) {
	coll := b.db.Collection("keys")
	insert(t, coll, bson.D{{Key: "_id", Value: "a"}})
	p := following(t, b.args("keys")...)
	giant := strings.Repeat("k", 6<<20)
	insert(t, coll, bson.D{{Key: "_id", Value: giant}})
	insert(t, coll, bson.D{{Key: "_id", Value: "b"}})
	if code := p.wait(t, 30*time.Second); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	wantWords(t, lastWords(p.output()), "16 MB", "_id", "delete that document", "move the saved state away")
	if n := len(p.output()); n > 8000 {
		t.Errorf("the message has %d bytes", n)
	}
	if _, err := coll.DeleteOne(t.Context(), bson.D{{Key: "_id", Value: giant}}); err != nil {
		t.Fatal(err)
	}
	b.state = t.TempDir()
	q := following(t, b.args("keys")...)
	insert(t, coll, bson.D{{Key: "_id", Value: "c"}})
	q.eventually(t, 20*time.Second, func() error { return equal(t.Context(), coll, b.search, b.index("keys")) })
	q.wantDrain(t)
}
