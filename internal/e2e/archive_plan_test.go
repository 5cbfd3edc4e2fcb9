//go:build integration

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/testkit"
)

// planned is what is told of a plan.
type planned struct {
	Rule     string  `json:"rule"`
	NS       string  `json:"namespace"`
	Count    int64   `json:"count"`
	Bytes    int64   `json:"bytes"`
	Share    float64 `json:"share"`
	Index    string  `json:"index"`
	Ratio    float64 `json:"examined_per_returned"`
	Objects  int64   `json:"objects"`
	Took     int64   `json:"estimated_ns"`
	To       string  `json:"to"`
	Refusals []struct {
		Code, What, Cure string
	} `json:"refusals"`
	Survey struct {
		Total  int64
		Census map[string]int64
	} `json:"survey"`
}

// TestA6ArchivePlan: what would go is told, as text and as JSON, and nothing is
// changed.
func TestA6ArchivePlan(t *testing.T) {
	t.Parallel()
	v := newVault(t, vaultOptions{})
	v.fill(t, 400, 100)
	before := v.raw(t)
	var plans []planned
	v.json(t, &plans, "archive", "plan")
	if len(plans) != 1 {
		t.Fatalf("%+v", plans)
	}
	p := plans[0]
	if p.Count != 400 || p.Survey.Total != 800 || p.Share != 0.5 || p.Index != "at_1__id_1" || p.Ratio < 1 || p.Ratio > 1.1 || p.Objects != 1 ||
		p.Bytes < 400*50 || p.Bytes > 400*300 || p.Took <= 0 || p.Survey.Census["date"] != 800 || !strings.HasSuffix(p.To, v.prefix) {
		t.Errorf("%+v", p)
	}
	wantWords(t, v.must(t, "archive", "plan"), "can run", "400 of 800 (50.0 %)", "at_1__id_1", "date 800", "about 1 with", "is deleted from MongoDB", "2019-01-01T00:00:00Z", "USD")
	wantSame(t, v.raw(t), before)
	if o := v.objects(t); len(o) != 0 {
		t.Errorf("objects: %v", o)
	}
	if p := v.packsIn(t, atWork()...); len(p) != 0 {
		t.Errorf("packs: %v", p)
	}
}

// conflict is a rule that can't be run.
type conflict struct {
	coll string
	// rule has more fields of the rule, or others in the place of the usual ones.
	rule string
	code string
	// cure has words of the cure.
	cure []string
	make func(t *testing.T, c *mongo.Collection)
}

// TestA6ArchivePlanRefuses: each conflict is told with its cure, the exit code
// is 3, and a run archives nothing of it.
func TestA6ArchivePlanRefuses(t *testing.T) {
	t.Parallel()
	v := newVault(t, vaultOptions{})
	all := conflicts(v)
	var b strings.Builder
	for i, x := range all {
		rule := ", field: at, older_than: 365d, max_share: 1"
		if strings.HasPrefix(x.rule, ", field") {
			rule = ""
		}
		fmt.Fprintf(&b, "- {name: %s-%d, namespace: %s.%s, to: 's3://%s/%s'%s%s}\n", v.rule, i, v.db.Name(), x.coll, v.s3.Bucket(), v.prefix, rule, x.rule)
	}
	v.file = v.variant(t, "archive:\n", "archive:\n"+b.String())
	v.fill(t, 10, 0)
	for _, x := range all {
		if x.make != nil {
			x.make(t, v.db.Collection(x.coll))
		}
	}
	asJSON, asText := v.do(t, "archive", "plan", "--json"), v.do(t, "archive", "plan")
	if asJSON.code != 3 || asText.code != 3 {
		t.Errorf("exit codes %d and %d\n%s%s", asJSON.code, asText.code, asJSON.errOut, asText.errOut)
	}
	var plans []planned
	decodeAll(t, asJSON.out, &plans)
	if len(plans) != len(all)+1 {
		t.Fatalf("%d plans of %d rules", len(plans), len(all)+1)
	}
	for i, x := range all {
		p := plans[i]
		if len(p.Refusals) != 1 || p.Refusals[0].Code != x.code {
			t.Errorf("%s: want %s: %+v", x.coll, x.code, p.Refusals)
			continue
		}
		t.Logf("%s: %s\n%s", x.code, p.Refusals[0].What, p.Refusals[0].Cure)
		wantWords(t, p.Refusals[0].Cure, x.cure...)
		wantWords(t, asText.out, p.Refusals[0].What, p.Refusals[0].Cure)
	}
	r := v.do(t, "archive", "run", "--once", "--json")
	if r.code != 3 {
		t.Errorf("run: exit code %d\n%s", r.code, tail(r.errOut, 2000))
	}
	var reports []reported
	decodeAll(t, r.out, &reports)
	for i, rep := range reports {
		if refused := i < len(all); refused != (rep.Run == nil) || refused != (rep.Error != "") {
			t.Errorf("%+v", rep)
		}
	}
	if n := v.count(t); n != 10 {
		t.Errorf("the rule that is right has left %d documents", n)
	}
}

