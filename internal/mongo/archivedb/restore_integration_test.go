//go:build integration

package archivedb

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
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

func home(docs ...bson.Raw) []cold.Homecoming {
	out := make([]cold.Homecoming, len(docs))
	for i, doc := range docs {
		out[i] = cold.Homecoming{ID: doc.Lookup("_id"), Doc: doc}
	}
	return out
}

func (s *scene) restore(on cold.OnConflict, docs ...cold.Homecoming) []cold.Return {
	s.t.Helper()
	out, err := s.db.Restore(s.t.Context(), s.guard.Selection.NS, docs, on)
	s.must(err)
	return out
}

func (s *scene) returned(out []cold.Return, want ...cold.Returned) {
	s.t.Helper()
	if len(out) != len(want) {
		s.t.Fatalf("%d returns, want %d", len(out), len(want))
	}
	for i, r := range out {
		if r.Returned != want[i] {
			s.t.Errorf("document %d: %s (%v), want %s", i, r.Returned, r.Err, want[i])
		}
	}
}

// isLive checks that a document is live, bit for bit.
func (s *scene) isLive(docs ...bson.Raw) {
	s.t.Helper()
	for _, doc := range docs {
		got, err := s.coll.FindOne(s.t.Context(), bson.D{{Key: "_id", Value: bson.D{{Key: "$eq", Value: doc.Lookup("_id")}}}}).Raw()
		if err != nil || !bytes.Equal(got, doc) {
			s.t.Errorf("live is\n %x (%v), want\n %x", []byte(got), err, []byte(doc))
		}
	}
}

// element is one of BSON by its bytes, also such as no driver makes.
func element(typ bson.Type, name string, value ...byte) []byte {
	return append(append([]byte{byte(typ)}, name+"\x00"...), value...)
}

func document(elements ...[]byte) bson.Raw {
	b := append(make([]byte, 4), bytes.Join(elements, nil)...)
	return end(append([]byte{}, b...), 0)
}

// oddBodies are documents, without their _id, that are hard to bring back as
// they were.
func oddBodies(t testing.TB) map[string][]byte {
	t.Helper()
	inner := func(d bson.D) []byte {
		b := raw(t, d)
		return b[4 : len(b)-1]
	}
	text := func(s string) []byte { return append(append([]byte{byte(len(s) + 1), 0, 0, 0}, s...), 0) }
	zero := make([]byte, 8)
	return map[string][]byte{
		"nothing":                        nil,
		"every type":                     inner(everyType()),
		"zero timestamp":                 element(bson.TypeTimestamp, "t", zero...),
		"zero timestamp behind others":   append(inner(bson.D{{Key: "a", Value: 1}}), element(bson.TypeTimestamp, "t", zero...)...),
		"zero timestamp in a document":   inner(bson.D{{Key: "a", Value: bson.D{{Key: "t", Value: bson.Timestamp{}}}}}),
		"zero timestamp in an array":     inner(bson.D{{Key: "a", Value: bson.A{bson.Timestamp{}}}}),
		"a name twice":                   inner(bson.D{{Key: "a", Value: 1}, {Key: "b", Value: 2}, {Key: "a", Value: "x"}}),
		"a name twice and zero time":     append(inner(bson.D{{Key: "a", Value: 1}, {Key: "a", Value: 2}}), element(bson.TypeTimestamp, "t", zero...)...),
		"names with dots and dollars":    inner(bson.D{{Key: "$a", Value: 1}, {Key: "a.b", Value: bson.D{{Key: "$set", Value: 1}}}, {Key: "", Value: 1}, {Key: "..", Value: 1}}),
		"dollars and zero timestamp":     append(inner(bson.D{{Key: "$a", Value: "$$ROOT"}, {Key: "a.b", Value: "$x"}}), element(bson.TypeTimestamp, "t", zero...)...),
		"invalid UTF-8":                  element(bson.TypeString, "s\xff", text("a\xff\xfe")...),
		"NUL in a string":                element(bson.TypeString, "s", text("a\x00b")...),
		"array with other names":         element(bson.TypeArray, "a", end(append(make([]byte, 4), append(element(bson.TypeInt32, "7", 1, 0, 0, 0), element(bson.TypeInt32, "x", 2, 0, 0, 0)...)...), 0)...),
		"unsorted options of a regex":    element(bson.TypeRegex, "r", []byte("a\x00xmi\x00")...),
		"inner length of binary 2":       element(bson.TypeBinary, "b", 8, 0, 0, 0, 2, 99, 0, 0, 0, 1, 2, 3, 4),
		"UUID of three bytes":            element(bson.TypeBinary, "b", 3, 0, 0, 0, 4, 1, 2, 3),
		"dates at the ends":              inner(bson.D{{Key: "a", Value: bson.DateTime(math.MaxInt64)}, {Key: "b", Value: bson.DateTime(math.MinInt64)}}),
		"a NaN with a payload":           inner(bson.D{{Key: "a", Value: math.Float64frombits(0x7ff4000000000999)}, {Key: "b", Value: math.Copysign(0, -1)}}),
		"nested 150 deep":                inner(bson.D{{Key: "a", Value: deep(150)}}),
		"a field named as its own _id":   inner(bson.D{{Key: "a", Value: bson.D{{Key: "_id", Value: 1}}}}),
		"decimals":                       inner(bson.D{{Key: "a", Value: decimal("1.00")}, {Key: "b", Value: decimal("NaN")}, {Key: "c", Value: decimal("-0E+3")}}),
		"fields in an unusual order":     inner(bson.D{{Key: "z", Value: 1}, {Key: "a", Value: 2}, {Key: "m", Value: bson.D{{Key: "z", Value: 1}, {Key: "a", Value: 1}}}}),
		"1,000 fields":                   inner(wide(1000)),
		"a string that looks like a var": inner(bson.D{{Key: "a", Value: "$$NOW"}, {Key: "b", Value: "$at"}}),
	}
}

