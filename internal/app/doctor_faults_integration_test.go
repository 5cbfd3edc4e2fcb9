//go:build integration

package app

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/checkpoint"
	"sluice/internal/flow"
)

// planted is a fault, and what has to be found.
type planted struct {
	name     string
	plant    func(c *clinic)
	severity flow.Severity
	check    string
	words    []string
}

// TestDoctorFindsPlantedFaults: each fault is planted on the real servers, and
// found with its cure; nothing is left behind.
func TestDoctorFindsPlantedFaults(t *testing.T) {
	var all []planted
	all = append(all, mongoFaults()...)
	all = append(all, indexFaults()...)
	all = append(all, clusterFaults()...)
	all = append(all, placeFaults()...)
	for _, p := range all {
		t.Run(p.name, func(t *testing.T) {
			c := newClinic(t)
			p.plant(c)
			d := c.diagnose()
			d.find(t, p.severity, p.check, p.words...)
			if d.Sound != (p.severity != flow.FindingError) {
				t.Errorf("sound is %v: %+v", d.Sound, d.Findings)
			}
		})
	}
}

// TestDoctorComparesClocks with both servers' own: ours is off in the test.
func TestDoctorComparesClocks(t *testing.T) {
	c := newClinic(t)
	c.options.Now = func() time.Time { return time.Now().Add(5 * time.Minute) }
	d := c.diagnose()
	d.find(t, flow.FindingError, "mongodb.clock", "5m0s ahead", "NTP")
	d.find(t, flow.FindingWarning, "store.clock", "ahead", "NTP")
	c.options.Now = func() time.Time { return time.Now().Add(-3 * time.Minute) }
	d = c.diagnose()
	d.find(t, flow.FindingError, "mongodb.clock", "3m0s behind", "NTP")
	d.find(t, flow.FindingWarning, "store.clock", "behind", "NTP")
}

func mongoFaults() []planted {
	return []planted{
		{
			"nobody there", func(c *clinic) { c.uri = "mongodb://u:s3cret-pw@127.0.0.1:1/?serverSelectionTimeoutMS=300" },
			flow.FindingError, "mongodb.reachable",
			[]string{"connect to MongoDB", "replicaSet="},
		},
		{
			"nothing fits", func(c *clinic) { c.namespaces = c.db.Name() + ".Orders" },
			flow.FindingWarning, "mongodb.namespaces",
			[]string{"finds no collection", "misspelt"},
		},
		{"only views", func(c *clinic) {
			c.must(nil, c.db.Client().Database(c.db.Name()+"_v").CreateView(c.t.Context(), "v", "x", bson.A{}))
			c.t.Cleanup(func() { _ = c.db.Client().Database(c.db.Name() + "_v").Drop(c.t.Context()) })
			c.namespaces = c.db.Name() + "_v.*"
		}, flow.FindingWarning, "mongodb.namespaces", []string{"only views", "behind the views"}},
		{"time series", func(c *clinic) {
			c.must(nil, c.db.CreateCollection(c.t.Context(), "ts", options.CreateCollection().SetTimeSeriesOptions(options.TimeSeries().SetTimeField("at"))))
			c.namespaces = c.db.Name() + ".ts"
		}, flow.FindingError, "mongodb.namespaces", []string{"time series", "normal collection"}},
	}
}