// conflicts are those of rule A6 that can be made on a replica set.
func conflicts(v *vault) []conflict {
	old := time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC)
	docs := func(c *mongo.Collection, t *testing.T, ages ...any) {
		t.Helper()
		for i, at := range ages {
			insert(t, c, bson.D{{Key: "_id", Value: i}, {Key: "at", Value: at}, {Key: "in", Value: bson.A{bson.D{{Key: "at", Value: old}}}}})
		}
		if _, err := c.Indexes().CreateOne(t.Context(), mongo.IndexModel{Keys: bson.D{{Key: "at", Value: 1}, {Key: "_id", Value: 1}}}); err != nil {
			t.Fatal(err)
		}
	}
	with := func(ages ...any) func(*testing.T, *mongo.Collection) {
		return func(t *testing.T, c *mongo.Collection) { docs(c, t, ages...) }
	}
	create := func(o ...options.Lister[options.CreateCollectionOptions]) func(*testing.T, *mongo.Collection) {
		return func(t *testing.T, c *mongo.Collection) {
			if err := v.db.CreateCollection(t.Context(), c.Name(), o...); err != nil {
				t.Fatal(err)
			}
		}
	}
	return []conflict{
		{coll: "nothing", code: "missing", cure: []string{"spelling"}},
		{coll: "view", code: "kind", cure: []string{"the collection that the view is made of"}, make: func(t *testing.T, c *mongo.Collection) {
			if err := v.db.CreateView(t.Context(), c.Name(), "old", mongo.Pipeline{}); err != nil {
				t.Fatal(err)
			}
		}},
		{coll: "capped", code: "kind", cure: []string{"normal collection"}, make: create(options.CreateCollection().SetCapped(true).SetSizeInBytes(1e6))},
		{coll: "series", code: "kind", cure: []string{"expireAfterSeconds"}, make: create(options.CreateCollection().SetTimeSeriesOptions(options.TimeSeries().SetTimeField("at")))},
		{coll: "unindexed", code: "no_index", cure: []string{"createIndex", `"at": 1`}, make: func(t *testing.T, c *mongo.Collection) { insert(t, c, bson.D{{Key: "at", Value: old}}) }},
		{coll: "ttl", code: "ttl_index", cure: []string{"dropIndex", "ttl_at"}, make: func(t *testing.T, c *mongo.Collection) {
			docs(c, t, old)
			ttl := mongo.IndexModel{Keys: bson.D{{Key: "at", Value: 1}}, Options: options.Index().SetName("ttl_at").SetExpireAfterSeconds(1 << 30)}
			if _, err := c.Indexes().CreateOne(t.Context(), ttl); err != nil {
				t.Fatal(err)
			}
		}},
		{coll: "texts", code: "types", cure: []string{"Convert", `"string"`, "mixed_types"}, make: with(old, "2019-01-01", "2019-01-02")},
		{coll: "epochs", rule: ", field: at, kind: epoch_ms, older_than: 365d, max_share: 1", code: "types", cure: []string{`"date"`}, make: with(int64(1500000000000), old)},
		{coll: "arrays", code: "arrays", cure: []string{"one value", `"array"`}, make: with(old, bson.A{old, time.Now()})},
		{coll: "below", rule: ", field: in.at, older_than: 365d, max_share: 1", code: "arrays", cure: []string{"one value"}, make: func(t *testing.T, c *mongo.Collection) {
			docs(c, t, old)
			if _, err := c.Indexes().CreateOne(t.Context(), mongo.IndexModel{Keys: bson.D{{Key: "in.at", Value: 1}}}); err != nil {
				t.Fatal(err)
			}
		}},
		{coll: "zeros", code: "sentinel_dates", cure: []string{"floor"}, make: with(old, time.Unix(0, 0), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC))},
		{coll: "many", rule: ", field: at, older_than: 365d, max_share: 0.2", code: "maximum_share", cure: []string{"max_share"}, make: with(old, old, time.Now())},
		{coll: "collation", rule: ", field: at, older_than: 365d, max_share: 1, compare: document", code: "collation", cure: []string{"compare: transaction", "delete: false"}, make: func(t *testing.T, c *mongo.Collection) {
			create(options.CreateCollection().SetCollation(&options.Collation{Locale: "de", Strength: 2}))(t, c)
			docs(c, t, old)
		}},
	}
}

// TestA6ArchivePlanStandalone: a server without transactions. The whole of the
// cure is told; with compare: document the rule runs.
func TestA6ArchivePlanStandalone(t *testing.T) {
	t.Parallel()
	m, err := testkit.StartMongo(t.Context(), testkit.MongoOptions{Standalone: true})
	if err != nil {
		t.Fatal(err)
	}
	v := newVault(t, vaultOptions{Mongo: m.URI()})
	t.Cleanup(func() { _ = m.Stop() })
	v.fill(t, 300, 50)
	before := v.raw(t)
	r := v.do(t, "archive", "plan")
	t.Logf("it says\n%s%s", r.out, r.errOut)
	if r.code != 3 {
		t.Errorf("exit code %d", r.code)
	}
	wantWords(t, r.out, "no transactions", "replica set", "compare: document")
	v.file = v.variant(t, "max_share: 1", "max_share: 1, compare: document")
	if r := v.runOnce(t); r.Deleted != 300 || r.Changed != 0 {
		t.Errorf("%+v", r)
	}
	v.must(t, "restore", "--all")
	wantSame(t, v.raw(t), before)
}
