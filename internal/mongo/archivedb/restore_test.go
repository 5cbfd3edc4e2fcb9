package archivedb

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/cold"
	"sluice/internal/flow"
)

func hashOf(doc bson.Raw) cold.Hash { return sha256.Sum256(doc) }

func docOf(t testing.TB, d bson.D) bson.Raw {
	t.Helper()
	b, err := bson.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestA8WayOfADocument(t *testing.T) {
	f := func(doc bson.Raw, id any, want way, ok bool) {
		t.Helper()
		h := cold.Homecoming{Doc: doc}
		if id != nil {
			h.ID = valueOf(t, id)
		}
		got, err := wayOf(h)
		if (err == nil) != ok || ok && got != want {
			t.Errorf("%v: %v, %v", doc, got, err)
		}
	}
	id := bson.E{Key: "_id", Value: int32(1)}
	zero := bson.E{Key: "t", Value: bson.Timestamp{}}
	f(docOf(t, bson.D{id}), int32(1), byInsert, true)
	f(docOf(t, bson.D{id, {Key: "a", Value: bson.D{zero}}}), int32(1), byInsert, true)
	f(docOf(t, bson.D{id, {Key: "t", Value: bson.Timestamp{I: 1}}}), int32(1), byInsert, true)
	f(docOf(t, bson.D{id, zero}), int32(1), byUpsert, true)
	f(docOf(t, bson.D{{Key: "_id", Value: bson.Timestamp{}}}), bson.Timestamp{}, byUpsert, true)
	f(docOf(t, bson.D{{Key: "a", Value: 1}, id}), int32(1), byUpsert, true)
	f(docOf(t, bson.D{id}), int64(1), 0, false)
	f(docOf(t, bson.D{{Key: "a", Value: 1}}), nil, 0, false)
	f(docOf(t, bson.D{}), nil, 0, false)
	f(nil, nil, 0, false)
	f(bson.Raw{5, 0, 0, 0}, nil, 0, false)
	cut := docOf(t, bson.D{id, {Key: "s", Value: "abc"}})
	f(append(cut[:len(cut)-4:len(cut)-4], 0), int32(1), 0, false)
}

func FuzzWayOf(f *testing.F) {
	f.Add([]byte(docOf(f, bson.D{{Key: "_id", Value: 1}, {Key: "t", Value: bson.Timestamp{}}, {Key: "r", Value: bson.Regex{Pattern: "a"}}})))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, doc []byte) {
		h := cold.Homecoming{Doc: doc, ID: bson.RawValue{Type: bson.TypeInt32, Value: []byte{1, 0, 0, 0}}}
		if _, err := wayOf(h); err == nil && !bytes.Contains(doc, []byte("_id\x00\x01\x00\x00\x00")) {
			t.Fatalf("%x has another _id", doc)
		}
	})
}

func TestA8CommandsAreWhole(t *testing.T) {
	docs := []bson.Raw{docOf(t, bson.D{{Key: "_id", Value: "a"}}), docOf(t, bson.D{{Key: "_id", Value: bson.D{{Key: "x", Value: 1}}}, {Key: "$y", Value: 1}})}
	r := &homecoming{ns: flow.Namespace{DB: "d", Coll: "c"}}
	for _, doc := range docs {
		r.docs = append(r.docs, cold.Homecoming{ID: doc.Lookup("_id"), Doc: doc})
	}
	b := batch{at: []int{0, 1}}
	insert, upsert := r.insertCommand(b, true), r.upsertCommand(b, false)
	majority := bson.D{{Key: "w", Value: "majority"}}
	want := docOf(t, bson.D{
		{Key: "insert", Value: "c"},
		{Key: "ordered", Value: true},
		{Key: "bypassDocumentValidation", Value: true},
		{Key: "writeConcern", Value: majority},
		{Key: "documents", Value: bson.A{docs[0], docs[1]}},
	})
	if !bytes.Equal(insert, want) {
		t.Errorf("%v\nwant %v", insert, want)
	}
	var updates bson.A
	for _, doc := range docs {
		updates = append(updates, bson.D{
			{Key: "q", Value: bson.D{{Key: "_id", Value: doc.Lookup("_id")}, {Key: "$nor", Value: bson.A{bson.D{}}}}},
			{Key: "u", Value: bson.A{bson.D{{Key: "$replaceWith", Value: bson.D{{Key: "$literal", Value: doc}}}}}},
			{Key: "upsert", Value: true},
		})
	}
	want = docOf(t, bson.D{
		{Key: "update", Value: "c"},
		{Key: "ordered", Value: false},
		{Key: "bypassDocumentValidation", Value: true},
		{Key: "writeConcern", Value: majority},
		{Key: "updates", Value: updates},
	})
	if !bytes.Equal(upsert, want) {
		t.Errorf("%v\nwant %v", upsert, want)
	}
	// In a transaction a command has no write concern of its own.
	b.inside = true
	if _, err := r.upsertCommand(b, true).LookupErr("writeConcern"); err == nil {
		t.Error("a write concern in a transaction")
	}
}

