//go:build integration

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/testkit"
)

// oldConfig writes a monstache.toml.
func oldConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "monstache.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// old is what a test in Monstache's place stands on: the binary started by a
// monstache.toml, a database and the index of its collection "test".
type old struct {
	*process
	db     *mongo.Database
	search string
	http   string
}

// startOld starts `sluice monstache` and waits until it answers /healthz.
func startOld(t *testing.T, uri string, db *mongo.Database, engine, text string) *old {
	t.Helper()
	o := &old{db: db, search: engine, http: freeAddr(t)}
	text = fmt.Sprintf("mongo-url = %q\nelasticsearch-urls = [%q]\nenable-http-server = true\nhttp-server-addr = %q\n", uri, engine, o.http) + text
	o.process = launch(t, "monstache", "-f", oldConfig(t, text))
	o.eventually(t, time.Minute, func() error { return o.get("/healthz", nil) })
	return o
}

// get asks the HTTP server of Monstache's paths.
func (o *old) get(path string, into any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+o.http+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, resp.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// doc returns a document of an index as it is, found false if there is none.
func (o *old) doc(index, id string) (source map[string]any, found bool, err error) {
	var got struct {
		Found  bool           `json:"found"`
		Source map[string]any `json:"_source"`
	}
	err = call(context.Background(), http.MethodGet, o.search+"/"+index+"/_doc/"+id, "", &got)
	if err != nil && strings.Contains(err.Error(), "404") {
		return nil, false, nil
	}
	return got.Source, got.Found, err
}

// wantDoc waits until the document is there with that value of the field.
func (o *old) wantDoc(t *testing.T, coll, id, field string, want any) {
	t.Helper()
	o.eventually(t, time.Minute, func() error {
		source, found, err := o.doc(o.db.Name()+"."+coll, id)
		if got := fmt.Sprint(source[field]); err != nil || !found || got != fmt.Sprint(want) {
			return fmt.Errorf("%s of %s is %s, found %v, %w", field, id, got, found, err)
		}
		return nil
	})
}

// wantNoDoc waits until the document is gone.
func (o *old) wantNoDoc(t *testing.T, coll, id string) {
	t.Helper()
	o.eventually(t, time.Minute, func() error {
		if _, found, err := o.doc(o.db.Name()+"."+coll, id); err != nil || found {
			return fmt.Errorf("%s is there: %v, %w", id, found, err)
		}
		return nil
	})
}

// wantNoIndex waits until the index of a collection is gone.
func (o *old) wantNoIndex(t *testing.T, coll string) {
	t.Helper()
	o.eventually(t, time.Minute, func() error {
		err := call(context.Background(), http.MethodGet, o.search+"/"+o.db.Name()+"."+coll, "", nil)
		if err == nil || !strings.Contains(err.Error(), "404") {
			return fmt.Errorf("the index is there: %w", err)
		}
		return nil
	})
}

// awake writes until a change is seen: what is followed from now on begins some time
// after /healthz answers, as with Monstache.
func (o *old) awake(t *testing.T, coll *mongo.Collection) {
	t.Helper()
	o.eventually(t, time.Minute, func() error {
		_, err := coll.UpdateOne(t.Context(), bson.D{{Key: "_id", Value: "awake"}}, bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: 1}}}}, options.UpdateOne().SetUpsert(true))
		if err != nil {
			return err
		}
		if _, found, err := o.doc(coll.Database().Name()+"."+coll.Name(), "awake"); err != nil || !found {
			return fmt.Errorf("found %v: %w", found, err)
		}
		return nil
	})
}