func wide(n int) bson.D {
	var d bson.D
	for i := range n {
		d = append(d, bson.E{Key: fmt.Sprint("f", i), Value: i})
	}
	return d
}

func deep(n int) bson.D {
	d := bson.D{{Key: "end", Value: 1}}
	for range n {
		d = bson.D{{Key: "d", Value: d}}
	}
	return d
}

func everyType() bson.D {
	return bson.D{
		{Key: "double", Value: 1.5},
		{Key: "string", Value: "ü"},
		{Key: "doc", Value: bson.D{}},
		{Key: "array", Value: bson.A{1, bson.A{}}},
		{Key: "binary", Value: bson.Binary{Subtype: 128, Data: []byte{1}}},
		{Key: "undefined", Value: bson.Undefined{}},
		{Key: "oid", Value: bson.NewObjectID()},
		{Key: "bool", Value: true},
		{Key: "date", Value: bson.DateTime(-1)},
		{Key: "null", Value: nil},
		{Key: "regex", Value: bson.Regex{Pattern: "a", Options: "im"}},
		{Key: "dbpointer", Value: bson.DBPointer{DB: "a.b", Pointer: bson.NewObjectID()}},
		{Key: "js", Value: bson.JavaScript("x")},
		{Key: "symbol", Value: bson.Symbol("s")},
		{Key: "scope", Value: bson.CodeWithScope{Code: "x", Scope: bson.D{{Key: "a", Value: 1}}}},
		{Key: "int", Value: int32(1)},
		{Key: "ts", Value: bson.Timestamp{T: 1, I: 2}},
		{Key: "long", Value: int64(1)},
		{Key: "decimal", Value: decimal("1.10")},
		{Key: "min", Value: bson.MinKey{}},
		{Key: "max", Value: bson.MaxKey{}},
	}
}

