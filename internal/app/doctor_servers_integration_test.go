//go:build integration

package app

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"sluice/internal/flow"
	"sluice/internal/testkit"
)

// elsewhere moves a clinic to a MongoDB of its own.
func (c *clinic) elsewhere(o testkit.MongoOptions) *testkit.Mongo {
	c.t.Helper()
	o.Own = true
	m, err := testkit.StartMongo(c.t.Context(), o)
	c.must(m, err)
	c.t.Cleanup(func() { _ = m.Stop() })
	client, err := driver.Connect(options.Client().ApplyURI(m.URI()))
	c.must(client, err)
	c.t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	c.client, c.db, c.uri = client, client.Database(c.db.Name()), m.URI()
	c.insert("orders", bson.A{bson.D{{Key: "_id", Value: 1}, {Key: "at", Value: bson.DateTime(1e12)}}})
	c.insert("secret", bson.A{bson.D{{Key: "_id", Value: 1}}})
	c.must(c.db.Collection("orders").Indexes().CreateOne(c.t.Context(), driver.IndexModel{Keys: bson.D{{Key: "at", Value: 1}, {Key: "_id", Value: 1}}}))
	return m
}

// TestDoctorStandalone: no change streams; the whole cure is told.
func TestDoctorStandalone(t *testing.T) {
	c := newClinic(t)
	c.elsewhere(testkit.MongoOptions{Standalone: true})
	d := c.diagnose()
	d.find(t, flow.FindingError, "mongodb.replica_set", "standalone", "--replSet", "rs.initiate()", "0400")
	d.find(t, flow.FindingError, "archive.plan", "transactions")
}

// TestDoctorRights: a user who lacks one right after another.
func TestDoctorRights(t *testing.T) {
	c := newClinic(t)
	m := c.elsewhere(testkit.MongoOptions{Auth: true, ExtraArgs: []string{"--networkMessageCompressors", "disabled"}})
	root := m.URI()
	admin := c.client.Database("admin")
	on := func(db, coll string, actions ...string) bson.D {
		return bson.D{{Key: "resource", Value: bson.D{{Key: "db", Value: db}, {Key: "collection", Value: coll}}}, {Key: "actions", Value: actions}}
	}
	cluster := bson.D{{Key: "resource", Value: bson.D{{Key: "cluster", Value: true}}}, {Key: "actions", Value: bson.A{"serverStatus", "replSetGetStatus", "replSetGetConfig"}}}
	app := c.db.Name()
	grants := map[string]bson.D{
		"stream": on(app, "", "changeStream"), "list": on(app, "", "listCollections", "listIndexes"), "stats": on(app, "", "collStats"),
		"find": on(app, "", "find"), "orders": on(app, "orders", "find"), "remove": on(app, "orders", "remove"),
		"own":   on("sluice", "", "find", "insert", "update", "remove", "createCollection", "createIndex"),
		"oplog": on("local", "oplog.rs", "find", "collStats"), "cluster": cluster,
	}
	user := func(name string, rights ...string) {
		t.Helper()
		all := bson.A{}
		for _, r := range rights {
			all = append(all, grants[r])
		}
		c.must(nil, admin.RunCommand(t.Context(), bson.D{{Key: "createRole", Value: name}, {Key: "privileges", Value: all}, {Key: "roles", Value: bson.A{}}}).Err())
		c.must(nil, admin.RunCommand(t.Context(), bson.D{{Key: "createUser", Value: name}, {Key: "pwd", Value: "s3cret-pw"}, {Key: "roles", Value: bson.A{name}}}).Err())
		c.uri = "mongodb://" + name + ":s3cret-pw@" + strings.SplitN(root, "@", 2)[1]
	}
	user("whole", "stream", "list", "stats", "find", "remove", "own", "oplog", "cluster")
	c.uri += "&compressors=zstd"
	d := c.diagnose()
	d.find(t, flow.FindingWarning, "mongodb.compressors", "zstd", "net:")
	for _, f := range d.Findings {
		if f.Severity != flow.FindingOK && f.Check != "mongodb.compressors" {
			t.Errorf("the smallest roles are not enough: %+v", f)
		}
	}
	for _, x := range []struct {
		rights   string
		severity flow.Severity
		check    string
		words    []string
	}{
		{"list stats find remove own oplog cluster", flow.FindingError, "mongodb.change_stream", []string{"createRole", "changeStream"}},
		{"stream list stats orders remove own oplog cluster", flow.FindingError, "mongodb.rights", []string{"no right to find on " + app + ".secret", "createRole"}},
		{"stream list find remove own oplog cluster", flow.FindingWarning, "mongodb.rights", []string{"collStats", "createRole"}},
		{"stream list stats find remove own cluster", flow.FindingWarning, "mongodb.oplog", []string{"may not read the oplog", "oplog.rs"}},
		{"stream list stats find remove oplog cluster", flow.FindingError, "mongodb.own_database", []string{"database sluice", "insert, update"}},
		{"stream list stats find own oplog cluster", flow.FindingError, "mongodb.rights", []string{"rule old", "remove", "delete: false"}},
		{"stream list stats find remove own oplog", flow.FindingError, "archive.governor", []string{"replSetGetStatus", "unknown_lag"}},
		{"", flow.FindingError, "mongodb.rights", []string{"createRole"}},
	} {
		user(strings.ReplaceAll(x.rights+"u", " ", "_"), strings.Fields(x.rights)...)
		c.diagnose().find(t, x.severity, x.check, x.words...)
	}
	c.uri = strings.Replace(root, ":sluice-test@", ":s3cret-pw@", 1)
	c.diagnose().find(t, flow.FindingError, "mongodb.login", "log in", "authSource")
}

