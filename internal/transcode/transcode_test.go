package transcode

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
	"pgregory.net/rapid"

	"sluice/internal/transcode/shapes"
)

func mustCompile(t testing.TB, o Options, f Fields) *Plan {
	t.Helper()
	p, err := Compile(o, f)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustMarshal(t interface{ Fatal(...any) }, v any) bson.Raw {
	b, err := bson.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// same compares Append with the reference, in bytes and in counts.
func same(t interface {
	Fatalf(string, ...any)
	Fatal(...any)
}, p *Plan, o Options, doc bson.Raw,
) {
	var d bson.D
	if err := bson.Unmarshal(doc, &d); err != nil {
		t.Fatal(err)
	}
	ref := reference{Options: o}
	want := ref.document(d, true)
	var st Stats
	got, err := p.Append([]byte("before "), doc, &st)
	if err != nil {
		t.Fatalf("%v for %s", err, want)
	}
	if string(got) != "before "+want {
		t.Fatalf("got  %s\nwant %s", got[7:], want)
	}
	if st != ref.st {
		t.Fatalf("counted %+v, want %+v for %s", st, ref.st, want)
	}
	if !json.Valid(got[7:]) {
		t.Fatalf("no JSON: %s", got)
	}
}

func TestS11ShapesAsTheDriverReadsThem(t *testing.T) {
	p := mustCompile(t, Options{}, Fields{})
	for _, s := range shapes.All() {
		for i := range 50 {
			same(t, p, Options{}, s.Make(i))
		}
	}
}

func TestS11AnyDocumentAsTheDriverReadsIt(t *testing.T) {
	all := []Options{{}, {Dates: DatesEpochMillis, Decimal: DecimalsNumber, NonFinite: NonFiniteString, BadNames: BadNamesRepair}}
	plans := []*Plan{mustCompile(t, all[0], Fields{}), mustCompile(t, all[1], Fields{})}
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.IntRange(0, 1).Draw(t, "options")
		same(t, plans[i], all[i], mustMarshal(t, documents(3).Draw(t, "document")))
	})
}