func TestA8RestoredBitForBit(t *testing.T) {
	s := sharedScene(t, 0)
	var docs []bson.Raw
	id := 0
	for _, body := range oddBodies(t) {
		id++
		docs = append(docs, document(element(bson.TypeInt32, "_id", byte(id), 0, 0, 0), body))
	}
	for _, id := range []any{
		int64(1 << 40), 2.5, decimal("3.250"), "a", "", "$a",
		bson.D{},
		bson.D{{Key: "a", Value: 1}, {Key: "b", Value: bson.A{1, "x"}}},
		bson.Binary{Subtype: 2, Data: []byte{9, 9}},
		bson.NewObjectID(), true, old(),
		bson.Timestamp{T: 5},
		bson.Timestamp{},
		nil,
		bson.MinKey{},
		bson.MaxKey{},
		bson.JavaScript("x"), bson.Symbol("s"), math.NaN(), strings.Repeat("k", 5000),
	} {
		docs = append(docs, raw(t, bson.D{{Key: "_id", Value: id}, {Key: "v", Value: 1}}),
			raw(t, bson.D{{Key: "_id", Value: bson.D{{Key: "as", Value: id}}}, {Key: "t", Value: bson.Timestamp{}}}))
	}
	out := s.restore(cold.KeepLive, home(docs...)...)
	s.returned(out, slices.Repeat([]cold.Returned{cold.Inserted}, len(docs))...)
	s.isLive(docs...)
	out = s.restore(cold.KeepLive, home(docs...)...)
	s.returned(out, slices.Repeat([]cold.Returned{cold.Equal}, len(docs))...)
	// Both ways keep the bytes of what needs no special way.
	for i, h := range home(docs...) {
		if w, err := wayOf(h); err != nil || w == byUpsert && !bytes.Contains(h.Doc, make([]byte, 8)) {
			t.Errorf("document %d goes by %d, %v", i, w, err)
		}
	}
}

// Documents of random shape come back, by upsert as well as by insert.
func TestA8BothWaysKeepTheBytes(t *testing.T) {
	s := sharedScene(t, 0)
	rng := rand.New(rand.NewPCG(1, 2))
	bodies := oddBodies(t)
	names := make([]string, 0, len(bodies))
	for name := range bodies {
		names = append(names, name)
	}
	slices.Sort(names)
	var docs []bson.Raw
	for i := range 300 {
		parts := [][]byte{element(bson.TypeInt32, "_id", byte(i), byte(i>>8), 0, 0)}
		for range rng.IntN(4) {
			name := names[rng.IntN(len(names))]
			if !strings.Contains(name, "zero timestamp") && !strings.Contains(name, "zero time") {
				parts = append(parts, bodies[name])
			}
		}
		if i%2 == 0 {
			parts = append(parts, element(bson.TypeTimestamp, "last", make([]byte, 8)...))
		}
		docs = append(docs, document(parts...))
	}
	s.returned(s.restore(cold.KeepLive, home(docs...)...), slices.Repeat([]cold.Returned{cold.Inserted}, len(docs))...)
	s.isLive(docs...)
}

func TestA8ManyDocumentsAndRepeats(t *testing.T) {
	s := sharedScene(t, 0)
	const n = 7000
	docs := make([]bson.Raw, n)
	for i := range docs {
		docs[i] = raw(t, bson.D{{Key: "_id", Value: int32(i * 7919 % n)}, {Key: "v", Value: strings.Repeat("x", i%2000)}})
	}
	s.insert(docs[100:200]...)
	out := s.restore(cold.KeepLive, home(docs...)...)
	want := slices.Repeat([]cold.Returned{cold.Inserted}, n)
	for i := 100; i < 200; i++ {
		want[i] = cold.Equal
	}
	s.returned(out, want...)
	if s.live() != n {
		t.Fatal(s.live())
	}
	// A key twice in one call: the second one meets the first.
	x, y := raw(t, bson.D{{Key: "_id", Value: "k"}, {Key: "v", Value: 1}}), raw(t, bson.D{{Key: "_id", Value: "k"}, {Key: "v", Value: 2}})
	s.returned(s.restore(cold.KeepLive, home(x, y, x)...), cold.Inserted, cold.Conflicting, cold.Equal)
	s.isLive(x)
}

func TestA8LiveDocumentsStay(t *testing.T) {
	s := sharedScene(t, 0)
	archived := []bson.Raw{aged(t, 1, bson.D{{Key: "v", Value: 1}}), aged(t, 2, bson.D{{Key: "v", Value: 1}}), aged(t, 3, nil), aged(t, int32(4), nil)}
	live := []bson.Raw{aged(t, 1, bson.D{{Key: "v", Value: 2}}), archived[1], aged(t, 4.0, nil)}
	s.insert(live...)
	for _, on := range []cold.OnConflict{cold.KeepLive, cold.ReplaceOlder} {
		third := cold.Inserted
		if on == cold.ReplaceOlder {
			third = cold.Equal // of the first restore
		}
		out := s.restore(on, home(archived...)...)
		s.returned(out, cold.Conflicting, cold.Equal, third, cold.Conflicting)
		if !bytes.Equal(out[0].Live, live[0]) || !bytes.Equal(out[3].Live, live[2]) {
			t.Errorf("%s: the live documents are told as %v and %v", on, out[0].Live, out[3].Live)
		}
		s.isLive(live...)
	}
}