func indexFaults() []planted {
	conflict := bson.A{
		bson.D{{Key: "_id", Value: 11}, {Key: "who", Value: bson.D{{Key: "name", Value: "x"}}}},
		bson.D{{Key: "_id", Value: 12}, {Key: "who", Value: "x"}},
	}
	wide := bson.D{{Key: "_id", Value: 13}}
	for i := range 1100 {
		wide = append(wide, bson.E{Key: fmt.Sprintf("f%04d", i), Value: 1})
	}
	ours := func(c *clinic, flowName string) string {
		return fmt.Sprintf(`"_meta":{"sluice":{"format":1,"scheme":"native","flow":%q,"namespaces":[%q]}}`, flowName, c.alias())
	}
	mine := func(c *clinic, settings, properties string) {
		c.index(c.alias()+"-000001", fmt.Sprintf(`{"settings":{%s},"aliases":{%q:{"is_write_index":true}},"mappings":{%s,"properties":{%s}}}`,
			settings, c.alias(), ours(c, c.flowName()), properties))
	}
	return []planted{
		{
			"names that are one in lower case", func(c *clinic) { c.insert("ORDERS", bson.A{bson.D{{Key: "_id", Value: 1}}}) },
			flow.FindingError, "search.places",
			[]string{"share the index", "exclude"},
		},
		{"index of somebody else", func(c *clinic) {
			c.index(c.alias(), `{}`)
			c.ask("PUT", "/"+c.alias()+"/_doc/1?refresh=true", `{"a":1}`)
		}, flow.FindingError, "search.owner", []string{"1 documents that sluice has not written", "index_prefix"}},
		{
			"index of another flow", func(c *clinic) { c.index(c.alias(), `{"mappings":{`+ours(c, "another")+`}}`) },
			flow.FindingError, "search.owner",
			[]string{`flow "another"`, "index_prefix"},
		},
		{
			"index without an alias", func(c *clinic) { c.index(c.alias(), `{"mappings":{`+ours(c, c.flowName())+`}}`) },
			flow.FindingInfo, "search.auto_create",
			[]string{"auto_create_index"},
		},
		{"alias without an index to write", func(c *clinic) {
			c.index(c.alias()+"-a", fmt.Sprintf(`{"aliases":{%q:{}}}`, c.alias()))
			c.index(c.alias()+"-b", fmt.Sprintf(`{"aliases":{%q:{}}}`, c.alias()))
		}, flow.FindingError, "search.index", []string{"none of them is the one to write", "is_write_index"}},
		{
			"field of two types", func(c *clinic) { c.insert("orders", conflict) },
			flow.FindingError, "search.mapping",
			[]string{"field who", "object in 1, text in 1", "dead letters", "flat_object"},
		},
		{"field that may not fit", func(c *clinic) {
			c.insert("orders", bson.A{bson.D{{Key: "_id", Value: 14}, {Key: "n", Value: "many"}}})
		}, flow.FindingWarning, "search.mapping", []string{"field n", "number in 2, text in 1", "mappings of the flow"}},
		{
			"mapping that is there", func(c *clinic) { mine(c, "", `"name":{"type":"long"}`) },
			flow.FindingError, "search.mapping",
			[]string{"field name", "mapped as long", "fields.exclude"},
		},
		{
			"mapping that is strict", func(c *clinic) { c.flowMore = "    mappings: {dynamic: strict}\n" },
			flow.FindingError, "search.mapping",
			[]string{"strict"},
		},
		{
			"too many fields", func(c *clinic) { c.insert("orders", bson.A{wide}) },
			flow.FindingError, "search.fields",
			[]string{"limit is 1000", "total_fields.limit"},
		},
		{
			"mapping that no engine takes", func(c *clinic) { c.flowMore = "    mappings: {properties: {a: {type: nonsense}}}\n" },
			flow.FindingError, "search.settings",
			[]string{"nonsense", "settings and mappings of the flow"},
		},
		{
			"read-only index", func(c *clinic) { mine(c, `"index.blocks.write":true`, "") },
			flow.FindingError, "search.blocks",
			[]string{"index.blocks.write", "null"},
		},
		{"closed index", func(c *clinic) {
			mine(c, "", "")
			c.ask("POST", "/"+c.alias()+"-000001/_close", "")
		}, flow.FindingError, "search.index", []string{"is closed", "open"}},
		{
			"translog that is async", func(c *clinic) { mine(c, `"index.translog.durability":"async"`, "") },
			flow.FindingWarning, "search.durability",
			[]string{"async", `"request"`},
		},
		{
			"ingest pipeline that is gone", func(c *clinic) { mine(c, `"index.default_pipeline":"gone"`, "") },
			flow.FindingError, "search.pipeline",
			[]string{"gone", "make the pipeline"},
		},
	}
}

