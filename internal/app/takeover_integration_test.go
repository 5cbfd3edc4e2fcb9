//go:build integration

package app

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/testkit"
)

// formerStage is a stage with an index that somebody else has filled, and a
// database with what Monstache keeps.
type formerStage struct {
	*watchStage
	own *driver.Database
}

func newFormerStage(t *testing.T, colls ...string) formerStage {
	t.Helper()
	s := formerStage{watchStage: newWatchStage(t)}
	s.own = s.db.Client().Database(s.db.Name() + "_m")
	for _, c := range colls {
		s.insert(t, c, 100)
	}
	a, stop := run(t, Options{Config: s.cfg})
	testkit.Eventually(t, time.Minute, copied(a))
	must(t, stop())
	return s
}

// takeOver starts a flow that has no position, on a file.
func (s formerStage) takeOver(t *testing.T, text string) (*App, func() error) {
	t.Helper()
	s.anew(t, text)
	return s.start(t, 0)
}

// anew writes a file whose flows have no positions.
func (s formerStage) anew(t *testing.T, text string) {
	t.Helper()
	before, _, _ := strings.Cut(s.head, "state:")
	s.head = before + fmt.Sprintf("state: {path: %q}\nhttp: {listen: off}\n", t.TempDir())
	s.write(t, text)
}

// times keeps the position as strategy 0 does.
func (s formerStage) times(t *testing.T, at bson.Timestamp) {
	t.Helper()
	_, err := s.own.Collection("monstache").UpdateOne(t.Context(), bson.D{{Key: "_id", Value: "default"}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "ts", Value: at}}}}, options.UpdateOne().SetUpsert(true))
	must(t, err)
}

// taken returns the time, and the resume token on a stream of coll, of an event
// that Monstache has taken.
func (s formerStage) taken(t *testing.T, coll string) (bson.Timestamp, bson.Raw) {
	t.Helper()
	cs, err := s.db.Collection(coll).Watch(t.Context(), driver.Pipeline{})
	must(t, err)
	defer func() { _ = cs.Close(context.Background()) }()
	_, err = s.db.Collection(coll).UpdateOne(t.Context(), bson.D{{Key: "_id", Value: 0}}, bson.D{{Key: "$set", Value: bson.D{{Key: "n", Value: 0}, {Key: "taken", Value: bson.NewObjectID()}}}})
	must(t, err)
	if !cs.Next(t.Context()) {
		t.Fatal(cs.Err())
	}
	sec, inc := cs.Current.Lookup("clusterTime").Timestamp()
	return bson.Timestamp{T: sec, I: inc}, slices.Clone(cs.ResumeToken())
}

// meanwhile changes a collection after Monstache has ended: what is gone, new and
// updated has to arrive.
func (s formerStage) meanwhile(t *testing.T, coll string) {
	t.Helper()
	c := s.db.Collection(coll)
	_, err := c.DeleteOne(t.Context(), bson.D{{Key: "_id", Value: 5}})
	must(t, err)
	_, err = c.UpdateOne(t.Context(), bson.D{{Key: "_id", Value: 7}}, bson.D{{Key: "$set", Value: bson.D{{Key: "n", Value: 700}}}})
	must(t, err)
	_, err = c.InsertOne(t.Context(), bson.D{{Key: "_id", Value: 1000}, {Key: "n", Value: 1000}})
	must(t, err)
}

// arrived waits until all that happened meanwhile is in the index.
func (s formerStage) arrived(t *testing.T, coll string) {
	t.Helper()
	url := s.cfg.Search.URLs[0] + "/" + s.db.Name() + "." + coll + "/_doc/"
	testkit.Eventually(t, time.Minute, func() error {
		if err := ask(t.Context(), "GET", url+"5", "", nil); err == nil {
			return fmt.Errorf("%s: 5 is still there", coll)
		}
		for id, n := range map[string]int{"7": 700, "1000": 1000, "8": 8} {
			var doc struct {
				Source struct {
					N int `json:"n"`
				} `json:"_source"`
			}
			if err := ask(t.Context(), "GET", url+id, "", &doc); err != nil || doc.Source.N != n {
				return fmt.Errorf("%s: %s is %d: %w", coll, id, doc.Source.N, err)
			}
		}
		return nil
	})
	s.whole(t, coll)
}