func TestA8OnlyArchivedVersionsAreReplaced(t *testing.T) {
	s := sharedScene(t, 0)
	v := func(id, v int) bson.Raw { return aged(t, id, bson.D{{Key: "v", Value: v}}) }
	num := func(id byte) []byte { return element(bson.TypeInt32, "_id", id, 0, 0, 0) }
	one, text := element(bson.TypeInt32, "a", 1, 0, 0, 0), element(bson.TypeNull, "a")
	// MongoDB ends itself when it has to tell such documents apart.
	twice, twiceToo := document(num(4), one, text), document(num(4), text, one)
	zero := document(num(3), element(bson.TypeTimestamp, "t", make([]byte, 8)...), element(bson.TypeNull, "t"))
	s.insert(v(1, 1), v(2, 9), v(3, 1), twice)
	docs := home(v(1, 2), v(2, 2), zero, twiceToo)
	for i := range docs {
		docs[i].Replaceable = []cold.Hash{sha256.Sum256(v(i+1, 0)), sha256.Sum256(v(i+1, 1)), sha256.Sum256(twice)}
	}
	out := s.restore(cold.ReplaceOlder, docs...)
	s.returned(out, cold.Replaced, cold.Conflicting, cold.Replaced, cold.Replaced)
	s.isLive(docs[0].Doc, v(2, 9), zero, twiceToo)
	s.returned(s.restore(cold.KeepLive, docs...), cold.Equal, cold.Conflicting, cold.Equal, cold.Equal)
}

// A live document that changes between the look and the replacing stays.
func TestA8AReplaceIsGuarded(t *testing.T) {
	s := sharedScene(t, 0)
	v := func(v int) bson.Raw { return aged(t, 1, bson.D{{Key: "v", Value: v}}) }
	s.insert(v(7))
	h := home(v(2))
	h[0].Replaceable = []cold.Hash{sha256.Sum256(v(1))}
	r := &homecoming{db: s.db, ns: s.guard.Selection.NS, docs: h, on: cold.ReplaceOlder, coll: s.db.client.Database(s.coll.Database().Name()).Collection(s.coll.Name(), majorityBoth())}
	ret, err := r.replace(t.Context(), 0, live{there: true, doc: v(1)})
	if err != nil || ret.Returned != cold.Conflicting || !bytes.Equal(ret.Live, v(7)) {
		t.Fatal(ret, err)
	}
	s.must(r.exchange(t.Context(), 0, v(7), false))
	if err := r.exchange(t.Context(), 0, v(7), false); !errors.Is(err, errMoved) {
		t.Fatal(err)
	}
}

func TestA8NothingIsWrittenAfterAConflict(t *testing.T) {
	s := sharedScene(t, 0)
	var docs []bson.Raw
	for i := range 2500 {
		docs = append(docs, aged(t, int32(i), bson.D{{Key: "u", Value: i}}))
	}
	live := aged(t, int32(1500), bson.D{{Key: "v", Value: 2}})
	s.insert(live)
	s.insert(docs[3:6]...)
	out, err := s.db.Restore(t.Context(), s.guard.Selection.NS, home(docs...), cold.FailConflict)
	if flow.ClassOf(err) != flow.Conflict || out[1500].Returned != cold.Conflicting || out[4].Returned != cold.Equal || out[6].Returned != cold.Inserted {
		t.Fatal(err, out[1500], out[4], out[6])
	}
	if n := s.live(); n != 1001 {
		t.Fatal(n, "live")
	}
	for i, r := range out {
		if i > 1500 && r.Returned != "" {
			t.Fatalf("document %d after the conflict is %s", i, r.Returned)
		}
	}
	// A secondary unique index: found out by writing, in order.
	_, err = s.coll.DeleteMany(t.Context(), bson.D{})
	s.must(err)
	s.unique("u")
	s.insert(aged(t, "other", bson.D{{Key: "u", Value: 20}}))
	out, err = s.db.Restore(t.Context(), s.guard.Selection.NS, home(docs...), cold.FailConflict)
	if flow.ClassOf(err) != flow.Conflict || out[20].Returned != cold.Duplicate || out[20].Index != "u_1" || s.live() != 21 {
		t.Fatal(err, out[20], s.live())
	}
}