// TestDoctorMembers: one member down warns, two leave no majority.
func TestDoctorMembers(t *testing.T) {
	c := newClinic(t)
	m := c.elsewhere(testkit.MongoOptions{Nodes: 3, FailPoints: true})
	i, err := m.Primary(t.Context())
	c.must(i, err)
	var direct []*driver.Client
	for _, n := range []int{(i + 1) % 3, (i + 2) % 3} {
		one, err := driver.Connect(options.Client().ApplyURI(m.DirectURI(n)).SetServerSelectionTimeout(time.Second))
		c.must(one, err)
		t.Cleanup(func() { _ = one.Disconnect(context.Background()) })
		direct = append(direct, one)
	}
	// Both secondaries stop applying, and no majority has what is written.
	applying := func(mode string) {
		for _, one := range direct {
			c.must(nil, one.Database("admin").RunCommand(t.Context(), bson.D{{Key: "configureFailPoint", Value: "rsSyncApplyStop"}, {Key: "mode", Value: mode}}).Err())
		}
	}
	applying("alwaysOn")
	one := c.db.Collection("orders", options.Collection().SetWriteConcern(writeconcern.W1()))
	c.must(one.InsertOne(t.Context(), bson.D{{Key: "_id", Value: 2}}))
	c.diagnose().find(t, flow.FindingError, "mongodb.majority", "no majority", "rs.status()")
	applying("off")

	c.must(nil, m.Kill((i+1)%3))
	testkit.Eventually(t, waitLong, func() error { return told(c, flow.FindingWarning, "mongodb.members") })
	c.diagnose().find(t, flow.FindingWarning, "mongodb.members", "1 of 3", "rs.status()")
	c.must(nil, m.Kill((i+2)%3))
	c.uri += "&serverSelectionTimeoutMS=2000"
	testkit.Eventually(t, waitLong, func() error { return told(c, flow.FindingError, "mongodb.majority") })
}

// TestDoctorOplog: an oplog that has rolled over, and a copy that takes longer.
func TestDoctorOplog(t *testing.T) {
	c := newClinic(t)
	c.elsewhere(testkit.MongoOptions{OplogMB: 4, SyncDelay: 1})
	filler := strings.Repeat("x", 100_000)
	for i := range 200 {
		c.insert("filler", bson.A{bson.D{{Key: "_id", Value: i}, {Key: "s", Value: filler}}})
	}
	c.flowMore = "    snapshot: {rate: 0.01}\n"
	testkit.Eventually(t, waitLong, func() error { return told(c, flow.FindingWarning, "mongodb.oplog") })
	d := c.diagnose()
	d.find(t, flow.FindingWarning, "mongodb.oplog", "reaches back only", "replSetResizeOplog")
	d.find(t, flow.FindingError, "mongodb.snapshot_time", "a copy of about", "replSetResizeOplog", "snapshot.rate")
}
