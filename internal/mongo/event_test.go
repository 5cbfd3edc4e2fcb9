package mongo

import (
	"bytes"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"
)

func rawOf(t testing.TB, v any) bson.Raw {
	t.Helper()
	b, err := bson.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func nsDoc(db, coll string) bson.D {
	d := bson.D{{Key: "db", Value: db}}
	if coll != "" {
		d = append(d, bson.E{Key: "coll", Value: coll})
	}
	return d
}

func TestParseEvent(t *testing.T) {
	uuid := bson.Binary{Subtype: 4, Data: bytes.Repeat([]byte{7}, 16)}
	doc := bson.D{{Key: "_id", Value: 5}, {Key: "x", Value: bson.A{1, bson.D{{Key: "clusterTime", Value: bson.Timestamp{T: 9}}}}}}
	raw := rawOf(t, bson.D{
		{Key: "_id", Value: bson.D{{Key: "_data", Value: "82AB"}}},
		{Key: "operationType", Value: "insert"},
		{Key: "clusterTime", Value: bson.Timestamp{T: 3, I: 4}},
		{Key: "collectionUUID", Value: uuid},
		{Key: "wallTime", Value: bson.DateTime(1)},
		{Key: "fullDocument", Value: doc},
		{Key: "ns", Value: nsDoc("a", "b")},
		{Key: "documentKey", Value: bson.D{{Key: "_id", Value: 5}}},
		{Key: "lsid", Value: bson.D{{Key: "id", Value: uuid}}},
		{Key: "txnNumber", Value: int64(1)},
	})
	var e event
	if err := e.parse(raw); err != nil {
		t.Fatal(err)
	}
	id, key, err := e.documentKey()
	if e.kind != kindInsert || !e.isWrite() || e.time != (bson.Timestamp{T: 3, I: 4}) || !e.txn || !bytes.Equal(e.uuid, uuid.Data) ||
		!bytes.Equal(e.doc, rawOf(t, doc)) || id.Int32() != 5 || key != nil || err != nil {
		t.Errorf("%+v %v %v %v", e, id, key, err)
	}
	// The document is a view: it ends where it ends, and nothing was copied.
	if &e.doc[0] != &raw[bytes.Index(raw, rawOf(t, doc))] || cap(e.doc) != len(e.doc) {
		t.Error("the document is no view of its own length")
	}
}

func TestParseEventKinds(t *testing.T) {
	f := func(op string, want kind) {
		t.Helper()
		var e event
		raw := rawOf(t, bson.D{{Key: "_id", Value: bson.D{}}, {Key: "operationType", Value: op}, {Key: "clusterTime", Value: bson.Timestamp{T: 1}}})
		if err := e.parse(raw); err != nil || e.kind != want || e.txn || e.uuid != nil {
			t.Errorf("%s: %+v %v", op, e, err)
		}
	}
	f("insert", kindInsert)
	f("update", kindUpdate)
	f("replace", kindReplace)
	f("delete", kindDelete)
	f("drop", kindDrop)
	f("rename", kindRename)
	f("dropDatabase", kindDropDatabase)
	f("invalidate", kindInvalidate)
	f("create", kindCreate)
	f("createIndexes", kindOther)
	f("reshardCollection", kindOther)
	f("", kindOther)
}

func TestParseCreate(t *testing.T) {
	f := func(description bson.D, view, capped bool) {
		t.Helper()
		var e event
		raw := rawOf(t, bson.D{
			{Key: "_id", Value: bson.D{}},
			{Key: "operationType", Value: "create"},
			{Key: "clusterTime", Value: bson.Timestamp{T: 1}},
			{Key: "operationDescription", Value: description},
		})
		if err := e.parse(raw); err != nil || e.view != view || e.capped != capped {
			t.Errorf("%v: %+v %v", description, e, err)
		}
	}
	f(bson.D{{Key: "idIndex", Value: bson.D{{Key: "v", Value: 2}}}}, false, false)
	f(bson.D{{Key: "viewOn", Value: "x"}}, true, false)
	f(bson.D{{Key: "capped", Value: true}, {Key: "size", Value: 100}}, false, true)
	f(bson.D{{Key: "capped", Value: false}}, false, false)
}

func TestDocumentKey(t *testing.T) {
	f := func(key bson.D, id any, whole bool) {
		t.Helper()
		e := event{key: rawOf(t, key)}
		got, rest, err := e.documentKey()
		typ, value, _ := bson.MarshalValue(id)
		if err != nil || got.Type != typ || !bytes.Equal(got.Value, value) || (rest != nil) != whole {
			t.Errorf("%v: %v %v %v", key, got, rest, err)
		}
	}
	f(bson.D{{Key: "_id", Value: "x"}}, "x", false)
	f(bson.D{{Key: "_id", Value: bson.D{{Key: "a", Value: 1}}}}, bson.D{{Key: "a", Value: 1}}, false)
	f(bson.D{{Key: "sk", Value: 1}, {Key: "_id", Value: "x"}}, "x", true)
	f(bson.D{{Key: "_id", Value: "x"}, {Key: "sk", Value: 1}}, "x", true)
	f(bson.D{{Key: "_id", Value: bson.MaxKey{}}}, bson.MaxKey{}, false)
	for _, bad := range []bson.D{{}, {{Key: "sk", Value: 1}}} {
		e := event{key: rawOf(t, bad)}
		if _, _, err := e.documentKey(); err == nil {
			t.Errorf("%v has a key", bad)
		}
	}
}

// Whatever bytes come, parsing ends, and does not reach out of them.
func FuzzParseEvent(f *testing.F) {
	f.Add([]byte(rawOf(f, bson.D{
		{Key: "_id", Value: bson.D{}},
		{Key: "operationType", Value: "insert"},
		{Key: "clusterTime", Value: bson.Timestamp{T: 1}},
		{Key: "documentKey", Value: bson.D{{Key: "_id", Value: 1}}},
		{Key: "re", Value: bson.Regex{Pattern: "a", Options: "b"}},
	})))
	f.Add([]byte{5, 0, 0, 0, 0})
	f.Fuzz(func(_ *testing.T, b []byte) {
		var e event
		if e.parse(b) == nil {
			_, _, _ = e.documentKey()
			_ = slim(b)
			_, _ = readToken(e.token)
		}
		if r, err := parseReply(b); err == nil {
			_ = r.each(func(doc bson.Raw) error { _, err := idOf(doc); return err })
			_ = countElements(r.batch)
		}
		_ = appendKey(nil, bson.TypeEmbeddedDocument, b)
	})
}

// A slim event is the same without its document.
func TestSlim(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := bson.D{{Key: "_id", Value: bson.D{{Key: "_data", Value: rapid.String().Draw(t, "token")}}}, {Key: "operationType", Value: "insert"}}
		if rapid.Bool().Draw(t, "doc") {
			d = append(d, bson.E{Key: "fullDocument", Value: bson.D{{Key: "x", Value: rapid.String().Draw(t, "x")}}})
		}
		d = append(d, bson.E{Key: "clusterTime", Value: bson.Timestamp{T: rapid.Uint32Min(1).Draw(t, "t")}},
			bson.E{Key: "documentKey", Value: bson.D{{Key: "_id", Value: rapid.Int64().Draw(t, "id")}}})
		raw, _ := bson.Marshal(d)
		var want, got event
		if err := want.parse(raw); err != nil {
			t.Fatal(err)
		}
		if err := got.parse(slim(raw)); err != nil {
			t.Fatal(err)
		}
		if got.doc != nil || !bytes.Equal(got.key, want.key) || got.time != want.time || !bytes.Equal(got.token, want.token) || got.kind != want.kind {
			t.Fatalf("%+v, want %+v", got, want)
		}
	})
}