func (s *scene) unique(name string) {
	s.t.Helper()
	_, err := s.coll.Indexes().CreateOne(s.t.Context(), mongo.IndexModel{Keys: bson.D{{Key: name, Value: 1}}, Options: options.Index().SetUnique(true)})
	s.must(err)
}

func TestA8SecondaryUniqueIndex(t *testing.T) {
	s := sharedScene(t, 0)
	s.unique("u")
	s.insert(aged(t, "live", bson.D{{Key: "u", Value: 1}}))
	plain := aged(t, 1, bson.D{{Key: "u", Value: 1}})
	special := raw(t, bson.D{{Key: "_id", Value: 2}, {Key: "u", Value: 1}, {Key: "t", Value: bson.Timestamp{}}})
	out := s.restore(cold.KeepLive, home(plain, special, aged(t, 3, bson.D{{Key: "u", Value: 3}}))...)
	s.returned(out, cold.Duplicate, cold.Duplicate, cold.Inserted)
	if out[0].Index != "u_1" || out[1].Index != "u_1" || out[0].Err == nil {
		t.Errorf("%+v", out[:2])
	}
	// Replacing meets it as well.
	older := aged(t, 3, bson.D{{Key: "u", Value: 1}, {Key: "v", Value: 1}})
	h := home(older)
	h[0].Replaceable = []cold.Hash{sha256.Sum256(aged(t, 3, bson.D{{Key: "u", Value: 3}}))}
	out = s.restore(cold.ReplaceOlder, h...)
	s.returned(out, cold.Duplicate)
	if out[0].Index != "u_1" {
		t.Errorf("%+v", out)
	}
}

func TestA8ValidatorsDoNotCount(t *testing.T) {
	s := sharedScene(t, 0)
	s.must(s.coll.Database().CreateCollection(t.Context(), s.coll.Name(), options.CreateCollection().SetValidator(bson.D{{Key: "must", Value: bson.D{{Key: "$exists", Value: true}}}})))
	docs := []bson.Raw{aged(t, 1, nil), raw(t, bson.D{{Key: "_id", Value: 2}, {Key: "t", Value: bson.Timestamp{}}})}
	s.returned(s.restore(cold.KeepLive, home(docs...)...), cold.Inserted, cold.Inserted)
	h := home(aged(t, 1, bson.D{{Key: "v", Value: 2}}))
	h[0].Replaceable = []cold.Hash{sha256.Sum256(docs[0])}
	s.returned(s.restore(cold.ReplaceOlder, h...), cold.Replaced)
}

// One document that the server refuses does not keep the others away.
func TestA8WhatIsRefusedIsTold(t *testing.T) {
	for _, on := range []cold.OnConflict{cold.KeepLive, cold.FailConflict} {
		t.Run(string(on), func(t *testing.T) { testRefused(t, on) })
	}
}

