package foreign

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/objstore"
)

// everyType is a document with a value of every type of BSON.
func everyType() bson.D {
	id, _ := bson.ObjectIDFromHex("65a1b2c3d4e5f60718293a4b")
	dec, _ := bson.ParseDecimal128("1.50")
	return bson.D{
		{Key: "_id", Value: id},
		{Key: "double", Value: 1.0},
		{Key: "nan", Value: math.NaN()},
		{Key: "string", Value: "ünï\x00code"},
		{Key: "document", Value: bson.D{{Key: "z", Value: 1}, {Key: "a", Value: bson.D{{Key: "y", Value: 2}, {Key: "b", Value: 3}}}}},
		{Key: "array", Value: bson.A{1, "two", bson.D{{Key: "q", Value: 1}, {Key: "c", Value: 2}}, bson.A{}}},
		{Key: "binary", Value: bson.Binary{Subtype: 4, Data: bytes.Repeat([]byte{7}, 16)}},
		{Key: "undefined", Value: bson.Undefined{}},
		{Key: "bool", Value: true},
		{Key: "date", Value: bson.DateTime(-62135596800000)},
		{Key: "null", Value: nil},
		{Key: "regex", Value: bson.Regex{Pattern: "^a", Options: "i"}},
		{Key: "pointer", Value: bson.DBPointer{DB: "a.b", Pointer: id}},
		{Key: "code", Value: bson.JavaScript("f()")},
		{Key: "symbol", Value: bson.Symbol("s")},
		{Key: "scope", Value: bson.CodeWithScope{Code: "g()", Scope: bson.D{{Key: "n", Value: 1}, {Key: "m", Value: 2}}}},
		{Key: "int", Value: int32(5)},
		{Key: "timestamp", Value: bson.Timestamp{T: 3, I: 4}},
		{Key: "long", Value: int64(5)},
		{Key: "decimal", Value: dec},
		{Key: "min", Value: bson.MinKey{}},
		{Key: "max", Value: bson.MaxKey{}},
	}
}

func TestReadsWhatGoChiveWrites(t *testing.T) {
	s := newStore(t)
	var many []bson.D
	for i := range 300 {
		many = append(many, doc(i, i))
	}
	put(t, s, object("orders", 1), packed(t, batchOf(t, 100, everyType()), batchOf(t, 101, many...)))
	put(t, s, object("orders", 2), packed(t)) // no .bson file was there
	put(t, s, "deep/"+object("logs_archive_20260101_000000.tar.gz", 2), packed(t, batchOf(t, 102, doc("a", 1))))
	put(t, s, "else.tar.gz", []byte("x"))

	all, others, err := List(context.Background(), s, Which{})
	if err != nil || len(all) != 3 || others != 1 || all[0].Collection != "orders" || !all[0].Written.Equal(time.Date(2026, 3, 1, 0, 0, 1, 0, time.UTC)) {
		t.Fatalf("%+v, %d others, %v", all, others, err)
	}
	if some := list(t, s, Which{Collection: "orders"}); len(some) != 2 {
		t.Errorf("%+v", some)
	}
	if some := list(t, s, Which{Key: "else.tar.gz"}); len(some) != 1 {
		t.Errorf("an object that is named is there: %+v", some)
	}
	checked, sum := check(t, s)
	if sum.Damaged != 0 || sum.Documents != 302 || sum.Keys != 302 || checked[0].Members != 2 || checked[0].Documents != 301 {
		t.Errorf("%+v, %+v", checked, sum)
	}
	first := 0
	if err := Cat(context.Background(), s, all[0], func(d Document) error {
		if first++; first == 1 && (!Same(d.Doc, marshal(t, everyType())) || d.Read.Unix() != 100) {
			t.Errorf("%s of %v", d.Doc, d.Read)
		}
		return nil
	}); err != nil || first != 301 {
		t.Errorf("%d documents, %v", first, err)
	}
}