// goesOn opens the stream as Monstache would, and wants the next change of coll
// to be its first.
func (s formerStage) goesOn(t *testing.T, coll string, o *options.ChangeStreamOptionsBuilder) {
	t.Helper()
	cs, err := s.db.Collection(coll).Watch(t.Context(), driver.Pipeline{}, o)
	must(t, err)
	defer func() { _ = cs.Close(context.Background()) }()
	_, err = s.db.Collection(coll).InsertOne(t.Context(), bson.D{{Key: "_id", Value: 5000}})
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if !cs.Next(ctx) {
		t.Fatalf("nothing comes: %v", cs.Err())
	}
	if id := cs.Current.Lookup("documentKey", "_id").AsInt64(); id != 5000 {
		t.Errorf("the first change is that of %d", id)
	}
}

// settled waits until everything of now is settled.
func (s formerStage) settled(t *testing.T, a *App) {
	t.Helper()
	now := s.now(t)
	testkit.Eventually(t, time.Minute, func() error {
		f := a.live()[0]
		if !f.opened.Load() {
			return fmt.Errorf("not open: %s", a.Status().Text())
		}
		if at, ok := f.source.Settled(); !ok || at.Before(now) {
			return fmt.Errorf("settled up to %v of %v", at, now)
		}
		return nil
	})
}

func (s formerStage) now(t *testing.T) bson.Timestamp {
	t.Helper()
	raw, err := s.db.RunCommand(t.Context(), bson.D{{Key: "ping", Value: 1}}).Raw()
	must(t, err)
	sec, inc := raw.Lookup("operationTime").Timestamp()
	return bson.Timestamp{T: sec, I: inc}
}

// TestTakeoverByTime: nothing is copied a second time, what happened since
// arrives, and the way back is open.
func TestTakeoverByTime(t *testing.T) {
	s := newFormerStage(t, "a", "b")
	at, _ := s.taken(t, "a")
	s.times(t, at)
	s.meanwhile(t, "a")
	s.meanwhile(t, "b")
	text := "flows: [{name: sync, namespaces: [DB.*], takeover: {from: monstache, database: DB_m, mirror: true}}]\n"
	a, stop := s.takeOver(t, text)
	s.arrived(t, "a")
	s.arrived(t, "b")
	if n := a.Status().SnapshotRead(); n != 0 {
		t.Errorf("%d documents were copied again", n)
	}
	// As much as there was, with what was taken already.
	if n := a.Status().Settled(); n != 7 {
		t.Errorf("%d changes were written", n)
	}
	s.settled(t, a)
	must(t, stop())
	var row struct{ TS bson.Timestamp }
	must(t, s.own.Collection("monstache").FindOne(t.Context(), bson.D{{Key: "_id", Value: "default"}}).Decode(&row))
	if !row.TS.After(at) {
		t.Fatalf("the position stays at %v", row.TS)
	}
	var list struct{ NS []string }
	must(t, s.own.Collection("directreads").FindOne(t.Context(), bson.D{{Key: "_id", Value: "default"}}).Decode(&list))
	if slices.Sort(list.NS); !slices.Equal(list.NS, []string{s.db.Name() + ".a", s.db.Name() + ".b"}) {
		t.Errorf("copied: %v", list.NS)
	}
	next := bson.Timestamp{T: row.TS.T, I: row.TS.I + 1}
	s.goesOn(t, "a", options.ChangeStream().SetStartAtOperationTime(&next))
	// Who starts anew now goes on from there, though the position is our own.
	_, err := s.db.Collection("b").DeleteOne(t.Context(), bson.D{{Key: "_id", Value: 9}})
	must(t, err)
	a, stop = s.takeOver(t, text)
	s.whole(t, "a")
	s.whole(t, "b")
	if n := a.Status().SnapshotRead(); n != 0 {
		t.Errorf("%d documents were copied again", n)
	}
	must(t, stop())
}