// Taking a document apart into elements and values finds what the driver finds.
func TestElementsAreThoseOfTheDriver(t *testing.T) {
	doc := bson.D{}
	for i, v := range everyValue() {
		doc = append(doc, bson.E{Key: string(rune('a' + i)), Value: v})
	}
	raw := rawOf(t, doc)
	want, err := raw.Elements()
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	for b := inside(raw); ; i++ {
		typ, name, value, rest, err := element(b)
		if err != nil {
			t.Fatal(i, err)
		}
		if typ == 0 {
			break
		}
		if w := want[i]; w.Key() != string(name) || w.Value().Type != typ || !bytes.Equal(w.Value().Value, value) {
			t.Errorf("element %d: %s %v %x, want %v", i, name, typ, value, w)
		}
		b = rest
	}
	if i != len(want) {
		t.Errorf("%d elements, want %d", i, len(want))
	}
}

func everyValue() []any {
	dec, _ := bson.ParseDecimal128("1.5")
	return []any{
		1.5, "text",
		bson.D{{Key: "a", Value: 1}},
		bson.A{1, "b"},
		bson.Binary{Data: []byte{1, 2}},
		bson.Binary{Subtype: 2, Data: []byte{3}},
		bson.Undefined{},
		bson.NewObjectID(), true, bson.DateTime(5), nil,
		bson.Regex{Pattern: "p", Options: "im"},
		bson.DBPointer{DB: "d", Pointer: bson.NewObjectID()},
		bson.JavaScript("f"), bson.Symbol("s"),
		bson.CodeWithScope{Code: "f", Scope: bson.D{{Key: "z", Value: 1}}},
		int32(1),
		bson.Timestamp{T: 1, I: 2},
		int64(3), dec,
		bson.MinKey{},
		bson.MaxKey{},
	}
}