// A batch may be larger than a document of MongoDB; it is never held whole.
func TestLargeBatch(t *testing.T) {
	s := newStore(t)
	var docs []bson.D
	for i := range 1000 {
		docs = append(docs, bson.D{{Key: "_id", Value: i}, {Key: "v", Value: i}, {Key: "pad", Value: strings.Repeat("x", 20_000)}})
	}
	put(t, s, object("big", 1), packed(t, batchOf(t, 1, docs...)))
	if _, sum := check(t, s); sum.Documents != 1000 || sum.Damaged != 0 {
		t.Errorf("%+v", sum)
	}
}

// MongoDB puts _id first, so what comes back would else differ from what was sent.
func TestIDFirst(t *testing.T) {
	for range 20 {
		s := newStore(t)
		put(t, s, object("orders", 1), packed(t, batchOf(t, 1, everyType())))
		if err := Cat(context.Background(), s, list(t, s, Which{})[0], func(d Document) error {
			elements, err := d.Doc.Elements()
			if err != nil || elements[0].Key() != "_id" || !elements[0].Value().Equal(d.ID) || !Same(d.Doc, marshal(t, everyType())) {
				t.Errorf("%s, %v", d.Doc, err)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSame(t *testing.T) {
	a := everyType()
	b := bson.D{}
	for i := range a {
		b = append(b, a[len(a)-1-i])
	}
	if !Same(marshal(t, a), marshal(t, b)) {
		t.Error("the order of fields counts")
	}
	for i, e := range a {
		other := append(append(bson.D{}, a[:i]...), a[i+1:]...)
		if Same(marshal(t, a), marshal(t, append(other, bson.E{Key: e.Key, Value: "other"}))) {
			t.Errorf("another value of %s is the same", e.Key)
		}
	}
	x, y := bson.D{{Key: "a", Value: bson.A{1, 2}}}, bson.D{{Key: "a", Value: bson.A{2, 1}}}
	if Same(marshal(t, x), marshal(t, y)) || Same(marshal(t, bson.D{{Key: "a", Value: int32(1)}, {Key: "b", Value: int64(1)}}), marshal(t, bson.D{{Key: "a", Value: int64(1)}, {Key: "b", Value: int32(1)}})) {
		t.Error("the order of an array, or the types of numbers, do not count")
	}
}

// Duplicates over objects: the newest is what was read last from MongoDB, whatever
// the objects' order; and it alone is asked whether it matches.
func TestNewestOfAll(t *testing.T) {
	s := newStore(t)
	put(t, s, object("orders", 1), packed(t, batchOf(t, 100, doc(1, 1), doc(2, 1)), batchOf(t, 300, doc(3, 3), doc(1, 3), doc(1, 4))))
	put(t, s, object("orders", 2), packed(t, batchOf(t, 200, doc(1, 2), doc(2, 2), doc(3.0, 2), doc(4, 2)))) // a leftover
	objects := list(t, s, Which{})
	num := func(n int, v string) string { return fmt.Sprintf(`{"$numberInt":"%d"}/%s`, n, v) }
	c, got := chosen(t, Query{Store: s, Objects: objects})
	same(t, "newest", got, num(1, "4"), num(2, "2"), num(3, "3"), num(4, "2"))
	if c.Documents != 9 || c.Older != 5 {
		t.Errorf("%d documents, %d older", c.Documents, c.Older)
	}
	_, got = chosen(t, Query{Store: s, Objects: objects, Want: want(t, nil, bson.D{{Key: "v", Value: bson.D{{Key: "$lt", Value: 3}}}})})
	same(t, "newest that match", got, num(2, "2"), num(4, "2"))
	_, got = chosen(t, Query{Store: s, Objects: objects, Want: want(t, []bson.RawValue{marshal(t, doc(3, 0)).Lookup("_id")}, nil)})
	same(t, "a key", got, num(3, "3"))
	if _, got = chosen(t, Query{Store: s, Objects: objects, Versions: true}); len(got) != 9 {
		t.Errorf("versions: %q", got)
	}
	_, sum := check(t, s)
	if sum.Keys != 4 || sum.Repeated != 0 || sum.Differing != 3 || len(sum.Examples) == 0 || sum.Examples[0].ID == "" {
		t.Errorf("%+v", sum)
	}
}

// Two archives of one document differ in the order of its fields, which is no
// difference.
func TestRepeatedInAnotherOrder(t *testing.T) {
	s := newStore(t)
	for i := range 8 {
		put(t, s, object("orders", i), packed(t, batchOf(t, int64(100+i), everyType())))
	}
	if _, sum := check(t, s); sum.Keys != 1 || sum.Repeated != 1 || sum.Differing != 0 {
		t.Errorf("%+v", sum)
	}
}

// damage is a kind of object that is not whole.
type damage struct {
	name, reason string
	member       string
	whole        bool
	// readable are the documents before the place.
	readable int64
	body     func(t *testing.T) []byte
}

func raw(parts ...[]byte) []byte {
	b := bytes.Join(parts, nil)
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	return b
}

func damages() []damage {
	good := func(t *testing.T) member { return batchOf(t, 100, doc(1, 9), doc(2, 9)) }
	one := func(name string, b func(t *testing.T) []byte) func(t *testing.T) []byte {
		return func(t *testing.T) []byte { return packed(t, good(t), member{name, b(t)}) }
	}
	value := func(v any) func(*testing.T) []byte {
		return func(t *testing.T) []byte { return marshal(t, bson.D{{Key: "docs", Value: v}}) }
	}
	return []damage{
		{"no gzip", "gzip: invalid header", "", true, 0, func(*testing.T) []byte { return []byte("plain text, no gzip") }},
		{"empty", "it is empty", "", true, 0, func(*testing.T) []byte { return nil }},
		{"gzip cut", "cut off", "archive_100.bson", true, 1, func(t *testing.T) []byte {
			noise := make([]byte, 200_000)
			_, _ = rand.NewChaCha8([32]byte{}).Read(noise) // never fails
			b := packed(t, batchOf(t, 100, doc(1, 9), bson.D{{Key: "_id", Value: 2}, {Key: "noise", Value: noise}}))
			return b[:len(b)/2]
		}},
		{"gzip without its checksum", "cut off", "", true, 2, func(t *testing.T) []byte { b := packed(t, good(t)); return b[:len(b)-5] }},
		{"checksum differs", "checksum", "", true, 2, func(t *testing.T) []byte { b := packed(t, good(t)); b[len(b)-7] ^= 1; return b }},
		{"no BSON", "it is no BSON", "a.bson", false, 2, one("a.bson", func(*testing.T) []byte { return []byte("some text") })},
		{"no bytes", "it has 0 bytes", "a.bson", false, 2, one("a.bson", func(*testing.T) []byte { return nil })},
		{"JSON", "it is JSON", "a.json", false, 2, one("a.json", func(*testing.T) []byte { return []byte("[{\"_id\":\"65a1\"}]\n") })},
		{"a stream", "ends at byte", "a.bson", false, 2, one("a.bson", func(t *testing.T) []byte { return append(marshal(t, doc(1, 1)), marshal(t, doc(2, 1))...) })},
		{"an empty document", "docs is missing", "a.bson", false, 2, one("a.bson", func(t *testing.T) []byte { return marshal(t, bson.D{}) })},
		{"another field", `docs is missing: the first is "v"`, "a.bson", false, 2, one("a.bson", func(t *testing.T) []byte { return marshal(t, bson.D{{Key: "v", Value: 1}}) })},
		{"docs is null", "no array", "a.bson", false, 2, one("a.bson", value(nil))},
		{"an element is text", `element "1" of docs is of type string`, "a.bson", false, 3, one("a.bson", value(bson.A{doc(5, 1), "text"}))},
		{"no _id", "has no _id", "a.bson", false, 2, one("a.bson", value(bson.A{bson.D{{Key: "v", Value: 1}}}))},
		{"a broken document", "is a broken document", "a.bson", false, 2, one("a.bson", func(t *testing.T) []byte {
			b := value(bson.A{bson.D{{Key: "_id", Value: "text"}}})(t)
			return bytes.Replace(b, []byte("\x02_id"), []byte("\x7e_id"), 1)
		})},
		{"a length beyond", "would have", "a.bson", false, 2, one("a.bson", func(*testing.T) []byte {
			return raw([]byte("\x00\x00\x00\x00\x04docs\x00\x0f\x00\x00\x00\x030\x00\xff\xff\xff\x7f\x00\x00\x00\x00\x00"))
		})},
	}
}

func TestDamageIsNamed(t *testing.T) {
	for _, x := range damages() {
		t.Run(x.name, func(t *testing.T) {
			s := newStore(t)
			whole, bad := object("orders", 1), object("orders", 2)
			put(t, s, whole, packed(t, batchOf(t, 50, doc(1, 1), doc(7, 1))))
			put(t, s, bad, x.body(t))
			all, sum := check(t, s)
			if sum.Damaged != 1 || len(all) != 2 || len(all[0].Faults) != 0 || len(all[1].Faults) != 1 || all[1].Documents != x.readable {
				t.Fatalf("%+v, %+v", all, sum)
			}
			f := all[1].Faults[0]
			if f.Object != bad || f.Member != x.member || f.Whole != x.whole || !strings.Contains(f.Reason, x.reason) || !strings.Contains(f.String(), bad) {
				t.Errorf("%+v", f)
			}
			objects := list(t, s, Which{})
			_, err := Choose(context.Background(), Query{Store: s, Objects: objects, Want: want(t, nil, nil)})
			class(t, err, flow.Fatal)
			if err == nil || !strings.Contains(err.Error(), bad) || !strings.Contains(err.Error(), "--skip-damaged") {
				t.Errorf("%v", err)
			}
			c, got := chosen(t, Query{Store: s, Objects: objects, SkipDamaged: true})
			one, two, seven := `{"$numberInt":"1"}/`, `{"$numberInt":"2"}/`, `{"$numberInt":"7"}/1`
			if x.whole {
				same(t, "without the object", got, one+"1", seven)
			} else {
				same(t, "without the member", got, one+"9", two+"9", seven)
			}
			if len(c.Faults) != 1 {
				t.Errorf("%+v", c.Faults)
			}
			n := int64(0)
			if err := Cat(context.Background(), s, objects[1], func(Document) error { n++; return nil }); err == nil || n != x.readable {
				t.Errorf("cat: %d documents, %v", n, err)
			}
		})
	}
}

// cut is a tar as go-chive leaves it when a file shrinks under it: it goes on, and
// closes neither with an error that it heeds.
func TestTarWithoutEnd(t *testing.T) {
	s := newStore(t)
	whole := packed(t, batchOf(t, 1, doc(1, 1)))
	plain := gunzip(t, whole)
	put(t, s, object("orders", 1), zip(t, plain[:len(plain)-1024]))
	put(t, s, object("orders", 2), zip(t, plain[:530]))
	all, _ := check(t, s)
	for i, reason := range []string{"no end", "cut off"} {
		if len(all[i].Faults) != 1 || !all[i].Faults[0].Whole || !strings.Contains(all[i].Faults[0].Reason, reason) {
			t.Errorf("%+v", all[i])
		}
	}
}

// broken is a store whose objects can't be read to the end just now.
type broken struct{ objstore.Store }

func (b broken) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	r, err := b.Store.Get(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(r, 50), failing{}), r}, nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) {
	return 0, &flow.Error{Op: "read object", Class: flow.Transient, Err: errors.New("the line is cut")}
}

// What the store could not give is no damage of the archive.
func TestStoreFails(t *testing.T) {
	s := newStore(t)
	put(t, s, object("orders", 1), packed(t, batchOf(t, 1, doc(1, 1))))
	_, err := Choose(context.Background(), Query{Store: broken{s}, Objects: list(t, s, Which{}), Want: want(t, nil, nil), SkipDamaged: true})
	class(t, err, flow.Transient)
	ctx, end := context.WithCancel(context.Background())
	end()
	if _, err := Choose(ctx, Query{Store: s, Objects: list(t, s, Which{}), Want: want(t, nil, nil)}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