func TestA8Batches(t *testing.T) {
	f := func(size, n, want int) {
		t.Helper()
		r := &homecoming{}
		for i := range n {
			doc := docOf(t, bson.D{{Key: "_id", Value: int32(i)}, {Key: "b", Value: make([]byte, size)}})
			r.docs = append(r.docs, cold.Homecoming{ID: doc.Lookup("_id"), Doc: doc})
		}
		r.out = make([]cold.Return, n)
		got, seen := 0, 0
		for b := range r.batches() {
			got++
			for _, i := range b.at {
				if i != seen {
					t.Fatalf("document %d where %d was due", i, seen)
				}
				seen++
			}
		}
		if got != want || seen != n {
			t.Errorf("%d of %d bytes: %d batches, want %d; %d documents", n, size, got, want, seen)
		}
	}
	f(10, 0, 0)
	f(10, 1, 1)
	f(10, 2001, 3)
	f(3<<20, 4, 4)
	f(1<<20, 7, 3)
}

func TestA8Verdicts(t *testing.T) {
	h := cold.Homecoming{Doc: docOf(t, bson.D{{Key: "_id", Value: 1}})}
	dup := func(index string) mongo.WriteError {
		return mongo.WriteError{Code: codeDuplicateKey, Message: "E11000 duplicate key error collection: a.b index: " + index + " dup key: { x: 1 }"}
	}
	equal, other := live{there: true, equal: true}, live{there: true, doc: h.Doc}
	f := func(l live, refusal mongo.WriteError, refused bool, want cold.Returned, index string) {
		t.Helper()
		got := verdict(h, l, refusal, refused)
		if got.Returned != want || got.Index != index {
			t.Errorf("%+v %v: %+v", l, refusal, got)
		}
	}
	f(equal, mongo.WriteError{}, false, cold.Inserted, "")
	f(equal, dup("_id_"), true, cold.Equal, "")
	f(other, dup("_id_"), true, cold.Conflicting, "")
	f(other, mongo.WriteError{}, false, cold.Conflicting, "") // a user changed it at once
	f(live{}, mongo.WriteError{}, false, "", "")              // it vanished
	f(live{}, dup("_id_"), true, "", "")                      // what is in its way can't be read yet
	f(live{}, dup("by name_1"), true, cold.Duplicate, "by name_1")
	f(other, dup("name_1"), true, cold.Conflicting, "")
	f(live{}, mongo.WriteError{Code: 2, Message: "no"}, true, cold.Refused, "")
}

func TestA8NameOfAnIndex(t *testing.T) {
	f := func(message, want string) {
		t.Helper()
		if got := indexOf(message); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	f("E11000 duplicate key error collection: d.c index: a_1_b_1 dup key: { a: 1 }", "a_1_b_1")
	f("E11000 duplicate key error collection: d.c index: a_1 collation: { locale: \"en\" } dup key: { a: \"CollationKey\" }", "a_1")
	f("something else", "")
}

func TestA8WhoseFaultAnErrorIs(t *testing.T) {
	if !ofDocument(conflictOf(10334)) || ofDocument(conflictOf(13)) || ofDocument(errors.New("x")) {
		t.Error("of a document")
	}
	if !restoreAgain(conflictOf(91)) || restoreAgain(conflictOf(13)) || !restoreAgain(conflictOf(999999, labelRetry)) {
		t.Error("again")
	}
}

func TestNumbersOfEqualValueHaveOneText(t *testing.T) {
	text := func(v any) string { return numberText(valueOf(t, v)) }
	if text(int32(5)) != text(int64(5)) || text(int32(5)) != text(5.0) || text(5.5) == text(5) || text("5") == text(5) || text(1e300) == text(0.0) {
		t.Error("numbers")
	}
}
