//go:build integration

package archivedb

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"pgregory.net/rapid"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/mongo/vitals"
	"sluice/internal/testkit"
)

func asError(err error, target **flow.Error) bool { return errors.As(err, target) }

// readAll reads a selection to its end.
func readAll(t testing.TB, db *DB, sel cold.Selection, b cold.Bounds, o ReadOptions) []bson.Raw {
	t.Helper()
	ctx := context.Background()
	c, err := db.Read(ctx, sel, b, o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	var docs []bson.Raw
	for {
		r, err := c.Next(ctx)
		if errors.Is(err, io.EOF) {
			return docs
		}
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, r.Docs...)
	}
}

func byAge(a, b bson.Raw) int {
	return a.Lookup("at").Time().Compare(b.Lookup("at").Time())
}

func TestReadInOrderOfAgeAndID(t *testing.T) {
	db := openDB(t)
	for _, keys := range []bson.D{byAt(), {{Key: "at", Value: -1}, {Key: "_id", Value: -1}}} {
		ns := freshNS(t, db)
		index(t, db, ns, keys)
		docs := make([]any, 0, 500)
		for i := range 500 {
			docs = append(docs, bson.D{{Key: "_id", Value: (i * 7919) % 500}, {Key: "at", Value: day(i%25 + 1)}, {Key: "pad", Value: make([]byte, 100)}})
		}
		insert(t, db, ns, docs...)
		got := readAll(t, db, dated(ns), cold.Bounds{From: day(3), Before: day(18)}, ReadOptions{BatchBytes: 5000})
		if len(got) != 300 {
			t.Fatalf("%d documents", len(got))
		}
		inOrder := slices.IsSortedFunc(got, func(a, b bson.Raw) int {
			if c := byAge(a, b); c != 0 {
				return c
			}
			return int(a.Lookup("_id").Int32() - b.Lookup("_id").Int32())
		})
		if !inOrder {
			t.Error("not in order")
		}
	}
}