// TestMonstacheSuite is Monstache's own black-box suite, by its configuration: the
// binary runs all the while, and each part begins by dropping the database, so that
// drops and the inserts right behind them have to come in order.
func TestMonstacheSuite(t *testing.T) {
	b := ownBed(t)
	o := startOld(t, b.uri, b.db, b.search, fmt.Sprintf(`
change-stream-namespaces = [""]
namespace-regex = "^%s\\."
namespace-drop-regex = "^%s\\."
elasticsearch-max-docs = 1
elasticsearch-max-seconds = 1
elasticsearch-max-conns = 1
`, b.db.Name(), b.db.Name()))
	coll := b.db.Collection("test")
	o.awake(t, coll)
	insert := func(doc bson.D) {
		t.Helper()
		if err := b.db.Drop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := coll.InsertOne(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
	}
	one := bson.D{{Key: "_id", Value: "1"}}
	with := func(data any) bson.D { return append(one, bson.E{Key: "data", Value: data}) }

	insert(with("data"))
	o.wantDoc(t, "test", "1", "data", "data")

	insert(with("data"))
	if _, err := coll.ReplaceOne(t.Context(), one, with("updated")); err != nil {
		t.Fatal(err)
	}
	o.wantDoc(t, "test", "1", "data", "updated")

	insert(with("other"))
	o.wantDoc(t, "test", "1", "data", "other")
	if _, err := coll.DeleteOne(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	o.wantNoDoc(t, "test", "1")

	insert(with(bson.A{}))
	o.wantDoc(t, "test", "1", "data", []any{})

	insert(with("data"))
	o.wantDoc(t, "test", "1", "data", "data")
	if err := b.db.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.wantNoIndex(t, "test")

	insert(with("data"))
	o.wantDoc(t, "test", "1", "data", "data")
	if err := coll.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.wantNoIndex(t, "test")
	if code := o.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestMonstacheMapping: indexes by mapping, ids, versions and values as Monstache
// leaves them, and what is copied again at each start.
func TestMonstacheMapping(t *testing.T) {
	b := newBed(t)
	coll := b.db.Collection("Things")
	at := time.Date(2024, 2, 3, 4, 5, 6, 7e6, time.UTC)
	if _, err := coll.InsertOne(t.Context(), bson.D{{Key: "_id", Value: 10.0}, {Key: "at", Value: at}, {Key: "text", Value: "<a>"}}); err != nil {
		t.Fatal(err)
	}
	index := b.db.Name() + "-all"
	text := fmt.Sprintf("direct-read-namespaces = [\"%[1]s.Things\"]\nchange-stream-namespaces = [\"%[1]s\"]\n[[mapping]]\nnamespace = \"%[1]s.Things\"\nindex = \"%[2]s\"\n",
		b.db.Name(), strings.ToUpper(index))
	o := startOld(t, b.uri, b.db, b.search, text)
	o.eventually(t, time.Minute, func() error {
		source, found, err := o.doc(index, "10")
		if err != nil || !found || source["at"] != "2024-02-03T04:05:06.007Z" || source["text"] != "<a>" {
			return fmt.Errorf("%v %v %w", found, source, err)
		}
		return nil
	})
	if code := o.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	// A document of the index is lost: the next start copies again, and brings it back.
	var lost struct {
		Version int64 `json:"_version"`
	}
	if err := call(t.Context(), http.MethodGet, b.search+"/"+index+"/_doc/10", "", &lost); err != nil {
		t.Fatal(err)
	}
	if err := call(t.Context(), http.MethodDelete, fmt.Sprintf("%s/%s/_doc/10?version_type=external_gte&version=%d", b.search, index, lost.Version), "", nil); err != nil {
		t.Fatal(err)
	}
	o = startOld(t, b.uri, b.db, b.search, text)
	o.eventually(t, time.Minute, func() error {
		if _, found, err := o.doc(index, "10"); err != nil || !found {
			return fmt.Errorf("found %v, %w", found, err)
		}
		return nil
	})
}

// guarded starts three members with a key file and users, and returns the address of
// a user who may read one database and write Monstache's own.
func guarded(t *testing.T, db string) (uri string, root *mongo.Client) {
	t.Helper()
	m, err := testkit.StartMongo(t.Context(), testkit.MongoOptions{Nodes: 3, Auth: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Stop() })
	root = connect(t, m.URI())
	user := bson.D{
		{Key: "createUser", Value: "monstache"},
		{Key: "pwd", Value: "s3cret"},
		{Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: "read"}, {Key: "db", Value: db}}, bson.D{{Key: "role", Value: "readWrite"}, {Key: "db", Value: "monstache"}}}},
	}
	if err := root.Database("admin").RunCommand(t.Context(), user).Err(); err != nil {
		t.Fatal(err)
	}
	opts := options.Client().ApplyURI(m.URI())
	return fmt.Sprintf("mongodb://monstache:s3cret@%s/?replicaSet=%s&authSource=admin", strings.Join(opts.Hosts, ","), *opts.ReplicaSet), root
}

// runConverted goes on where a process was that was started by a monstache.toml, with
// what `config convert` makes of that.
func runConverted(t *testing.T, before *process) *process {
	t.Helper()
	path := before.cmd.Args[len(before.cmd.Args)-1]
	got := verb(t, nil, "config", "convert", "--from", "monstache", path)
	if got.code != 0 {
		t.Fatalf("exit code %d: %s", got.code, got.errOut)
	}
	return launch(t, "run", "-c", configFile(t, got.out))
}