// TestTakeoverByToken: of several streams, one that is of no concern among them,
// the one furthest behind counts.
func TestTakeoverByToken(t *testing.T) {
	s := newFormerStage(t, "a", "b")
	tokens := s.own.Collection("tokens")
	put := func(coll string, token any) {
		t.Helper()
		_, err := tokens.InsertOne(t.Context(), bson.D{{Key: "resumeName", Value: "shop"}, {Key: "streamID", Value: s.db.Name() + "." + coll}, {Key: "token", Value: token}})
		must(t, err)
	}
	_, early := s.taken(t, "b")
	s.meanwhile(t, "b")
	_, late := s.taken(t, "a")
	put("gone", bson.D{{Key: "_data", Value: "8250000000000000012B0229296E04"}})
	put("a", late)
	put("b", early)
	s.meanwhile(t, "a")
	_, err := s.own.Collection("directreads").InsertOne(t.Context(), bson.D{{Key: "_id", Value: "shop"}, {Key: "ns", Value: bson.A{s.db.Name() + ".a"}}})
	must(t, err)
	a, stop := s.takeOver(t, "flows: [{name: sync, namespaces: [DB.a, DB.b], takeover: {from: monstache, database: DB_m, name: shop, strategy: token, mirror: true}}]\n")
	s.arrived(t, "a")
	s.arrived(t, "b")
	testkit.Eventually(t, time.Minute, copied(a))
	// The direct read of b had not finished.
	if n := a.Status().SnapshotRead(); n != 100 {
		t.Errorf("%d documents were copied", n)
	}
	s.settled(t, a)
	must(t, stop())
	for _, coll := range []string{"a", "b"} {
		var row struct{ Token bson.Raw }
		must(t, tokens.FindOne(t.Context(), bson.D{{Key: "resumeName", Value: "shop"}, {Key: "streamID", Value: s.db.Name() + "." + coll}}).Decode(&row))
		s.goesOn(t, coll, options.ChangeStream().SetResumeAfter(row.Token))
	}
	if n, err := tokens.CountDocuments(t.Context(), bson.D{}); err != nil || n != 3 {
		t.Errorf("%d tokens, %v", n, err)
	}
	var list struct{ NS []string }
	must(t, s.own.Collection("directreads").FindOne(t.Context(), bson.D{{Key: "_id", Value: "shop"}}).Decode(&list))
	if len(list.NS) != 2 {
		t.Errorf("copied: %v", list.NS)
	}
}

// TestTakeoverOfNothing: without a position of Monstache the flow starts anew, and
// one that can't be its own is refused before anything is written.
func TestTakeoverOfNothing(t *testing.T) {
	s := newFormerStage(t, "a")
	text := "flows: [{name: sync, namespaces: [DB.a], takeover: {from: monstache, database: DB_m}}]\n"
	a, stop := s.takeOver(t, text)
	testkit.Eventually(t, time.Minute, copied(a))
	if n := a.Status().SnapshotRead(); n != 100 {
		t.Errorf("%d documents were copied", n)
	}
	must(t, stop())
	s.anew(t, text)
	diagnosis := func(severity flow.Severity, text string) {
		t.Helper()
		d, err := Doctor(t.Context(), DoctorOptions{Config: s.options(t, 0).Config})
		must(t, err)
		if !slices.ContainsFunc(d.Findings, func(f flow.Finding) bool {
			return f.Check == "takeover.position" && f.Severity == severity && strings.Contains(f.What, text)
		}) {
			t.Errorf("doctor does not say %q: %+v", text, d.Findings)
		}
	}
	diagnosis(flow.FindingWarning, "there is no position of Monstache")
	s.times(t, s.now(t))
	diagnosis(flow.FindingOK, "go on where Monstache was")
	s.times(t, bson.Timestamp{T: 5, I: 1})
	diagnosis(flow.FindingError, "no longer reaches back")
	f := func(ts any, class flow.Class, why string) {
		t.Helper()
		_, err := s.own.Collection("monstache").UpdateOne(t.Context(), bson.D{{Key: "_id", Value: "default"}},
			bson.D{{Key: "$set", Value: bson.D{{Key: "ts", Value: ts}}}}, options.UpdateOne().SetUpsert(true))
		must(t, err)
		s.anew(t, text)
		if err := New(s.options(t, 0)).Run(t.Context(), nil); flow.ClassOf(err) != class || !strings.Contains(fmt.Sprint(err), why) {
			t.Errorf("%v: %v", ts, err)
		}
	}
	f("yesterday", flow.Config, "no timestamp")
	f(bson.Timestamp{T: 1<<32 - 1, I: 1}, flow.Config, "lies in the future")
}