func TestReadBatchesByBytes(t *testing.T) {
	db := openDB(t)
	ns := freshNS(t, db)
	index(t, db, ns, byAt())
	// Small ones first, then large: replies shrink as soon as the first is seen.
	var docs []any
	for range 2000 {
		docs = append(docs, bson.D{{Key: "at", Value: day(1)}, {Key: "pad", Value: make([]byte, 200)}})
	}
	insert(t, db, ns, docs...)
	for range 6 {
		insert(t, db, ns, bson.D{{Key: "at", Value: day(2)}, {Key: "pad", Value: make([]byte, 15<<20)}})
	}
	ctx := context.Background()
	c, err := db.Read(ctx, dated(ns), cold.Bounds{}, ReadOptions{BatchBytes: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	var last bson.Timestamp
	n, replies := 0, 0
	for {
		r, err := c.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, d := range r.Docs {
			size += len(d)
		}
		if replies == 0 && len(r.Docs) != firstBatch {
			t.Errorf("the first reply has %d documents", len(r.Docs))
		}
		// One large document at most comes on top of the small ones.
		if size > 16<<20 || len(r.Docs) > 1 && len(r.Docs[0]) > 1<<20 {
			t.Errorf("a reply of %d documents, %d bytes", len(r.Docs), size)
		}
		if r.At.IsZero() || r.At.Before(last) {
			t.Errorf("cluster time %v after %v", r.At, last)
		}
		last = r.At
		n += len(r.Docs)
		replies++
	}
	if n != 2006 || replies < 11 || replies > 20 {
		t.Errorf("%d documents in %d replies", n, replies)
	}
}

func TestReadLeavesOutWhatIsNoSingleAge(t *testing.T) {
	db := openDB(t)
	ns := freshNS(t, db)
	index(t, db, ns, byAt())
	insert(t, db, ns,
		bson.D{{Key: "_id", Value: 1}, {Key: "at", Value: day(1)}},
		bson.D{{Key: "_id", Value: 2}, {Key: "at", Value: bson.A{day(1), day(30)}}},
		bson.D{{Key: "_id", Value: 3}, {Key: "at", Value: bson.A{bson.A{day(2)}}}},
		bson.D{{Key: "_id", Value: 4}, {Key: "at", Value: day(3)}})
	got := readAll(t, db, dated(ns), cold.Bounds{}, ReadOptions{})
	if len(got) != 2 {
		t.Errorf("got %v", got)
	}
}

func TestReadWithoutAnIndexTellsTheCure(t *testing.T) {
	db := openDB(t)
	ns := freshNS(t, db)
	insert(t, db, ns, bson.D{{Key: "at", Value: day(1)}})
	_, err := db.Read(context.Background(), dated(ns), cold.Bounds{}, ReadOptions{})
	var fe *flow.Error
	if !asError(err, &fe) || fe.Class != flow.Config || !bytes.Contains([]byte(fe.Hint), []byte("createIndex")) {
		t.Errorf("got %v", err)
	}
}

// Who asks for it reads without an index, in the same order.
func TestReadWithoutAnIndexIfAllowed(t *testing.T) {
	db := openDB(t)
	ns := freshNS(t, db)
	insert(t, db, ns, bson.D{{Key: "at", Value: day(3)}}, bson.D{{Key: "at", Value: "text"}}, bson.D{{Key: "at", Value: day(1)}}, bson.D{{Key: "at", Value: day(2)}})
	sel := dated(ns)
	sel.CollScan = true
	var at []time.Time
	for _, doc := range readAll(t, db, sel, cold.Bounds{}, ReadOptions{BatchDocs: 1}) {
		at = append(at, doc.Lookup("at").Time().UTC())
	}
	if want := []time.Time{day(1), day(2), day(3)}; !slices.Equal(at, want) {
		t.Errorf("got %v, want %v", at, want)
	}
	s, err := db.Survey(context.Background(), sel)
	if err != nil || s.Index != "" || s.Count != 3 {
		t.Errorf("surveyed index %q, %d old documents, %v", s.Index, s.Count, err)
	}
}

// The server forgets a cursor that nobody asks for ten minutes; the governor
// may pause for longer.
func TestA7ReadGoesOnAfterTheServerForgotTheCursor(t *testing.T) {
	db := openDB(t)
	ctx := context.Background()
	ns := freshNS(t, db)
	index(t, db, ns, bson.D{{Key: "at", Value: 1}})
	docs := make([]any, 0, 400)
	for i := range 400 {
		docs = append(docs, bson.D{{Key: "_id", Value: i}, {Key: "at", Value: day(i/40 + 1)}})
	}
	insert(t, db, ns, docs...)
	c, err := db.Read(ctx, dated(ns), cold.Bounds{}, ReadOptions{BatchDocs: 23})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	seen := map[int32]int{}
	for {
		r, err := c.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range r.Docs {
			seen[d.Lookup("_id").Int32()]++
		}
		kill(t, db, ns, c.cur.ID())
	}
	for i := range int32(400) {
		if seen[i] != 1 {
			t.Errorf("document %d came %d times", i, seen[i])
		}
	}
}

func kill(t testing.TB, db *DB, ns flow.Namespace, cursor int64) {
	t.Helper()
	if cursor == 0 {
		return
	}
	cmd := bson.D{{Key: "killCursors", Value: ns.Coll}, {Key: "cursors", Value: bson.A{cursor}}}
	if err := db.client.Database(ns.DB).RunCommand(context.Background(), cmd).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestReadIDs(t *testing.T) {
	db := openDB(t)
	ns := freshNS(t, db)
	ctx := context.Background()
	err := db.client.Database(ns.DB).CreateCollection(ctx, ns.Coll,
		options.CreateCollection().SetCollation(&options.Collation{Locale: "en", Strength: 1}))
	if err != nil {
		t.Fatal(err)
	}
	insert(t, db, ns,
		bson.D{{Key: "_id", Value: 1}, {Key: "at", Value: day(1)}},
		bson.D{{Key: "_id", Value: 2.0}, {Key: "at", Value: day(25)}},
		bson.D{{Key: "_id", Value: "bob"}, {Key: "at", Value: day(2)}},
		bson.D{{Key: "_id", Value: "eve"}, {Key: "at", Value: day(2)}},
		bson.D{{Key: "_id", Value: 4}, {Key: "at", Value: bson.A{day(1)}}},
		bson.D{{Key: "_id", Value: 5}, {Key: "at", Value: day(3)}})
	ids := func(values ...any) (all []bson.RawValue) {
		for _, v := range values {
			typ, data, err := bson.MarshalValue(v)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, bson.RawValue{Type: typ, Value: data})
		}
		return all
	}
	r, err := db.ReadIDs(ctx, dated(ns), ids(1, 2, "BOB", "eve", 4, 5.0, 99))
	if err != nil || r.At.IsZero() {
		t.Fatal(r.At, err)
	}
	var got []string
	for _, d := range r.Docs {
		got = append(got, d.Lookup("_id").String())
	}
	if !slices.Equal(got, []string{`{"$numberInt":"1"}`, `{"$numberInt":"5"}`, `"eve"`}) {
		t.Errorf("got %s", got)
	}
	if r, err := db.ReadIDs(ctx, dated(ns), nil); err != nil || len(r.Docs) != 0 {
		t.Error(r, err)
	}
}

// Ranges cover the selection exactly once, whatever the ages are.
func TestSplitCoversExactly(t *testing.T) {
	db := openDB(t)
	base := testkit.UniqueName(t)
	round := 0
	t.Cleanup(func() { _ = db.client.Database(base).Drop(context.Background()) })
	rapid.Check(t, func(rt *rapid.T) {
		if round++; round > 25 {
			return // the server's time is dear; a soak run has other seeds
		}
		ns := flow.Namespace{DB: base, Coll: "docs"}
		coll := db.client.Database(base).Collection(ns.Coll)
		if err := coll.Drop(context.Background()); err != nil {
			rt.Fatal(err)
		}
		k := rapid.SampledFrom(kinds()).Draw(rt, "kind")
		field := "at"
		if k == cold.AgeObjectID {
			field = "_id"
		} else {
			index(t, db, ns, bson.D{{Key: "at", Value: rapid.SampledFrom([]int{1, -1}).Draw(rt, "direction")}})
		}
		var docs []any
		for i, s := range rapid.SliceOfN(rapid.Int64Range(0, 30), 0, 60).Draw(rt, "ages") {
			at := time.Unix(1_700_000_000+s, 0)
			switch k {
			case cold.AgeDate:
				docs = append(docs, bson.D{{Key: "_id", Value: i}, {Key: "at", Value: at}})
			case cold.AgeObjectID:
				docs = append(docs, bson.D{{Key: "_id", Value: bson.NewObjectIDFromTimestamp(at)}})
			default:
				v := float64(1_700_000_000+s) + float64(s)/64
				docs = append(docs, bson.D{{Key: "_id", Value: i}, {Key: "at", Value: v * (1e9 / float64(unitOf(k)))}})
			}
		}
		if len(docs) > 0 {
			insert(t, db, ns, docs...)
		}
		sel := cold.Selection{NS: ns, Field: field, Kind: k, Before: time.Unix(1_700_000_025, 0)}
		if rapid.Bool().Draw(rt, "from") {
			sel.From = time.Unix(1_700_000_004, 0)
		}
		parts, err := db.Split(context.Background(), sel, rapid.IntRange(1, 9).Draw(rt, "parts"))
		if err != nil {
			rt.Fatal(err)
		}
		whole := int(count(t, db, sel, cold.Bounds{}))
		sum := 0
		for i, p := range parts {
			sum += int(count(t, db, sel, p))
			if i > 0 && !p.From.Equal(parts[i-1].Before) {
				rt.Fatalf("part %d begins at %v, the one before ends at %v", i, p.From, parts[i-1].Before)
			}
		}
		if !parts[0].From.IsZero() || !parts[len(parts)-1].Before.IsZero() {
			rt.Fatalf("open ends: %v", parts)
		}
		if sum != whole {
			rt.Fatalf("%d documents in %d parts, %d in all: %v", sum, len(parts), whole, parts)
		}
	})
}

func count(t testing.TB, db *DB, sel cold.Selection, b cold.Bounds) int64 {
	t.Helper()
	n, err := db.data(sel.NS).CountDocuments(context.Background(), predicate(sel, b))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSplitIsAboutEqual(t *testing.T) {
	db := openDB(t)
	ns := freshNS(t, db)
	index(t, db, ns, byAt())
	docs := make([]any, 8000)
	for i := range docs {
		docs[i] = bson.D{{Key: "at", Value: day(1).Add(time.Duration(i*i) * time.Millisecond)}}
	}
	insert(t, db, ns, docs...)
	sel := dated(ns)
	sel.Before = day(1).Add(7000 * 7000 * time.Millisecond)
	check := func(how string, parts []cold.Bounds, slack int64) {
		t.Helper()
		if len(parts) != 4 {
			t.Fatalf("%s: %d parts", how, len(parts))
		}
		for _, p := range parts {
			if n := count(t, db, sel, p); n < 1750-slack || n > 1750+slack {
				t.Errorf("%s: %d documents in %v", how, n, p)
			}
		}
	}
	parts, err := db.Split(context.Background(), sel, 4)
	if err != nil {
		t.Fatal(err)
	}
	check("by steps", parts, 1)
	q := question{db: db, sel: sel, hint: "at_1__id_1"}
	cuts, err := q.cutSample(context.Background(), 4)
	if err != nil {
		t.Fatal(err)
	}
	check("by a sample", between(sel, cuts), 400)
}

// The order of a reading is never made in memory.
func TestReadNeverSorts(t *testing.T) {
	db := openDB(t)
	ctx := context.Background()
	ns := freshNS(t, db)
	index(t, db, ns, byAt())
	insert(t, db, ns, bson.D{{Key: "at", Value: bson.A{day(1), day(2)}}}, bson.D{{Key: "at", Value: day(3)}}, bson.D{{Key: "at", Value: day(2)}})
	sh, err := db.shapeOf(ctx, dated(ns))
	if err != nil {
		t.Fatal(err)
	}
	how, err := db.plan(ctx, dated(ns), cold.Bounds{}, sh)
	if err != nil || how.sort != nil || how.ordered {
		t.Errorf("an index with arrays is sorted: %+v %v", how, err)
	}
	if got := readAll(t, db, dated(ns), cold.Bounds{}, ReadOptions{}); len(got) != 2 {
		t.Errorf("%d documents", len(got))
	}
}

// Read by the smallest role, the error of each that is missing names it.
func TestMissingRightsAreNamed(t *testing.T) {
	m, err := testkit.StartMongo(context.Background(), testkit.MongoOptions{Auth: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Stop() })
	root := openAt(t, m.URI())
	ctx := context.Background()
	ns := flow.Namespace{DB: "shop", Coll: "orders"}
	index(t, root, ns, byAt())
	insert(t, root, ns, bson.D{{Key: "at", Value: day(1)}})
	poor := openAs(t, m, root, "poor", bson.A{})
	var fe *flow.Error
	_, err = poor.Survey(ctx, dated(ns))
	if !asError(err, &fe) || fe.Class != flow.Auth || !bytes.Contains([]byte(fe.Hint), []byte(`listCollections on {db: "shop", collection: ""}`)) ||
		!bytes.Contains([]byte(fe.Hint), []byte("createRole")) {
		t.Errorf("survey: %v", err)
	}
	if err := poor.PutRun(ctx, cold.Run{ID: "r"}); flow.ClassOf(err) != flow.Auth {
		t.Errorf("journal: %v", err)
	}
	if err := poor.EnsureIndexes(ctx); err != nil {
		t.Errorf("indexes: %v", err)
	}
	l, err := poor.Load(ctx)
	want := []string{
		"replSetGetStatus on {cluster: true}", `find on {db: "local", collection: "oplog.rs"}`, "serverStatus on {cluster: true}",
	}
	if err != nil || l.LagKnown || l.WindowKnown || l.LoadKnown || !slices.Equal(l.Missing, want) {
		t.Errorf("load: %+v %v", l, err)
	}
	// The role that the cure prints is enough for everything here.
	var role struct {
		Privileges bson.A
	}
	text := root.role(ns)
	if err := bson.UnmarshalExtJSON(roleJSON(text), false, &role); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	fit := openAs(t, m, root, "fit", role.Privileges)
	fit.own = fit.client.Database(root.own.Name())
	s, err := fit.Survey(ctx, dated(ns))
	if err != nil || s.Count != 1 {
		t.Errorf("survey: %+v %v", s, err)
	}
	if got := readAll(t, fit, dated(ns), cold.Bounds{}, ReadOptions{}); len(got) != 1 {
		t.Errorf("%d documents", len(got))
	}
	if err := fit.EnsureIndexes(ctx); err != nil {
		t.Error(err)
	}
	if l, err := fit.Load(ctx); err != nil || !l.LagKnown || !l.WindowKnown || !l.LoadKnown || len(l.Missing) != 0 {
		t.Errorf("load: %+v %v", l, err)
	}
	if _, err := fit.Namespaces(ctx, "shop.*"); err != nil {
		t.Error(err)
	}
}

// roleJSON makes JSON of the command that the cure prints.
func roleJSON(text string) []byte {
	b := []byte(text)
	b = b[bytes.IndexByte(b, '{') : bytes.LastIndexByte(b, '}')+1]
	lines := bytes.Split(b, []byte("\n"))
	for i, l := range lines {
		lines[i], _, _ = bytes.Cut(l, []byte("//"))
	}
	b = bytes.Join(lines, nil)
	for _, k := range []string{"role", "roles", "privileges", "resource", "actions", "db", "collection", "cluster"} {
		b = bytes.ReplaceAll(b, []byte("{"+k+":"), []byte(`{"`+k+`":`))
		b = bytes.ReplaceAll(b, []byte(" "+k+":"), []byte(` "`+k+`":`))
	}
	return b
}

// openAs makes a user with privileges, and connects as it.
func openAs(t testing.TB, m *testkit.Mongo, root *DB, name string, privileges bson.A) *DB {
	t.Helper()
	ctx := context.Background()
	admin := root.client.Database("admin")
	for _, cmd := range []bson.D{
		{{Key: "createRole", Value: name}, {Key: "roles", Value: bson.A{}}, {Key: "privileges", Value: privileges}},
		{{Key: "createUser", Value: name}, {Key: "pwd", Value: "pw"}, {Key: "roles", Value: bson.A{name}}},
	} {
		if err := admin.RunCommand(ctx, cmd).Err(); err != nil {
			t.Fatal(err)
		}
	}
	co := options.Client().ApplyURI(m.URI()).SetAuth(options.Credential{Username: name, Password: "pw", AuthSource: "admin"})
	client, err := mongo.Connect(co)
	if err != nil {
		t.Fatal(err)
	}
	db := &DB{client: client, uri: "test", own: client.Database("own_" + testkit.UniqueName(t)), log: root.log, vitals: vitals.New(client, "test"), patience: surveyTime}
	t.Cleanup(func() { _ = db.Close(ctx) })
	return db
}
