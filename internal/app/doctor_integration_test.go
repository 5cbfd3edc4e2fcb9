//go:build integration

package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/testkit"
)

// clinic is a sound set-up on real servers: a flow and a rule of the archive.
// A fault is planted by changing it, or what is on its servers.
type clinic struct {
	t          *testing.T
	client     *driver.Client
	db         *driver.Database
	dir        string
	uri        string
	urls       []string
	bucket     string
	endpoint   string
	key        string
	namespaces string
	flowMore   string // more fields of the flow
	ruleMore   string
	more       string // more sections
	listen     string
	httpMore   string // more fields of http
	options    DoctorOptions
}

func newClinic(t *testing.T) *clinic {
	t.Helper()
	m, s, b := testkit.SharedMongo(t), testkit.SharedSearch(t), testkit.SharedS3(t)
	client, err := driver.Connect(options.Client().ApplyURI(m.URI()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	name := testkit.UniqueName(t)
	c := &clinic{
		t: t, client: client, db: client.Database(name), dir: t.TempDir(), uri: m.URI(), urls: []string{s.URL()},
		bucket: b.Bucket(), endpoint: b.Endpoint(), key: b.AccessKey(), namespaces: name + ".*", listen: "off",
	}
	c.insert("orders", bson.A{
		bson.D{{Key: "_id", Value: 1}, {Key: "at", Value: bson.DateTime(1e12)}, {Key: "name", Value: "a"}, {Key: "n", Value: 1}},
		bson.D{{Key: "_id", Value: 2}, {Key: "at", Value: bson.DateTime(2e12)}, {Key: "name", Value: "b"}, {Key: "n", Value: 2.5}},
	})
	c.must(c.db.Collection("orders").Indexes().CreateOne(t.Context(), driver.IndexModel{Keys: bson.D{{Key: "at", Value: 1}, {Key: "_id", Value: 1}}}))
	return c
}

func (c *clinic) must(_ any, err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *clinic) insert(coll string, docs bson.A) {
	c.t.Helper()
	c.must(c.db.Collection(coll).InsertMany(c.t.Context(), docs))
}

// ask sends a request to the engine, and wants it to succeed.
func (c *clinic) ask(method, path, body string) string {
	c.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, testkit.SharedSearch(c.t).URL()+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		c.t.Fatalf("%s %s: %s %s, %v", method, path, res.Status, text, err)
	}
	return string(text)
}

// index makes an index, and removes it at the end.
func (c *clinic) index(name, body string) {
	c.t.Helper()
	c.ask("PUT", "/"+name, body)
	c.t.Cleanup(func() {
		c.ask("PUT", "/"+name+"/_settings", `{"index.blocks.write":null,"index.blocks.read_only":null}`)
		c.ask("DELETE", "/"+name, "")
	})
}

// cluster changes settings of the cluster, and takes them back at the end.
func (c *clinic) cluster(names ...string) {
	c.t.Helper()
	var on, off []string
	for i := 0; i < len(names); i += 2 {
		on = append(on, fmt.Sprintf("%q:%q", names[i], names[i+1]))
		off = append(off, fmt.Sprintf("%q:null", names[i]))
	}
	c.t.Cleanup(func() { c.ask("PUT", "/_cluster/settings", `{"persistent":{`+strings.Join(off, ",")+`}}`) })
	c.ask("PUT", "/_cluster/settings", `{"persistent":{`+strings.Join(on, ",")+`}}`)
}

// alias is the name that the orders go to.
func (c *clinic) alias() string { return c.db.Name() + ".orders" }

const secretOfNobody = "no-such-s3cret"

func (c *clinic) load() *config.Config {
	c.t.Helper()
	secret := testkit.SharedS3(c.t).SecretKey()
	if c.key == "wrong" {
		secret = secretOfNobody
	}
	text := fmt.Sprintf("mongodb: {uri: %q}\nsearch: {urls: [%s]}\nhttp: {listen: %q%s}\n", c.uri, "'"+strings.Join(c.urls, "', '")+"'", c.listen, c.httpMore) +
		fmt.Sprintf("s3: {endpoint: %q, region: %q, path_style: true, access_key: %q, secret_key: %q}\n", c.endpoint, testkit.SharedS3(c.t).Region(), c.key, secret) +
		"governor: {max_dirty: 1}\n"
	if !strings.Contains(c.more, "state:") {
		text += "state: {path: " + c.dir + "/state/deep}\n"
	}
	text += c.more + "flows:\n  - name: " + strings.ReplaceAll(c.db.Name(), "_", "-") + "\n    namespaces: [\"" + c.namespaces + "\"]\n" + c.flowMore +
		"archive:\n  - {name: old, namespace: " + c.db.Name() + ".orders, field: at, older_than: 365d, max_share: 1, to: s3://" + c.bucket + "/" + c.db.Name() + c.ruleMore + "}\n"
	file := filepath.Join(c.t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	cfg, err := config.Load(file, config.Overrides{})
	if err != nil {
		c.t.Fatalf("%v\n%s", err, text)
	}
	return cfg
}

// flowName is that of the only flow.
func (c *clinic) flowName() string { return strings.ReplaceAll(c.db.Name(), "_", "-") }

func (c *clinic) diagnose() Diagnosis {
	c.t.Helper()
	o := c.options
	o.Config = c.load()
	before := c.everything()
	d, err := Doctor(c.t.Context(), o)
	if err != nil {
		c.t.Fatal(err)
	}
	if after := c.everything(); !slices.Equal(before, after) {
		c.t.Errorf("it leaves something behind, or takes something away:\nbefore %v\nafter  %v", before, after)
	}
	for _, f := range d.Findings {
		for _, secret := range []string{testkit.SharedS3(c.t).SecretKey(), secretOfNobody, "s3cret-pw", "sluice-test:"} {
			if strings.Contains(fmt.Sprint(f), secret) {
				c.t.Errorf("a secret is told: %+v", f)
			}
		}
	}
	return d
}

// everything lists what is on the servers and in the directories.
func (c *clinic) everything() []string {
	c.t.Helper()
	ctx := context.Background()
	// Indexes of other tests do not come or go: they run one after the other.
	all := strings.Fields(c.ask("GET", "/_cat/indices?h=index&expand_wildcards=all", ""))
	all = append(all, strings.Fields(c.ask("GET", "/_cat/aliases?h=alias,index&expand_wildcards=all", ""))...)
	for _, db := range []string{c.db.Name(), "sluice"} {
		names, err := c.client.Database(db).ListCollectionNames(ctx, bson.D{})
		if err != nil {
			c.t.Fatal(err)
		}
		for _, n := range names {
			rows, err := c.client.Database(db).Collection(n).CountDocuments(ctx, bson.D{})
			if err != nil {
				rows = -1 // a view of something that can't be counted
			}
			all = append(all, fmt.Sprintf("%s.%s: %d", db, n, rows))
		}
	}
	client, done, err := testkit.SharedS3(c.t).Client()
	if err != nil {
		c.t.Fatal(err)
	}
	defer done()
	bucket := testkit.SharedS3(c.t).Bucket()
	objects, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, o := range objects.Contents {
		all = append(all, "object "+*o.Key)
	}
	_ = filepath.WalkDir(c.dir, func(p string, _ fs.DirEntry, _ error) error {
		all = append(all, "file "+p)
		return nil
	})
	slices.Sort(all)
	return all
}

// find wants a finding with this check and severity and these words.
func (d Diagnosis) find(t *testing.T, severity flow.Severity, check string, words ...string) {
	t.Helper()
	var b bytes.Buffer
	for _, f := range d.Findings {
		if f.Severity != flow.FindingOK {
			fmt.Fprintf(&b, "%+v\n", f)
		}
		if f.Check != check || f.Severity != severity {
			continue
		}
		missing := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return strings.Contains(f.What+"\n"+f.Cause+"\n"+f.Cure, w) })
		if len(missing) == 0 && (f.Cure != "" || severity == flow.FindingInfo) {
			return
		}
	}
	t.Errorf("no %s %s with a cure and %q among:\n%s", severity, check, words, b.String())
}