func clusterFaults() []planted {
	const disk = "cluster.routing.allocation.disk."
	return []planted{
		{
			"no engine", func(c *clinic) { c.urls = []string{"http://127.0.0.1:1"} },
			flow.FindingError, "search.reachable",
			[]string{"search.urls"},
		},
		{
			"one node is down", func(c *clinic) { c.urls = append(c.urls, "http://127.0.0.1:1") },
			flow.FindingWarning, "search.reachable",
			[]string{"127.0.0.1:1", "search.urls"},
		},
		{
			"files without a pipeline", func(c *clinic) {
				c.flowMore = "    files: {namespaces: [" + c.db.Name() + ".fs.files], pipeline: no-such-pipeline, put_pipeline: false}\n"
			},
			flow.FindingError, "search.attachments",
			[]string{"no-such-pipeline", "put_pipeline: true"},
		},
		{
			"https where it is http", func(c *clinic) { c.urls[0] = strings.Replace(c.urls[0], "http:", "https:", 1) },
			flow.FindingError, "search.reachable",
			[]string{"write http://"},
		},
		{
			"login refused", func(c *clinic) { c.forbid(http.StatusUnauthorized, "GET") },
			flow.FindingError, "search.login",
			[]string{"search.auth"},
		},
		{
			"may not make indexes", func(c *clinic) { c.forbid(http.StatusForbidden, "PUT") },
			flow.FindingError, "search.rights",
			[]string{"indices:admin/create"},
		},
		{
			"may not remove indexes", func(c *clinic) { c.forbid(http.StatusForbidden, "DELETE") },
			flow.FindingWarning, "search.rights",
			[]string{"not tried"},
		},
		{
			"cluster is read-only", func(c *clinic) { c.cluster("cluster.blocks.read_only", "true") },
			flow.FindingError, "search.blocks",
			[]string{"whole cluster", "null"},
		},
		{"disk past a watermark", func(c *clinic) {
			c.cluster(disk+"threshold_enabled", "true", disk+"watermark.low", "0.01%", disk+"watermark.high", "99.998%", disk+"watermark.flood_stage", "99.999%")
		}, flow.FindingWarning, "search.disk", []string{"past the watermark low", "make room"}},
		{
			"no room for shards", func(c *clinic) { c.cluster("cluster.max_shards_per_node", "1") },
			flow.FindingError, "search.shards",
			[]string{"max_shards_per_node", "lower number_of_shards"},
		},
	}
}

