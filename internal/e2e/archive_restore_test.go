//go:build integration

package e2e

import (
	bin "encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/cold"
	"sluice/internal/testkit"
)

// TestA8RestoreWithoutJournal: with the journal and all local state lost, the
// catalogue is rebuilt from the bucket, and every document comes back, bit for
// bit, whatever is in it; the stream of a pack is what was read.
func TestA8RestoreWithoutJournal(t *testing.T) {
	t.Parallel()
	n := rounds(20_000, 100_000)
	// The database of the journal is dropped: that of other tests it can't be.
	m, err := testkit.StartMongo(t.Context(), testkit.MongoOptions{})
	if err != nil {
		t.Fatal(err)
	}
	v := newVault(t, vaultOptions{Mongo: m.URI(), Rule: ", pack_size: 1MB"})
	t.Cleanup(func() { _ = m.Stop() })
	v.index(t)
	zoo(t, v.coll(), n)
	before := v.raw(t)
	if len(before) != n {
		t.Fatalf("%d documents were made", len(before))
	}
	if r := v.runOnce(t); r.Deleted != int64(n) || r.Run.Packs < 2 {
		t.Fatalf("%+v, %+v", r, r.Run)
	}
	if left := v.count(t); left != 0 {
		t.Fatalf("%d documents are left", left)
	}
	packs := v.packsIn(t, cold.PackClosed)
	lost(t, v)

	var rebuilt struct{ Runs, Packs, Exceptions, New int }
	v.json(t, &rebuilt, "archive", "rebuild-catalogue")
	if rebuilt.Packs != len(packs) || rebuilt.New != len(packs) || rebuilt.Runs != 1 || rebuilt.Exceptions != 0 {
		t.Errorf("%+v of %d packs", rebuilt, len(packs))
	}
	all := map[string]string{}
	for _, p := range packs {
		docs, err := bsonStream([]byte(v.must(t, "archive", "cat", p.ID)))
		if err != nil || len(docs) != p.Docs {
			t.Fatalf("pack %s: %d documents of %d: %v", p.ID, len(docs), p.Docs, err)
		}
		for _, d := range docs {
			id := d.Lookup("_id").String()
			if _, twice := all[id]; twice {
				t.Errorf("_id %s is in two packs", id)
			}
			all[id] = string(d)
		}
	}
	wantSame(t, all, before)

	var back struct{ Found, Inserted, Conflicts, Duplicates, Refused int }
	v.json(t, &back, "restore", "--all")
	if back.Found != n || back.Inserted != n {
		t.Errorf("%+v", back)
	}
	wantSame(t, v.raw(t), before)
	// What came back is on hold, and is not archived again at once.
	if r := v.runOnce(t); r.Deleted != 0 || r.Held != int64(n) {
		t.Errorf("after the restore: %+v", r)
	}
}

// lost drops the journal, the collection and all that sluice keeps on disk.
func lost(t *testing.T, v *vault) {
	t.Helper()
	if err := v.client.Database("sluice").Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := v.coll().Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(v.dir, "state")); err != nil {
		t.Fatal(err)
	}
}

