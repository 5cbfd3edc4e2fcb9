//go:build integration

package archivedb

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/testkit"
)

// insert puts documents into ns.
func insert(t testing.TB, db *DB, ns flow.Namespace, docs ...any) {
	t.Helper()
	if _, err := db.client.Database(ns.DB).Collection(ns.Coll).InsertMany(context.Background(), docs); err != nil {
		t.Fatal(err)
	}
}

// index makes an index.
func index(t testing.TB, db *DB, ns flow.Namespace, keys bson.D, o ...*options.IndexOptionsBuilder) {
	t.Helper()
	m := mongo.IndexModel{Keys: keys}
	if len(o) > 0 {
		m.Options = o[0]
	}
	if _, err := db.client.Database(ns.DB).Collection(ns.Coll).Indexes().CreateOne(context.Background(), m); err != nil {
		t.Fatal(err)
	}
}

func byAt() bson.D { return bson.D{{Key: "at", Value: 1}, {Key: "_id", Value: 1}} }

func survey(t testing.TB, db *DB, sel cold.Selection) cold.Survey {
	t.Helper()
	s, err := db.Survey(context.Background(), sel)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// dated is a selection by date of ns.
func dated(ns flow.Namespace) cold.Selection {
	return cold.Selection{NS: ns, Field: "at", Kind: cold.AgeDate, Before: day(20)}
}

func TestA6SurveyOfAnOrdinaryCollection(t *testing.T) {
	db := openDB(t)
	ns := freshNS(t, db)
	index(t, db, ns, byAt())
	for i := range 40 {
		insert(t, db, ns, bson.D{{Key: "_id", Value: i}, {Key: "at", Value: day(i + 1)}, {Key: "state", Value: i % 2}})
	}
	insert(t, db, ns, bson.D{{Key: "at", Value: time.Time{}}}, bson.D{{Key: "at", Value: time.Unix(0, 0)}})
	sel := dated(ns)
	sel.Floor = cold.SentinelBefore()
	s := survey(t, db, sel)
	if s.Kind != cold.KindCollection || s.Clustered || s.Encrypted || s.Sharded || s.Collation || s.Multikey || !s.Transactions {
		t.Errorf("wrong kind: %+v", s)
	}
	if s.Total != 42 || s.TotalBytes == 0 || s.Count != 19 || s.Sentinels != 2 || len(s.UUID) != 36 || s.Version == "" {
		t.Errorf("wrong numbers: %+v", s)
	}
	if s.Index != "at_1__id_1" || len(s.Indexes) != 2 || s.Examined < 19 || s.Examined > 21 || s.Returned != 19 {
		t.Errorf("wrong index: %+v", s)
	}
	if !s.Oldest.Equal(day(1)) || !s.Newest.Equal(day(19)) {
		t.Errorf("from %v to %v", s.Oldest, s.Newest)
	}
	if !maps.Equal(s.Census, map[string]int64{"date": 42}) || s.CensusOf != 42 {
		t.Errorf("census %v of %d", s.Census, s.CensusOf)
	}
	if s.Skew.Abs() > 5*time.Second || time.Since(s.ServerTime).Abs() > 5*time.Second {
		t.Errorf("server time %v, skew %v", s.ServerTime, s.Skew)
	}
	// With a filter, of a part, and in the other direction of the index.
	sel.Filter, _ = bson.Marshal(bson.D{{Key: "state", Value: 1}})
	sel.From = day(10)
	if s := survey(t, db, sel); s.Count != 5 || s.Returned != 5 || !s.Oldest.Equal(day(10)) || !s.Newest.Equal(day(18)) || s.Sentinels != 0 {
		t.Errorf("with a filter: %+v", s)
	}
}

func TestA6SurveyTellsEachKind(t *testing.T) {
	db := openDB(t)
	ns := freshNS(t, db)
	ctx := context.Background()
	other := db.client.Database(ns.DB)
	create := func(name string, o *options.CreateCollectionOptionsBuilder) flow.Namespace {
		if err := other.CreateCollection(ctx, name, o); err != nil {
			t.Fatal(err)
		}
		return flow.Namespace{DB: ns.DB, Coll: name}
	}
	f := func(ns flow.Namespace, want func(cold.Survey) bool) {
		t.Helper()
		if s := survey(t, db, dated(ns)); !want(s) {
			t.Errorf("%s: %+v", ns.Coll, s)
		}
	}
	kind := func(k string) func(cold.Survey) bool {
		return func(s cold.Survey) bool { return s.Kind == k }
	}
	f(ns, kind(cold.KindMissing))
	f(create("plain", options.CreateCollection()), kind(cold.KindCollection))
	f(create("capped", options.CreateCollection().SetCapped(true).SetSizeInBytes(4096)), kind(cold.KindCapped))
	f(create("ts", options.CreateCollection().SetTimeSeriesOptions(options.TimeSeries().SetTimeField("at"))), kind(cold.KindTimeSeries))
	if err := other.CreateView(ctx, "view", "plain", mongo.Pipeline{}); err != nil {
		t.Fatal(err)
	}
	f(flow.Namespace{DB: ns.DB, Coll: "view"}, kind(cold.KindView))
	f(create("clustered", options.CreateCollection().SetClusteredIndex(bson.D{{Key: "key", Value: bson.D{{Key: "_id", Value: 1}}}, {Key: "unique", Value: true}})),
		func(s cold.Survey) bool { return s.Kind == cold.KindCollection && s.Clustered })
	f(create("german", options.CreateCollection().SetCollation(&options.Collation{Locale: "de"})),
		func(s cold.Survey) bool { return s.Kind == cold.KindCollection && s.Collation })
	ttl := create("ttl", options.CreateCollection())
	index(t, db, ttl, bson.D{{Key: "at", Value: 1}}, options.Index().SetExpireAfterSeconds(1_000_000_000))
	f(ttl, func(s cold.Survey) bool { return slices.Equal(s.TTL, []string{"at_1"}) && s.Index == "at_1" })
	encrypted := bson.D{{Key: "create", Value: "secret"}, {Key: "encryptedFields", Value: bson.D{{Key: "fields", Value: bson.A{}}}}}
	if err := other.RunCommand(ctx, encrypted).Err(); err != nil {
		t.Fatal(err)
	}
	f(flow.Namespace{DB: ns.DB, Coll: "secret"}, func(s cold.Survey) bool { return s.Encrypted })
}

func TestA6CensusSeesEveryType(t *testing.T) {
	db := openDB(t)
	for _, indexed := range []bool{true, false} {
		ns := freshNS(t, db)
		if indexed {
			index(t, db, ns, byAt())
		}
		insert(t, db, ns,
			bson.D{{Key: "at", Value: day(1)}}, bson.D{{Key: "at", Value: day(2)}},
			bson.D{{Key: "at", Value: "2020-01-01"}}, bson.D{{Key: "at", Value: nil}}, bson.D{{Key: "x", Value: 1}},
			bson.D{{Key: "at", Value: bson.A{day(1)}}}, bson.D{{Key: "at", Value: bson.A{}}},
			bson.D{{Key: "at", Value: int32(1)}}, bson.D{{Key: "at", Value: int64(1)}}, bson.D{{Key: "at", Value: 1.5}},
			bson.D{{Key: "at", Value: bson.NewDecimal128(0, 1)}}, bson.D{{Key: "at", Value: bson.Timestamp{T: 1}}},
			bson.D{{Key: "at", Value: bson.D{}}}, bson.D{{Key: "at", Value: bson.NewObjectID()}}, bson.D{{Key: "at", Value: true}},
			bson.D{{Key: "at", Value: bson.Undefined{}}}, bson.D{{Key: "at", Value: bson.Regex{Pattern: "a"}}}, bson.D{{Key: "at", Value: bson.MinKey{}}})
		want := map[string]int64{
			"date": 2, "string": 1, "null": 1, "missing": 1, "array": 2, "int": 1, "long": 1, "double": 1, "decimal": 1,
			"timestamp": 1, "object": 1, "objectId": 1, "bool": 1, "undefined": 1, "regex": 1, "minKey": 1,
		}
		s := survey(t, db, dated(ns))
		if !maps.Equal(s.Census, want) || s.CensusOf != 18 {
			t.Errorf("census of all %v of %d", s.Census, s.CensusOf)
		}
		if s.Multikey != indexed {
			t.Errorf("multikey is %v, with an index: %v", s.Multikey, indexed)
		}
		if indexed {
			// What a large collection is asked: the sample is of all here.
			some := cold.Survey{Index: s.Index, Indexes: s.Indexes}
			q := question{db: db, sel: dated(ns), hint: s.Index, size: 100}
			if err := q.censusOfSome(context.Background(), &some); err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(some.Census, want) || some.CensusOf != 18 {
				t.Errorf("census of some %v of %d", some.Census, some.CensusOf)
			}
		}
	}
}

// In a large collection the index finds what a sample would miss.
func TestA6CensusFindsTheOneInManyByTheIndex(t *testing.T) {
	db := openDB(t)
	ns := freshNS(t, db)
	index(t, db, ns, byAt())
	docs := make([]any, 3000)
	for i := range docs {
		docs[i] = bson.D{{Key: "at", Value: day(1)}}
	}
	insert(t, db, ns, docs...)
	insert(t, db, ns, bson.D{{Key: "at", Value: "old"}}, bson.D{{Key: "at", Value: nil}}, bson.D{}, bson.D{{Key: "at", Value: 1}})
	s := survey(t, db, dated(ns))
	some := cold.Survey{Index: s.Index, Indexes: s.Indexes}
	q := question{db: db, sel: dated(ns), hint: s.Index, size: 3}
	strays := bson.D{{Key: "at", Value: bson.D{{Key: "$type", Value: strange(cold.AgeDate)}}}}
	if n, err := q.countOf(context.Background(), strays); err != nil || n != 2 {
		t.Errorf("%d of another type, %v", n, err)
	}
	if err := q.censusOfSome(context.Background(), &some); err != nil {
		t.Fatal(err)
	}
	if some.CensusOf > 7 || some.Census["string"] != 1 || some.Census["null"] != 1 || some.Census["missing"] != 1 || some.Census["int"] != 1 {
		t.Errorf("census %v", some.Census)
	}
}

func TestA6CensusOfArraysOnThePath(t *testing.T) {
	db := openDB(t)
	ns := freshNS(t, db)
	index(t, db, ns, bson.D{{Key: "a.at", Value: 1}})
	insert(t, db, ns, bson.D{{Key: "a", Value: bson.A{bson.D{{Key: "at", Value: day(1)}}}}}, bson.D{{Key: "a", Value: bson.D{{Key: "at", Value: day(1)}}}})
	sel := dated(ns)
	sel.Field = "a.at"
	if s := survey(t, db, sel); s.Census["array"] != 1 || s.Census["date"] != 1 || !s.Multikey {
		t.Errorf("census %v, multikey %v", s.Census, s.Multikey)
	}
}

func TestA6SurveyOfEpochs(t *testing.T) {
	db := openDB(t)
	for _, k := range []cold.AgeKind{cold.AgeSeconds, cold.AgeMillis, cold.AgeMicros, cold.AgeNanos} {
		ns := freshNS(t, db)
		index(t, db, ns, bson.D{{Key: "at", Value: -1}})
		per := int64(time.Second) / unitOf(k)
		for i := range 30 {
			v := day(i+1).Unix() * per
			switch {
			case i%2 == 0:
				insert(t, db, ns, bson.D{{Key: "at", Value: v}})
			case k == cold.AgeSeconds && i%3 == 0:
				insert(t, db, ns, bson.D{{Key: "at", Value: int32(v)}})
			default:
				insert(t, db, ns, bson.D{{Key: "at", Value: float64(v)}})
			}
		}
		insert(t, db, ns, bson.D{{Key: "at", Value: math.NaN()}}, bson.D{{Key: "at", Value: int64(0)}})
		sel := cold.Selection{NS: ns, Field: "at", Kind: k, Before: day(20), From: day(3)}
		s := survey(t, db, sel)
		if s.Count != 17 || !s.Oldest.Equal(day(3)) || !s.Newest.Equal(day(19)) || s.Sentinels != 1 || s.Index != "at_-1" {
			t.Errorf("%s: %+v", k, s)
		}
	}
}

func TestA6SurveyByObjectID(t *testing.T) {
	db := openDB(t)
	ns := freshNS(t, db)
	for i := range 30 {
		insert(t, db, ns, bson.D{{Key: "_id", Value: bson.NewObjectIDFromTimestamp(day(i + 1))}})
	}
	insert(t, db, ns, bson.D{{Key: "_id", Value: "old"}}, bson.D{{Key: "_id", Value: 1}})
	s := survey(t, db, cold.Selection{NS: ns, Field: "_id", Kind: cold.AgeObjectID, Before: day(20)})
	if s.Count != 19 || s.Index != "_id_" || s.Examined > 20 || !s.Oldest.Equal(day(1)) || !s.Newest.Equal(day(19)) {
		t.Errorf("%+v", s)
	}
	if !maps.Equal(s.Census, map[string]int64{"objectId": 30, "string": 1, "int": 1}) {
		t.Errorf("census %v", s.Census)
	}
}

func TestA6SurveyWithoutAnIndex(t *testing.T) {
	db := openDB(t)
	ns := freshNS(t, db)
	insert(t, db, ns, bson.D{{Key: "at", Value: day(1)}}, bson.D{{Key: "at", Value: day(25)}})
	if s := survey(t, db, dated(ns)); s.Index != "" || s.Count != 1 || !s.Oldest.Equal(day(1)) {
		t.Errorf("%+v", s)
	}
}

// Each index that choose accepts is one that the server reads with and finds all.
func TestA6ChosenIndexesFindAll(t *testing.T) {
	db := openDB(t)
	for i, o := range []*options.IndexOptionsBuilder{
		options.Index(), options.Index().SetSparse(true),
		options.Index().SetPartialFilterExpression(bson.D{{Key: "at", Value: bson.D{{Key: "$exists", Value: true}}}}),
	} {
		for j, keys := range []bson.D{{{Key: "at", Value: 1}}, {{Key: "at", Value: -1}}, byAt(), {{Key: "at", Value: 1}, {Key: "x", Value: 1}}} {
			ns := freshNS(t, db)
			ns.Coll = fmt.Sprintf("docs%d%d", i, j)
			index(t, db, ns, keys, o)
			for n := range 30 {
				insert(t, db, ns, bson.D{{Key: "at", Value: day(30 - n)}})
			}
			insert(t, db, ns, bson.D{{Key: "x", Value: 1}}, bson.D{{Key: "at", Value: nil}})
			if s := survey(t, db, dated(ns)); s.Count != 19 || s.Index == "" || s.Examined > 20 {
				t.Errorf("%v %d: %+v", keys, i, s)
			}
			got := readAll(t, db, dated(ns), cold.Bounds{}, ReadOptions{})
			if len(got) != 19 {
				t.Errorf("%v %d: %d documents", keys, i, len(got))
			}
			if !slices.IsSortedFunc(got, byAge) {
				t.Errorf("%v %d: not by age", keys, i)
			}
		}
	}
}

func TestNamespaces(t *testing.T) {
	db := openDB(t)
	a := freshNS(t, db)
	b := flow.Namespace{DB: a.DB, Coll: "more.docs"}
	ctx := context.Background()
	insert(t, db, a, bson.D{})
	insert(t, db, b, bson.D{})
	insert(t, db, flow.Namespace{DB: db.own.Name(), Coll: "docs"}, bson.D{})
	if err := db.client.Database(a.DB).CreateView(ctx, "view", "docs", mongo.Pipeline{}); err != nil {
		t.Fatal(err)
	}
	f := func(pattern string, want ...flow.Namespace) {
		t.Helper()
		got, err := db.Namespaces(ctx, pattern)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v %v, want %v", pattern, got, err, want)
		}
	}
	f(a.String(), a)
	f(a.DB+".absent", flow.Namespace{DB: a.DB, Coll: "absent"})
	f(a.DB+".*", a, b)
	f("/^"+a.DB+`\.more/`, b)
	f("/" + db.own.Name() + "/")
	for _, bad := range []string{"x", "/(/", "admin.x", "local.*", "sluice.archive_runs", "app.system.views", db.own.Name() + ".x", db.own.Name() + ".*", "a.tmp12345.renameCollection"} {
		if _, err := db.Namespaces(ctx, bad); flow.ClassOf(err) != flow.Config {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestServerTime(t *testing.T) {
	db := openDB(t)
	now, at, err := db.ServerTime(context.Background())
	if err != nil || time.Since(now).Abs() > 5*time.Second || at.IsZero() {
		t.Errorf("%v %v %v", now, at, err)
	}
}

func TestA6TimeIsUp(t *testing.T) {
	db := openDB(t)
	ns := freshNS(t, db)
	for range 200 {
		insert(t, db, ns, bson.D{{Key: "at", Value: day(1)}, {Key: "n", Value: 300_000}})
	}
	sel := dated(ns)
	slow := bson.D{{Key: "$sum", Value: bson.D{{Key: "$range", Value: bson.A{0, "$n"}}}}} // some 10 ms a document
	sel.Filter, _ = bson.Marshal(bson.D{{Key: "$expr", Value: bson.D{{Key: "$gte", Value: bson.A{slow, 0}}}}})
	db.patience = 50 * time.Millisecond
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // no second limit is made of it
	defer cancel()
	sh, err := db.shapeOf(ctx, sel)
	if err != nil {
		t.Fatal(err)
	}
	q := question{db: db, sel: sel, hint: sh.choice.hint()}
	var s cold.Survey
	for _, err := range []error{q.sample(ctx, &s), q.count(ctx, &s), q.span(ctx, &s)} {
		var fe *flow.Error
		if !asError(err, &fe) || fe.Class != flow.Transient || !strings.Contains(fe.Hint, "longer than 50ms") {
			t.Errorf("got %v", err)
		}
	}
}

func TestSurveyOnAStandalone(t *testing.T) {
	m, err := testkit.StartMongo(context.Background(), testkit.MongoOptions{Standalone: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Stop() })
	db := openAt(t, m.URI())
	ns := freshNS(t, db)
	index(t, db, ns, byAt())
	insert(t, db, ns, bson.D{{Key: "at", Value: day(1)}})
	s := survey(t, db, dated(ns))
	if s.Transactions || s.Count != 1 || s.Index == "" {
		t.Errorf("%+v", s)
	}
	if got := readAll(t, db, dated(ns), cold.Bounds{}, ReadOptions{}); len(got) != 1 {
		t.Errorf("%d documents", len(got))
	}
	l, err := db.Load(context.Background())
	if err != nil || !l.LagKnown || l.Lag != 0 || l.WindowKnown || !l.LoadKnown {
		t.Errorf("%+v %v", l, err)
	}
	if _, at, err := db.ServerTime(context.Background()); err != nil || !at.IsZero() {
		t.Errorf("cluster time %v %v", at, err)
	}
}