func testRefused(t *testing.T, on cold.OnConflict) {
	s := sharedScene(t, 0)
	filler := func(n int) []byte { return make([]byte, n) }
	size := func(id int32, total int) bson.Raw {
		bare := len(raw(t, bson.D{{Key: "_id", Value: id}, {Key: "b", Value: filler(0)}}))
		return raw(t, bson.D{{Key: "_id", Value: id}, {Key: "b", Value: filler(total - bare)}})
	}
	docs := home(
		aged(t, 0, nil), size(1, 16<<20), size(2, 16<<20+1), aged(t, 3, bson.D{{Key: "d", Value: deep(250)}}),
		document(element(bson.TypeInt32, "_id", 4, 0, 0, 0), element(bson.TypeBoolean, "b", 7)), aged(t, 5, nil),
		raw(t, bson.D{{Key: "v", Value: 6}}), aged(t, 7, nil), bson.Raw{1, 2}, aged(t, bson.A{1}, nil), aged(t, 10, nil),
	)
	docs[7].ID = docs[0].ID
	docs[8].ID = docs[0].ID
	out := s.restore(on, docs...)
	s.returned(out, cold.Inserted, cold.Inserted, cold.Refused, cold.Refused, cold.Refused, cold.Inserted, cold.Refused, cold.Refused, cold.Refused, cold.Refused, cold.Inserted)
	for i, r := range out {
		if r.Returned == cold.Refused && r.Err == nil {
			t.Errorf("document %d is refused without a reason", i)
		}
	}
	s.isLive(docs[0].Doc, docs[1].Doc, docs[5].Doc)
}