// zoo inserts n old documents, whose raw BSON has every type, duplicate keys
// and fields in any order; the server takes them as they are.
func zoo(t *testing.T, coll *mongo.Collection, n int) {
	t.Helper()
	r := rand.New(rand.NewPCG(6, uint64(n)))
	for at := 0; at < n; {
		var batch []any
		for ; at < n && len(batch) < 5000; at++ {
			batch = append(batch, beast(r, at))
		}
		if _, err := coll.InsertMany(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	// The server fills in an empty timestamp of the first level on insert and
	// update; an upsert of a literal keeps it.
	at := time.Date(2018, 1, 1, 0, 0, 0, 0, time.UTC)
	empty := bson.D{{Key: "_id", Value: "empty timestamp"}, {Key: "at", Value: at}, {Key: "ts", Value: bson.Timestamp{}}}
	if _, err := coll.DeleteOne(t.Context(), bson.D{{Key: "_id", Value: keyOf(n - 1)}}); err != nil {
		t.Fatal(err)
	}
	literal := mongo.Pipeline{bson.D{{Key: "$replaceWith", Value: bson.D{{Key: "$literal", Value: empty}}}}}
	if _, err := coll.UpdateOne(t.Context(), bson.D{{Key: "_id", Value: "empty timestamp"}}, literal, options.UpdateOne().SetUpsert(true)); err != nil {
		t.Fatal(err)
	}
	var got struct{ TS bson.Timestamp }
	if err := coll.FindOne(t.Context(), bson.D{{Key: "_id", Value: "empty timestamp"}}).Decode(&got); err != nil || !got.TS.IsZero() {
		t.Fatalf("the timestamp is %v: %v", got.TS, err)
	}
}

// keyOf is the _id of a document of the zoo: every type that one may have.
func keyOf(i int) any {
	switch i % 9 {
	case 0:
		return int32(i)
	case 1:
		return int64(i) << 33
	case 2:
		return float64(i) + 0.5
	case 3:
		return fmt.Sprintf("key-%d\x01é", i)
	case 4:
		id := bson.ObjectID{1, 2, 3}
		bin.BigEndian.PutUint32(id[8:], uint32(i))
		return id
	case 5:
		return bson.D{{Key: "b", Value: int32(i)}, {Key: "a", Value: "x"}}
	case 6:
		return bson.Binary{Subtype: 4, Data: bin.BigEndian.AppendUint64(make([]byte, 8), uint64(i))}
	case 7:
		return bson.DateTime(int64(i) * 1000)
	}
	d, _ := bson.ParseDecimal128(fmt.Sprintf("%d.250", i))
	return d
}

// beast is a document of the zoo.
func beast(r *rand.Rand, i int) bson.Raw {
	dec, _ := bson.ParseDecimal128("-1.50E+10")
	nan := math.Float64frombits(0x7ff8000000000000 | r.Uint64N(1000))
	fields := []bson.E{
		{Key: "at", Value: time.Date(2019, 1, 1, 0, 0, i, r.IntN(1000)*1e6, time.UTC)},
		{Key: "double", Value: r.NormFloat64()},
		{Key: "minus zero", Value: math.Float64frombits(1 << 63)},
		{Key: "nan", Value: nan},
		{Key: "string", Value: "Grüße \x00 \u2028 \U0001F600"},
		{Key: "", Value: "no name"},
		{Key: "doc", Value: bson.D{{Key: "z", Value: 1}, {Key: "a", Value: bson.D{}}, {Key: "z", Value: "twice"}, {Key: "ts", Value: bson.Timestamp{}}}},
		{Key: "array", Value: bson.A{int32(1), int64(1), 1.0, dec, "1", nil, bson.A{}, bson.D{{Key: "k", Value: true}}}},
		{Key: "binary", Value: bson.Binary{Subtype: byte(r.IntN(10)), Data: []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}}},
		{Key: "old binary", Value: bson.Binary{Subtype: 2, Data: []byte("old")}},
		{Key: "undefined", Value: bson.Undefined{}},
		{Key: "oid", Value: bson.NewObjectID()},
		{Key: "bool", Value: i%2 == 0},
		{Key: "date", Value: bson.DateTime(-r.Int64N(1 << 50))},
		{Key: "null", Value: nil},
		{Key: "regex", Value: bson.Regex{Pattern: "^a|b/$", Options: "im"}},
		{Key: "pointer", Value: bson.DBPointer{DB: "db.coll", Pointer: bson.NewObjectID()}},
		{Key: "code", Value: bson.JavaScript("function() { return 1 }")},
		{Key: "symbol", Value: bson.Symbol("sym")},
		{Key: "scoped", Value: bson.CodeWithScope{Code: "x", Scope: bson.D{{Key: "x", Value: 1}}}},
		{Key: "int", Value: int32(r.Uint32())},
		{Key: "timestamp", Value: bson.Timestamp{T: r.Uint32() | 1, I: r.Uint32()}},
		{Key: "long", Value: int64(r.Uint64())},
		{Key: "decimal", Value: dec},
		{Key: "min", Value: bson.MinKey{}},
		{Key: "max", Value: bson.MaxKey{}},
		{Key: "dotted.name", Value: 1},
		{Key: "$dollar", Value: 2},
	}
	r.Shuffle(len(fields), func(a, b int) { fields[a], fields[b] = fields[b], fields[a] })
	fields = fields[:len(fields):len(fields)]
	if i%3 == 0 {
		fields = append(fields, bson.E{Key: "int", Value: "a second one"}, bson.E{Key: "int", Value: int64(3)})
	}
	doc, err := bson.Marshal(append(bson.D{{Key: "_id", Value: keyOf(i)}}, fields...))
	if err != nil {
		panic(err)
	}
	return doc
}