func TestT35DoublesInTheFewestDigits(t *testing.T) {
	check := func(f float64) {
		t.Helper()
		if f-f != 0 {
			return
		}
		ref := reference{}
		want := ref.double(f, 64)
		powers := makePowers()
		out := make([]byte, 200)
		if got := string(out[:putDouble(out, 0, f, &powers)]); got != want {
			t.Fatalf("%b: %s, want %s", f, got, want)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 300000 {
		check(r.Float64())
		check(r.NormFloat64() * 1e3)
		check(math.Float64frombits(r.Uint64()&(1<<63-1) | 1<<62 - r.Uint64N(80)<<52))
		check(math.Ldexp(1+r.Float64(), r.IntN(90)-30))
		check(math.Round(r.Float64()*1e6) / 1e4)
		check(-math.Round(r.Float64()*1e12) / 1e6)
		check(math.Float64frombits(r.Uint64()))
	}
	for e := -1074; e < 1024; e++ {
		for _, c := range []float64{1, 1 + 0x1p-52, 2 - 0x1p-52, 1.5} {
			check(math.Ldexp(c, e))
		}
	}
	for i := range 30000 {
		check(float64(i) / 100)
		check(float64(i) / 1e6)
		check(float64(i) * 1e13)
	}
}

func TestT35Integers(t *testing.T) {
	check := func(v int64) {
		t.Helper()
		out := make([]byte, 64)
		if got := string(out[:putInt(out, 0, v)]); got != strconv.FormatInt(v, 10) {
			t.Fatalf("%d: %s", v, got)
		}
	}
	for v, digits := int64(1), 0; digits < 19; digits++ {
		for d := int64(-2); d <= 2; d++ {
			check(v + d)
			check(-v + d)
		}
		v *= 10
	}
	for b := range 64 {
		check(1<<b - 1)
		check(-1 << b)
		check(rand.Int64() >> b)
	}
	check(math.MaxInt64)
	check(math.MinInt64)
}

func TestT35Decimals(t *testing.T) {
	p := mustCompile(t, Options{Decimal: DecimalsNumber}, Fields{})
	for _, digits := range []string{
		"0", "1", "10", "123456789", "99999999999999999", "100000000000000000",
		"1234567890123456789012345678901234", "9999999999999999999999999999999999",
	} {
		for exp := -45; exp < 45; exp++ {
			d, err := bson.ParseDecimal128(digits + "E" + strconv.Itoa(exp))
			if err != nil {
				t.Fatal(err)
			}
			var st Stats
			if got, err := p.AppendValue(nil, rawValue(t, d), &st); err != nil || string(got) != d.String() {
				t.Errorf("%v: %s, want %s", err, got, d)
			}
		}
	}
}

func TestT36EveryDay(t *testing.T) {
	out := make([]byte, 64)
	var last lastDay
	for day := int64(firstDate / dayMillis); day <= lastDate/dayMillis; day += 1 {
		ms := day*dayMillis + (day*7919%dayMillis+dayMillis)%dayMillis
		ref := reference{}
		if want := ref.value(bson.DateTime(ms)); string(out[:putDate(out, 0, ms, &last)]) != want {
			t.Fatalf("%d: %s, want %s", ms, out[:26], want)
		}
	}
}

func TestT36DatesOutOfRange(t *testing.T) {
	f := func(ms int64, want string) {
		t.Helper()
		var last lastDay
		out := make([]byte, 64)
		if got := string(out[:putDate(out, 0, ms, &last)]); got != want {
			t.Errorf("%d: %s, want %s", ms, got, want)
		}
	}
	f(lastDate, `"9999-12-31T23:59:59.999Z"`)
	f(lastDate+1, "253402300800000")
	f(firstDate, `"0000-01-01T00:00:00.000Z"`)
	f(firstDate-1, "-62167219200001")
	f(math.MaxInt64, "9223372036854775807")
	f(math.MinInt64, "-9223372036854775808")
	f(0, `"1970-01-01T00:00:00.000Z"`)
	f(-1, `"1969-12-31T23:59:59.999Z"`)
}

func TestAppendAllocatesNothing(t *testing.T) {
	p := mustCompile(t, Options{}, Fields{})
	rules := mustCompile(t, Options{}, Fields{Exclude: []string{"note", "lines.tax"}, Rename: map[string]string{
		"number": "order", "lines.sku": "lines.article",
	}})
	dst := make([]byte, 0, 1<<20)
	var st Stats
	for _, s := range shapes.All() {
		doc := s.Make(1)
		for name, plan := range map[string]*Plan{"plain": p, "rules": rules} {
			got := testing.AllocsPerRun(100, func() {
				if _, err := plan.Append(dst, doc, &st); err != nil {
					t.Fatal(err)
				}
			})
			pooled := s.Name == "wide" || name == "rules" // their encoder takes a scratch
			if got != 0 && (poolKeeps || !pooled) {
				t.Errorf("%s, %s: %v allocations", s.Name, name, got)
			}
		}
	}
}

func TestPlanIsSharedByGoroutines(t *testing.T) {
	p := mustCompile(t, Options{}, Fields{Rename: map[string]string{"field001": "first", "number": "no"}})
	docs := []bson.Raw{allTypes(t), shapes.Wide(1), shapes.Medium(1), shapes.Wide(2)}
	var want []string
	for _, doc := range docs {
		var st Stats
		out, err := p.Append(nil, doc, &st)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, string(out))
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			var st Stats
			for i := range 200 {
				k := (i + g) % len(docs)
				if out, err := p.Append(nil, docs[k], &st); err != nil || string(out) != want[k] {
					t.Errorf("document %d: %v", k, err)
				}
			}
		})
	}
	wg.Wait()
}