// TestDoctorSound: nothing is found where all is well.
func TestDoctorSound(t *testing.T) {
	for _, more := range []string{
		"dead_letters: {store: search}\nstats: {index: doctor.stats.2006-01-02}\n",
		"state: {store: search, index: SLUICE-state}\n",
		"state: {store: mongodb}\ndead_letters: {store: mongodb}\nspool: {path: DIR/spool}\n",
		"state: {path: DIR/s}\ndead_letters: {store: file, path: DIR/letters}\n",
	} {
		c := newClinic(t)
		c.more = strings.NewReplacer("DIR", c.dir, "SLUICE", c.db.Name()).Replace(more)
		if !strings.Contains(c.more, "spool") {
			c.more += "spool: {path: " + c.dir + "/spool}\n"
		}
		d := c.diagnose()
		if !d.Sound || len(d.Findings) < 15 {
			t.Errorf("%d findings, sound %v", len(d.Findings), d.Sound)
		}
		for _, f := range d.Findings {
			if f.Severity != flow.FindingOK {
				t.Errorf("%s: %+v", more, f)
			}
		}
	}
}

// waitLong is how long a server may take to notice.
const waitLong = time.Minute

// told is nil once doctor finds something of this check and severity.
func told(c *clinic, severity flow.Severity, check string) error {
	o := c.options
	o.Config = c.load()
	d, err := Doctor(c.t.Context(), o)
	if err != nil {
		return err
	}
	for _, f := range d.Findings {
		if f.Check == check && f.Severity == severity {
			return nil
		}
	}
	return fmt.Errorf("no %s %s", severity, check)
}