// forbid puts a proxy before the engine that refuses a method.
func (c *clinic) forbid(status int, method string) {
	target, err := url.Parse(c.urls[0])
	if err != nil {
		c.t.Fatal(err)
	}
	next := &http.Transport{}
	proxy := &httputil.ReverseProxy{Transport: next, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method {
			proxy.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"error":{"type":"security_exception","reason":"no permissions for [indices:admin/create] and User [name=u]"},"status":%d}`, status)
	}))
	c.t.Cleanup(func() { s.Close(); next.CloseIdleConnections() })
	c.urls = []string{s.URL}
}

func placeFaults() []planted {
	file := func(c *clinic) string {
		name := filepath.Join(c.dir, "a-file")
		c.must(nil, os.WriteFile(name, []byte("x"), 0o600))
		return name
	}
	return []planted{
		{
			"state directory is a file", func(c *clinic) { c.more = "state: {path: " + file(c) + "/state}\n" },
			flow.FindingError, "state.directory",
			[]string{"state.path"},
		},
		{
			"dead letters' directory is a file", func(c *clinic) { c.more = "dead_letters: {store: file, path: " + file(c) + "/letters}\n" },
			flow.FindingError, "dead_letters.directory",
			[]string{"dead_letters.path"},
		},
		{"state file is damaged", func(c *clinic) {
			c.must(nil, os.MkdirAll(c.dir+"/state/deep", 0o700))
			c.must(nil, os.WriteFile(c.dir+"/state/deep/"+c.flowName()+".state", []byte("nonsense"), 0o600))
		}, flow.FindingError, "state.position", []string{"damaged", "backup"}},
		{
			"position of another deployment", func(c *clinic) { _ = c.save("0123456789abcdef01234567").Close() },
			flow.FindingError, "state.binding",
			[]string{"deployment", "mongodb.uri"},
		},
		{"state in use", func(c *clinic) {
			s := c.save("")
			c.t.Cleanup(func() { _ = s.Close() })
		}, flow.FindingInfo, "state.lock", []string{fmt.Sprint("process ", os.Getpid())}},
		{
			"address of Monstache's paths in use", func(c *clinic) {
				var lc net.ListenConfig
				l, err := lc.Listen(c.t.Context(), "tcp", "127.0.0.1:0")
				c.must(l, err)
				c.t.Cleanup(func() { _ = l.Close() })
				c.httpMore = ", monstache: {listen: \"" + l.Addr().String() + "\"}"
			}, flow.FindingError, "http.monstache.listen", []string{"in use", "set http.monstache.listen"},
		},
		{"address in use", func(c *clinic) {
			var lc net.ListenConfig
			l, err := lc.Listen(c.t.Context(), "tcp", "127.0.0.1:0")
			c.must(l, err)
			c.t.Cleanup(func() { _ = l.Close() })
			c.listen = l.Addr().String()
		}, flow.FindingError, "http.listen", []string{"in use", "free address"}},
		{
			"spool directory is a file", func(c *clinic) { c.more = "spool: {path: " + file(c) + "/spool}\n" },
			flow.FindingError, "spool.directory",
			[]string{"spool.path"},
		},
		{
			"no bucket", func(c *clinic) { c.bucket = "no-such-bucket" },
			flow.FindingError, "store.works",
			[]string{"no-such-bucket", "Make the bucket"},
		},
		{
			"wrong keys", func(c *clinic) { c.key = "wrong" },
			flow.FindingError, "store.rights",
			[]string{"access key"},
		},
		{
			"put-if-absent not honoured", func(c *clinic) { c.overwrites() },
			flow.FindingError, "store.works",
			[]string{"If-None-Match", "conditional writes"},
		},
		{
			"no index on the age", func(c *clinic) { c.must(nil, c.db.Collection("orders").Indexes().DropOne(c.t.Context(), "at_1__id_1")) },
			flow.FindingError, "archive.plan",
			[]string{"no index", "createIndex"},
		},
	}
}

// save writes a state file; "" stands for this deployment. The caller closes it.
func (c *clinic) save(source string) *checkpoint.FileStore {
	c.t.Helper()
	s, err := checkpoint.OpenFile(c.dir + "/state/deep/" + c.flowName() + ".state")
	c.must(s, err)
	data, err := checkpoint.State{Flow: c.flowName(), Source: source, Position: []byte(`{"v":1}`)}.Encode()
	c.must(data, err)
	if source != "" {
		_, err = s.Save(c.t.Context(), checkpoint.Record{Data: data})
		c.must(s, err)
	}
	return s
}

// overwrites puts a proxy before the store that tells every writer of an object
// that it was the first.
func (c *clinic) overwrites() {
	target, err := url.Parse(c.endpoint)
	if err != nil {
		c.t.Fatal(err)
	}
	next := &http.Transport{}
	proxy := &httputil.ReverseProxy{Transport: next, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // it is signed
	}}
	var puts atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && puts.Add(1) > 1 {
			w.Header().Set("ETag", `"0"`)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	c.t.Cleanup(func() { s.Close(); next.CloseIdleConnections() })
	c.endpoint = s.URL
}