// allTypes is a document with a value of every type and most lengths.
func allTypes(t testing.TB) bson.Raw {
	return mustMarshal(t, bson.D{
		{Key: "_id", Value: 1},
		{Key: "double", Value: 1.5},
		{Key: "string", Value: "té\"xt\n"},
		{Key: "doc", Value: bson.D{{Key: "a", Value: 1}}},
		{Key: "array", Value: bson.A{1, "two", bson.D{}, bson.A{}}},
		{Key: "bin", Value: bson.Binary{Data: []byte{1, 2, 3}}},
		{Key: "old", Value: bson.Binary{Subtype: 2, Data: []byte{1, 2, 3}}},
		{Key: "uuid", Value: bson.Binary{Subtype: 4, Data: make([]byte, 16)}},
		{Key: "vec", Value: bson.Binary{Subtype: 9, Data: []byte{0x27, 0, 0, 0, 128, 63}}},
		{Key: "undef", Value: bson.Undefined{}},
		{Key: "oid", Value: bson.ObjectID{1}},
		{Key: "bool", Value: true},
		{Key: "date", Value: bson.DateTime(1)},
		{Key: "null", Value: nil},
		{Key: "regex", Value: bson.Regex{Pattern: "^a", Options: "i"}},
		{Key: "ptr", Value: bson.DBPointer{DB: "a.b"}},
		{Key: "code", Value: bson.JavaScript("f()")},
		{Key: "sym", Value: bson.Symbol("s")},
		{Key: "scoped", Value: bson.CodeWithScope{Code: "g", Scope: bson.D{{Key: "x", Value: 1}}}},
		{Key: "i32", Value: int32(7)},
		{Key: "ts", Value: bson.Timestamp{T: 1, I: 2}},
		{Key: "i64", Value: int64(8)},
		{Key: "dec", Value: bson.NewDecimal128(0x303c000000000000, 123)},
		{Key: "min", Value: bson.MinKey{}},
		{Key: "max", Value: bson.MaxKey{}},
		{Key: "", Value: 1},
		{Key: "a.", Value: 2},
		{Key: "bool", Value: 3},
		{Key: "\xff", Value: 4},
	})
}

// TestCorruptBytes breaks documents at every byte: never a panic, and no
// result depends on what lies behind the document.
func TestCorruptBytes(t *testing.T) {
	p := mustCompile(t, Options{}, Fields{})
	rules := mustCompile(t, Options{}, Fields{Exclude: []string{"array", "doc.a", "scoped"}, Rename: map[string]string{"bin": "data"}})
	run := func(plan *Plan, doc []byte, junk byte) (string, string) {
		room := append(append(make([]byte, 0, len(doc)+64), doc...), bytes.Repeat([]byte{junk}, 64)...)
		var st Stats
		dst := []byte("kept")
		out, err := plan.Append(dst, room[:len(doc)], &st)
		if err != nil {
			if string(out) != "kept" || st != (Stats{}) {
				t.Fatalf("after an error: %q, %+v", out, st)
			}
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrRejected) {
				t.Fatalf("unclassified: %v", err)
			}
			return "", err.Error()
		}
		if !json.Valid(out[4:]) {
			t.Fatalf("no JSON: %s", out)
		}
		return string(out), ""
	}
	for _, doc := range []bson.Raw{allTypes(t), shapes.Small(1), shapes.Medium(1)} {
		for i := range doc {
			for _, b := range []byte{0, 1, 2, 3, 4, 5, 0x7f, 0xff, doc[i] ^ 0x80, doc[i] + 1} {
				broken := bytes.Clone(doc)
				broken[i] = b
				for _, plan := range []*Plan{p, rules} {
					out, err := run(plan, broken, 0)
					if o, e := run(plan, broken, 'x'); o != out || e != err {
						t.Fatalf("byte %d = %d: the result depends on what lies behind the document", i, b)
					}
				}
			}
			cut := bytes.Clone(doc[:i])
			if _, err := run(p, cut, 0); err == "" {
				t.Fatalf("cut at %d: no error", i)
			}
			if i >= 5 { // with the length made to fit
				cut[0], cut[1], cut[2], cut[3] = byte(i), byte(i>>8), 0, 0
				run(p, cut, 0)
				cut[i-1] = 0
				run(p, cut, 'x')
			}
		}
	}
}

func nested(levels int, array bool) bson.Raw {
	doc := bsoncore.NewDocumentBuilder().AppendInt32("v", 1).Build()
	for range levels - 1 {
		if array {
			doc = bsoncore.NewDocumentBuilder().AppendArray("a", bsoncore.NewArrayBuilder().AppendDocument(doc).Build()).Build()
			continue
		}
		doc = bsoncore.NewDocumentBuilder().AppendDocument("a", doc).Build()
	}
	return bson.Raw(doc)
}