func TestA8FailuresThatPass(t *testing.T) {
	m := startFragile(t)
	f := func(name, command string, times int, on cold.OnConflict, how []bson.E) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			s := newScene(t, openAt(t, m.URI()), m.URI(), 0)
			docs := []bson.Raw{aged(t, 1, nil), raw(t, bson.D{{Key: "_id", Value: 2}, {Key: "t", Value: bson.Timestamp{}}}), aged(t, 3, nil)}
			s.fail(command, times, how...)
			out := s.restore(on, home(docs...)...)
			for i, r := range out {
				if r.Returned != cold.Inserted && r.Returned != cold.Equal {
					t.Errorf("document %d: %+v", i, r)
				}
			}
			s.isLive(docs...)
		})
	}
	for _, on := range []cold.OnConflict{cold.KeepLive, cold.FailConflict} {
		f("insert: connection cut", "insert", 2, on, cut())
		f("insert: done, but with an error", "insert", 1, on, doneButUnsure())
		f("upsert: a new primary", "update", 2, on, code(10107, labelRetry))
		f("upsert: done, but with an error", "update", 1, on, doneButUnsure())
		f("reading back: connection cut", "find", 1, on, cut())
	}
	s := newScene(t, openAt(t, m.URI()), m.URI(), 0)
	s.fail("insert", 1, code(13)...)
	if _, err := s.db.Restore(t.Context(), s.guard.Selection.NS, home(aged(t, 1, nil)), cold.KeepLive); flow.ClassOf(err) != flow.Auth {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.db.Restore(ctx, s.guard.Selection.NS, home(aged(t, 1, nil)), cold.KeepLive); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestA8OnAStandalone(t *testing.T) {
	m, err := testkit.StartMongo(t.Context(), testkit.MongoOptions{Standalone: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Stop() })
	db := openAt(t, m.URI())
	ns := freshNS(t, db)
	first, second := aged(t, 1, bson.D{{Key: "v", Value: 1}}), aged(t, 1, bson.D{{Key: "v", Value: 2}})
	out, err := db.Restore(t.Context(), ns, home(first), cold.KeepLive)
	if err != nil || out[0].Returned != cold.Inserted {
		t.Fatal(out, err)
	}
	h := home(second)
	h[0].Replaceable = []cold.Hash{sha256.Sum256(first)}
	out, err = db.Restore(t.Context(), ns, h, cold.ReplaceOlder)
	if err != nil || out[0].Returned != cold.Replaced {
		t.Fatal(out, err)
	}
}

func TestA8HoldsKeepTheRulesOff(t *testing.T) {
	s := sharedScene(t, 0)
	ctx, ns := t.Context(), s.guard.Selection.NS
	id := func(v any) bson.RawValue { return raw(t, bson.D{{Key: "_id", Value: v}}).Lookup("_id") }
	soon, later := time.Now().UTC().Add(time.Hour).Truncate(time.Millisecond), time.Now().UTC().Add(48*time.Hour).Truncate(time.Millisecond)
	has := func(want bool) {
		t.Helper()
		if got, err := s.db.HasHolds(ctx, ns); err != nil || got != want {
			t.Fatal(got, err)
		}
	}
	has(false)
	doc := bson.D{{Key: "a", Value: 1}}
	s.must(s.db.Hold(ctx, ns, []bson.RawValue{id(1), id("a"), id(doc)}, later))
	s.must(s.db.Hold(ctx, ns, []bson.RawValue{id("a")}, soon)) // the longer one stays
	s.must(s.db.Hold(ctx, ns, []bson.RawValue{id("over")}, time.Now().Add(-time.Minute)))
	s.must(s.db.Hold(ctx, flow.Namespace{DB: ns.DB, Coll: ns.Coll + "2"}, []bson.RawValue{id(5)}, later))
	has(true)
	held, err := s.db.Held(ctx, ns, []bson.RawValue{id(0), id(1.0), id("a"), id("over"), id(doc), id(5), id(int64(1))})
	s.must(err)
	if len(held) != 4 || !held[1].Equal(later) || !held[2].Equal(later) || !held[4].Equal(later) || !held[6].Equal(later) {
		t.Fatalf("%v", held)
	}
	n, err := s.db.ReleaseHolds(ctx, ns, time.Now())
	s.must(err)
	if n != 1 {
		t.Fatal(n, "released")
	}
	has(true)
	n, err = s.db.ReleaseHolds(ctx, ns, time.Time{})
	s.must(err)
	if n != 3 {
		t.Fatal(n, "released")
	}
	has(false)
}

func TestA8EnsureCollection(t *testing.T) {
	s := sharedScene(t, 0)
	ctx, ns := t.Context(), s.guard.Selection.NS
	saved := raw(t, bson.D{
		{Key: "uuid", Value: "x"},
		{Key: "validator", Value: bson.D{{Key: "v", Value: bson.D{{Key: "$type", Value: "int"}}}}},
		{Key: "collation", Value: bson.D{{Key: "locale", Value: "de"}}},
	})
	indexes := []bson.Raw{
		raw(t, bson.D{{Key: "v", Value: 2}, {Key: "key", Value: bson.D{{Key: "_id", Value: 1}}}, {Key: "name", Value: "_id_"}}),
		raw(t, bson.D{{Key: "v", Value: 2}, {Key: "key", Value: bson.D{{Key: "u", Value: -1}}}, {Key: "name", Value: "mine"}, {Key: "unique", Value: true}, {Key: "ns", Value: "old.ns"}, {Key: "background", Value: true}}),
		raw(t, bson.D{{Key: "v", Value: 2}, {Key: "key", Value: bson.D{{Key: "at", Value: 1}}}, {Key: "name", Value: "at_1"}, {Key: "expireAfterSeconds", Value: 60}}),
		raw(t, bson.D{{Key: "v", Value: 2}, {Key: "key", Value: bson.D{{Key: "x", Value: "no such kind"}}}, {Key: "name", Value: "bad"}}),
	}
	done, err := s.db.EnsureCollection(ctx, ns, saved, indexes)
	s.must(err)
	if !done.Created || !slices.Equal(done.Indexes, []string{"mine"}) || len(done.Left) != 2 || !strings.Contains(done.Left[0], "TTL") {
		t.Fatalf("%+v", done)
	}
	specs, err := s.coll.Database().ListCollectionSpecifications(ctx, bson.D{})
	s.must(err)
	if len(specs) != 1 || specs[0].Options.Lookup("collation", "locale").StringValue() != "de" || specs[0].Options.Lookup("validator").Type != bson.TypeEmbeddedDocument {
		t.Fatalf("%+v", specs)
	}
	done, err = s.db.EnsureCollection(ctx, ns, nil, indexes)
	s.must(err)
	if done.Created || len(done.Indexes) > 0 {
		t.Fatalf("%+v", done)
	}
	other := flow.Namespace{DB: ns.DB, Coll: "other"}
	done, err = s.db.EnsureCollection(ctx, other, raw(t, bson.D{{Key: "optionOfALaterVersion", Value: true}, {Key: "validationLevel", Value: "off"}}), nil)
	s.must(err)
	if !done.Created || len(done.Left) != 1 || !strings.Contains(done.Left[0], "optionOfALaterVersion") {
		t.Fatalf("%+v", done)
	}
	done, err = s.db.EnsureCollection(ctx, flow.Namespace{DB: ns.DB, Coll: "bare"}, nil, nil)
	s.must(err)
	if !done.Created || len(done.Left) > 0 {
		t.Fatalf("%+v", done)
	}
}