// TestMonstacheTypical runs what its users have: a file unchanged but for addresses
// and names, on three members with a key file and users, of whom the one that is used
// may read one database and write Monstache's.
func TestMonstacheTypical(t *testing.T) {
	engine := testkit.SharedSearch(t).URL()
	name := testkit.UniqueName(t)
	uri, root := guarded(t, name)
	db := root.Database(name)
	coll := db.Collection("collection")
	if _, err := coll.InsertMany(t.Context(), []any{bson.D{{Key: "_id", Value: "kept"}}, bson.D{{Key: "_id", Value: "gone"}, {Key: "deletedAt", Value: time.Now()}}}); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(`
direct-read-namespaces = ["db.collection"]
change-stream-namespaces = ["db.collection"]
gzip = true
stats = true
index-stats = true
elasticsearch-max-conns = 4
dropped-collections = true
dropped-databases = true
replay = false
resume = true
resume-write-unsafe = false
resume-name = "default"
resume-strategy = 1
index-files = true
file-highlighting = true
verbose = true
stats-duration = "1s"

[[script]]
namespace = "db.collection"
script = """
module.exports = function(doc) {
    if (!!doc.deletedAt) {
        return false;
    }
    return true;
}
"""
`, "db.", name+".")
	set := func(id string, update bson.D) {
		t.Helper()
		if _, err := coll.UpdateOne(t.Context(), bson.D{{Key: "_id", Value: id}}, update); err != nil {
			t.Fatal(err)
		}
	}
	o := startOld(t, uri, db, engine, text)
	o.wantDoc(t, "collection", "kept", "x", nil)
	set("kept", bson.D{{Key: "$set", Value: bson.D{{Key: "deletedAt", Value: time.Now()}}}})
	o.wantNoDoc(t, "collection", "kept")
	set("kept", bson.D{{Key: "$unset", Value: bson.D{{Key: "deletedAt", Value: 1}}}, {Key: "$set", Value: bson.D{{Key: "x", Value: "back"}}}})
	o.wantDoc(t, "collection", "kept", "x", "back")
	if _, found, err := o.doc(name+".collection", "gone"); err != nil || found {
		t.Errorf("what was deleted before is found: %v, %v", found, err)
	}
	o.eventually(t, time.Minute, func() error {
		var got struct {
			Count int `json:"count"`
		}
		layout := strings.ToLower(time.Now().UTC().Format("monstache.stats.2006-01-02"))
		if err := call(t.Context(), http.MethodGet, engine+"/"+layout+"/_count?q=Pid:"+fmt.Sprint(o.cmd.Process.Pid), "", &got); err != nil || got.Count == 0 {
			return fmt.Errorf("%d documents of statistics, %w", got.Count, err)
		}
		return nil
	})
	var stats struct{ Indexed, Deleted int }
	if err := o.get("/stats", &stats); err != nil || stats.Indexed < 2 || stats.Deleted < 1 {
		t.Errorf("statistics %+v, %v", stats, err)
	}
	for _, want := range []string{"WARN ", "index-files has no effect", "STATS ", "TRACE "} {
		if !strings.Contains(o.output(), want) {
			t.Errorf("the log lacks %q", want)
		}
	}
	if strings.Contains(o.output(), "s3cret") {
		t.Error("the log holds the password")
	}
	// What happens while it is down is made up for: the position is resumed.
	if code := o.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, err := coll.DeleteOne(t.Context(), bson.D{{Key: "_id", Value: "kept"}}); err != nil {
		t.Fatal(err)
	}
	o.process = runConverted(t, o.process)
	o.wantNoDoc(t, "collection", "kept")
	if err := coll.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.wantNoIndex(t, "collection")
	if n, err := root.Database("monstache").Collection("sluice.checkpoints").CountDocuments(t.Context(), bson.D{{Key: "_id", Value: "default"}}); err != nil || n != 1 {
		t.Errorf("%d positions in Monstache's database, %v", n, err)
	}
}

// TestMonstacheOnce runs without any file, by the name of Monstache: variables and
// flags say what to copy, and it ends when that is done.
func TestMonstacheOnce(t *testing.T) {
	b := ownBed(t)
	for _, name := range []string{"a", "b", "fs.chunks"} {
		if _, err := b.db.Collection(name).InsertOne(t.Context(), bson.D{{Key: "_id", Value: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "monstache")
	if err := os.Symlink(bin, link); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(secret, []byte(b.uri+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, link, "--direct-read-namespace=", "-exit-after-direct-reads", "-direct-read-dynamic-include-regex", `^`+b.db.Name()+`\.`)
	cmd.Env = append(os.Environ(), "MONSTACHE_MONGO_URL__FILE="+secret, "MONSTACHE_ES_URLS="+b.search, "MONSTACHE_DIRECT_READ_NS_DYNAMIC_EXCLUDE_REGEX=b$")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	o := &old{db: b.db, search: b.search}
	for coll, want := range map[string]bool{"a": true, "b": false, "fs.chunks": false} {
		if _, found, err := o.doc(b.index(coll), "1"); err != nil || found != want {
			t.Errorf("%s: found %v, want %v, %v", coll, found, want, err)
		}
	}
}