func TestDepth(t *testing.T) {
	p := mustCompile(t, Options{}, Fields{})
	var st Stats
	same(t, p, Options{}, nested(180, false))
	same(t, p, Options{}, nested(90, true))
	same(t, p, Options{}, nested(maxDepth, false))
	if _, err := p.Append(nil, nested(maxDepth+1, false), &st); !errors.Is(err, ErrRejected) {
		t.Errorf("deeper than that: %v", err)
	}
	if _, err := p.Append(nil, nested(5000, false), &st); !errors.Is(err, ErrRejected) {
		t.Errorf("much deeper than that: %v", err)
	}
}

// TestGrowth lets the buffer start at every size.
func TestGrowth(t *testing.T) {
	p := mustCompile(t, Options{}, Fields{})
	docs := []bson.Raw{
		allTypes(t), nested(180, false), shapes.Medium(3),
		mustMarshal(t, bson.D{
			{Key: strings.Repeat("\x01", 500), Value: strings.Repeat("\x01\xff", 500)},
			{Key: "bits", Value: bson.Binary{Subtype: 9, Data: append([]byte{3, 0}, bytes.Repeat([]byte{128}, 3000)...)}},
		}),
	}
	for _, doc := range docs {
		var st Stats
		want, err := p.Append(nil, doc, &st)
		if err != nil {
			t.Fatal(err)
		}
		for size := 0; size < 2*len(want); size += 1 + size/200 {
			got, err := p.Append(make([]byte, 0, size), doc, &st)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("with %d bytes: %v\n%s\n%s", size, err, got, want)
			}
		}
	}
}

func TestAppendString(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := strings.Repeat(texts().Draw(t, "text"), rapid.IntRange(0, 30).Draw(t, "times"))
		if got := string(AppendString([]byte("x"), s)); got != "x"+refString(s) {
			t.Fatalf("%q: %s", s, got)
		}
	})
	dst := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { AppendString(dst, "some text") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAppendValue(t *testing.T) {
	p := mustCompile(t, Options{}, Fields{Exclude: []string{"a"}})
	rapid.Check(t, func(t *rapid.T) {
		d := bson.D{{Key: "v", Value: values(2).Draw(t, "value")}}
		doc := mustMarshal(t, d)
		if err := bson.Unmarshal(doc, &d); err != nil {
			t.Fatal(err)
		}
		ref := reference{}
		want := ref.value(d[0].Value)
		var st Stats
		if got, err := p.AppendValue(nil, doc.Lookup("v"), &st); err != nil || string(got) != want {
			t.Fatalf("%v: %s, want %s", err, got, want)
		}
	})
}

// Text of any length before what has a fixed one: wherever the room ends, it is
// made.
func TestRareValuesAfterTextOfAnyLength(t *testing.T) {
	p := mustCompile(t, Options{}, Fields{})
	for n := range 200 {
		text := strings.Repeat("x", n)
		for _, v := range []any{
			bson.DBPointer{DB: text, Pointer: bson.ObjectID{1}},
			bson.CodeWithScope{Code: bson.JavaScript(text), Scope: bson.D{{Key: "a", Value: 1}}},
			bson.Regex{Pattern: text, Options: "i"},
		} {
			typ, value, err := bson.MarshalValue(v)
			if err != nil {
				t.Fatal(err)
			}
			var st Stats
			for _, room := range []int{0, n, n + 40} {
				got, err := p.AppendValue(make([]byte, 0, room), bson.RawValue{Type: typ, Value: value}, &st)
				if err != nil || !json.Valid(got) || !strings.Contains(string(got), text) {
					t.Fatalf("%d bytes of text, %d of room: %s, %v", n, room, got, err)
				}
			}
			doc, err := bson.Marshal(bson.D{{Key: strings.Repeat("n", n%60+1), Value: v}})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := p.Append(nil, doc, &st); err != nil || !json.Valid(got) {
				t.Fatalf("%d bytes of text in a document: %s, %v", n, got, err)
			}
		}
	}
}