// TestTakeoverRights: who may not read or write there is told which privilege is
// missing.
func TestTakeoverRights(t *testing.T) {
	m, err := testkit.StartMongo(t.Context(), testkit.MongoOptions{Auth: true})
	must(t, err)
	t.Cleanup(func() { _ = m.Stop() })
	client, err := driver.Connect(options.Client().ApplyURI(m.URI()))
	must(t, err)
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	s := newStage(t)
	name := s.db.Name()
	admin := client.Database("admin")
	must(t, admin.RunCommand(t.Context(), bson.D{
		{Key: "createUser", Value: "sync"},
		{Key: "pwd", Value: "s3cret"},
		{Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: "read"}, {Key: "db", Value: name}}}},
	}).Err())
	s.cfg.MongoDB.URI = config.Secret(strings.Replace(m.URI(), "root:sluice-test@", "sync:s3cret@", 1))
	s.cfg.Flows[0].Takeover = config.Takeover{From: config.FromMonstache, Database: "monstache", Name: "default", Strategy: config.StrategyTimestamp, Copied: config.CopiedIndexed}
	f := func(mirror bool, coll string) {
		t.Helper()
		s.cfg.Flows[0].Takeover.Mirror = mirror
		err := New(Options{Config: s.cfg, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}).Run(t.Context(), nil)
		want := fmt.Sprintf(`on {db: "monstache", collection: %q}`, coll)
		if flow.ClassOf(err) != flow.Auth || !strings.Contains(fmt.Sprint(err), want) || strings.Contains(fmt.Sprint(err), "s3cret") {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	f(false, "monstache")
	must(t, admin.RunCommand(t.Context(), bson.D{{Key: "grantRolesToUser", Value: "sync"}, {Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: "read"}, {Key: "db", Value: "monstache"}}}}}).Err())
	f(true, "monstache")
}

// TestTakeoverOfItsIndex: an index as Monstache leaves it, with its ids and its
// versions, goes on under its profile: nothing is indexed a second time.
func TestTakeoverOfItsIndex(t *testing.T) {
	s := emptyStage(t)
	s.insert(t, "a", 100)
	at := s.now(t)
	var bulk strings.Builder
	for i := range 100 { // as its direct reads write
		fmt.Fprintf(&bulk, `{"index":{"_index":%q,"_id":"%d","version":%d,"version_type":"external"}}`+"\n"+`{"n":%d}`+"\n", s.db.Name()+".a", i, int64(at.T)<<32, i)
	}
	var out struct {
		Errors bool `json:"errors"`
	}
	must(t, ask(t.Context(), "POST", s.cfg.Search.URLs[0]+"/_bulk?refresh=true", bulk.String(), &out))
	if out.Errors {
		t.Fatal("the index can't be filled")
	}
	s.times(t, at)
	s.meanwhile(t, "a")
	a, stop := s.takeOver(t, "flows: [{name: sync, namespaces: [DB.a], profile: monstache, snapshot: {repeat: always}, takeover: {from: monstache, database: DB_m, mirror: true}}]\n")
	s.arrived(t, "a")
	s.settled(t, a)
	if n, w := a.Status().SnapshotRead(), a.Status().Settled(); n != 0 || w != 4 {
		t.Errorf("%d documents were copied again, %d changes written", n, w)
	}
	must(t, stop())
	var doc struct {
		Version int64 `json:"_version"`
	}
	for id, untouched := range map[string]bool{"8": true, "7": false} {
		must(t, ask(t.Context(), "GET", s.cfg.Search.URLs[0]+"/"+s.db.Name()+".a/_doc/"+id, "", &doc))
		if got := doc.Version == int64(at.T)<<32; got != untouched {
			t.Errorf("%s has the version %d", id, doc.Version)
		}
	}
}
