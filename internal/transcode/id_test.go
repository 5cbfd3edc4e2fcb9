package transcode

import (
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"
)

func rawValue(t interface{ Fatal(...any) }, v any) bson.RawValue {
	if v == nil {
		return bson.RawValue{Type: bson.TypeNull}
	}
	kind, data, err := bson.MarshalValue(v)
	if err != nil {
		t.Fatal(err)
	}
	return bson.RawValue{Type: kind, Value: data}
}

func dec(t interface{ Fatal(...any) }, s string) bson.Decimal128 {
	d, err := bson.ParseDecimal128(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestS10Texts(t *testing.T) {
	f := func(v any, want string) {
		t.Helper()
		if got := string(AppendID([]byte("x"), rawValue(t, v))); got != "x"+want {
			t.Errorf("%#v: %s, want %s", v, got[1:], want)
		}
	}
	oid := bson.ObjectID{0x65, 0xa0, 0xf3, 0xc0, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4}
	f(oid, "65a0f3c0deadbeef01020304")
	f("65a0f3c0deadbeef01020304", "$s:65a0f3c0deadbeef01020304")
	f("65A0F3C0DEADBEEF01020304", "$s:65A0F3C0DEADBEEF01020304")
	f("65a0f3c0deadbeef0102030g", "65a0f3c0deadbeef0102030g")
	f("text", "text")
	f("a b/\"ü\"", "a b/\"ü\"")
	f("", "$s:")
	f("$s:x", "$s:$s:x")
	f("$", "$s:$")
	f("12", "$s:12")
	f("-1.5e7", "$s:-1.5e7")
	f("NaN", "$s:NaN")
	f("2024-05-01", "2024-05-01")
	f("1.", "1.")
	f("\xff", "$b:/w==")
	f(int32(1), "1")
	f(int64(1), "1")
	f(1.0, "1")
	f(dec(t, "1.00"), "1")
	f(0.0, "0")
	f(math.Copysign(0, -1), "0")
	f(dec(t, "-0E+3"), "0")
	f(1.5, "1.5")
	f(dec(t, "1.50"), "1.5")
	f(0.1, "$double:0.1")
	f(dec(t, "0.1"), "0.1")
	f(int64(math.MinInt64), "-9223372036854775808")
	f(float64(1<<62), "4611686018427387904")
	f(float64(1<<63), "9223372036854775808")
	f(dec(t, "9223372036854775808"), "9223372036854775808")
	f(math.Ldexp(1, 100), "1267650600228229401496703205376")
	f(dec(t, "1E+40"), "1e40")
	f(dec(t, "0.0000012"), "0.0000012")
	f(dec(t, "0.00000012"), "1.2e-7")
	f(math.NaN(), "NaN")
	f(math.Inf(-1), "-Infinity")
	f(dec(t, "Infinity"), "Infinity")
	f(true, "$true")
	f(nil, "$null")
	f(bson.DateTime(-1), "$date:-1")
	f(bson.Timestamp{T: 1, I: 2}, "$timestamp:1.2")
	f(bson.Binary{Subtype: 4, Data: make([]byte, 16)}, "$uuid:00000000-0000-0000-0000-000000000000")
	f(bson.Binary{Subtype: 3, Data: make([]byte, 16)}, "$bin:3:AAAAAAAAAAAAAAAAAAAAAA==")
	f(bson.Binary{Subtype: 0x80, Data: []byte{1}}, "$bin:80:AQ==")
	f(bson.D{{Key: "b", Value: 1}, {Key: "a", Value: "x"}}, `$doc:{"b":1,"a":"x"}`)
	f(bson.D{{Key: "a", Value: bson.A{oid, bson.D{}}}}, `$doc:{"a":[$oid:65a0f3c0deadbeef01020304,{}]}`)
	f(bson.D{{Key: "a\xff", Value: "\xff"}}, `$doc:{~Yf8=:~/w==}`)
	f(bson.MinKey{}, "$minkey")
	f(strings.Repeat("x", 512), strings.Repeat("x", 512))
	f(strings.Repeat("x", 513), "$sha256:35ade0090e64e74d6ad04204009c23a4e34b82bdf0f4f317fbcc5f26f9b10241")
}

func TestT30LongIDsAreHashed(t *testing.T) {
	long := strings.Repeat("ü", 256)
	if got := string(AppendID(nil, rawValue(t, long))); got != long {
		t.Errorf("512 bytes: %s", got)
	}
	a := string(AppendID(nil, rawValue(t, long+"a")))
	b := string(AppendID(nil, rawValue(t, long+"b")))
	if a == b || !strings.HasPrefix(a, tagHash) || len(a) != len(tagHash)+64 {
		t.Errorf("%s, %s", a, b)
	}
	if _, ok := ParseID(a); ok {
		t.Error("a hash leads back to something")
	}
	if got := string(AppendID(nil, rawValue(t, a))); got != tagString+a {
		t.Errorf("the text of a hash as a string: %s", got)
	}
}

// numbers are few values in many types, so that equal ones come about.
func numbers() *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		f := rapid.SampledFrom([]float64{
			0, 1, -1, 2, 1.5, 0.1, 0.25, 1e15, 1 << 53, 1e22, 1e300, 12345678901234567890,
			math.NaN(), math.Inf(1), 3e-7,
		}).Draw(t, "value")
		switch rapid.IntRange(0, 3).Draw(t, "as") {
		case 0:
			if math.Abs(f) < 1<<31 {
				return int32(f)
			}
			return f
		case 1:
			if math.Abs(f) < 1<<62 {
				return int64(f)
			}
			return -f
		case 2:
			return dec(t, rapid.SampledFrom([]string{
				"0.0", "-0", "1.00", "-1", "2E0", "1.5", "0.10", "0.250", "1E+15",
				"9007199254740992", "1E+22", "1E+300", "12345678901234567168", "NaN", "Infinity", "-Infinity", "3E-7",
			}).Draw(t, "decimal"))
		}
		return f
	})
}

// keys are values that _id and its parts may have.
func keys(depth int) *rapid.Generator[any] {
	all := []*rapid.Generator[any]{
		numbers(), numbers(), values(0),
		rapid.Map(texts(), func(s string) any { return s }),
		rapid.SampledFrom([]any{
			"1", "0.1", "$double:0.1", "$true", true, false, bson.Symbol("a"), "a", bson.JavaScript("a"), "$null", nil,
			"$date:1", bson.DateTime(1),
			bson.Timestamp{I: 1},
			bson.Undefined{},
			`$doc:{"a":1}`, `{"a":1}`, "~", "$b:", "$oid:",
		}),
	}
	if depth > 0 {
		inner := rapid.Custom(func(t *rapid.T) any {
			d := make(bson.D, rapid.IntRange(0, 3).Draw(t, "fields"))
			for i := range d {
				d[i] = bson.E{Key: rapid.SampledFrom([]string{"a", "b", "", "\xff", `"`, ":", "~"}).Draw(t, "name"), Value: keys(depth-1).Draw(t, "part")}
			}
			return d
		})
		all = append(all, inner, inner, rapid.Map(rapid.SliceOfN(keys(depth-1), 0, 3), func(a []any) any { return bson.A(a) }))
	}
	return rapid.OneOf(all...)
}

func TestS10EqualForMongoDBIsEqualText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := keys(2).Draw(t, "a"), keys(2).Draw(t, "b")
		if rapid.Bool().Draw(t, "alike") {
			b = alike(t, a)
		}
		x, y := string(AppendID(nil, rawValue(t, a))), string(AppendID(nil, rawValue(t, b)))
		if (x == y) != mongoEqual(a, b) {
			t.Fatalf("%#v: %s\n%#v: %s", a, x, b, y)
		}
		if !utf8.ValidString(x) || len(x) > MaxID || x == "" {
			t.Fatalf("bad text %q", x)
		}
	})
}

func TestS10ParseIDLeadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := keys(2).Draw(t, "a")
		text := string(AppendID(nil, rawValue(t, a)))
		id, ok := ParseID(text)
		if !ok {
			if !strings.HasPrefix(text, tagHash) {
				t.Fatalf("%#v: %s does not lead back", a, text)
			}
			return
		}
		var back any
		if err := id.Unmarshal(&back); err != nil {
			t.Fatal(err)
		}
		if d, ok := a.(bson.Binary); ok && d.Subtype == 2 {
			return // the driver's view of it differs; the text is compared by ParseID
		}
		if !mongoEqual(a, back) {
			t.Fatalf("%#v: %s: %#v", a, text, back)
		}
	})
}

func TestS10ForeignTexts(t *testing.T) {
	for _, s := range []string{
		"", "007", "1.0", "1E5", "-0", "+1x\xff", "$s:abc", "$nonsense", "$doc:", "$doc:{", `$doc:{"a":01}`, "$oid:00",
		"$doc:{\"a\":1}x", "$raw:zz:", "$raw:10:AQAAAA==", "$uuid:00000000000000000000000000000000", "$double:0.5", strings.Repeat("x", 513),
		"ABCDEFABCDEFABCDEFABCDEF", `[1]$`[3:], `$doc:{"\u0061":1}`, "$timestamp:1", "$regex:1", "$scoped:1", "$dbpointer:1",
	} {
		if id, ok := ParseID(s); ok {
			t.Errorf("%q: %v", s, id)
		}
	}
}

func TestS10CorruptIDsHaveATextToo(t *testing.T) {
	for _, v := range []bson.RawValue{
		{},
		{Type: bson.TypeString, Value: []byte{1}},
		{Type: bson.TypeString, Value: []byte{2, 0, 0, 0, 'a', 'b'}},
		{Type: bson.TypeBoolean, Value: []byte{7}},
		{Type: bson.TypeEmbeddedDocument, Value: []byte{12, 0, 0, 0, 2, 'a', 0, 9, 0, 0, 0, 0}},
		{Type: 99},
	} {
		text := string(AppendID(nil, v))
		id, ok := ParseID(text)
		if !strings.HasPrefix(text, tagRaw) || !ok || id.Type != v.Type || string(id.Value) != string(v.Value) {
			t.Errorf("%v: %s, %v", v, text, id)
		}
	}
}

func TestAppendIDAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 2048)
	for _, v := range []any{bson.ObjectID{1}, "text", int32(1), 1.5, bson.D{{Key: "a", Value: "b"}}, strings.Repeat("x", 600)} {
		id := rawValue(t, v)
		if n := testing.AllocsPerRun(100, func() { AppendID(dst, id) }); n != 0 {
			t.Errorf("%v: %v allocations", v, n)
		}
	}
}

// alike changes types and not values, where it can.
func alike(t *rapid.T, v any) any {
	switch v := v.(type) {
	case int32:
		return rapid.SampledFrom([]any{int64(v), float64(v), dec(t, big.NewInt(int64(v)).String()+".0")}).Draw(t, "type")
	case int64:
		return dec(t, big.NewInt(v).String())
	case string:
		return bson.Symbol(v)
	case bson.D:
		out := make(bson.D, len(v))
		for i, e := range v {
			out[i] = bson.E{Key: e.Key, Value: alike(t, e.Value)}
		}
		return out
	}
	return v
}

// mongoEqual says whether MongoDB takes two values for equal.
func mongoEqual(a, b any) bool {
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && x == y
	}
	switch a := a.(type) {
	case string, bson.Symbol:
		return text(a) != nil && text(b) != nil && *text(a) == *text(b)
	case bson.D:
		b, ok := b.(bson.D)
		return ok && slices.EqualFunc(a, b, func(x, y bson.E) bool { return x.Key == y.Key && mongoEqual(x.Value, y.Value) })
	case bson.A:
		b, ok := b.(bson.A)
		return ok && slices.EqualFunc(a, b, mongoEqual)
	case bson.Binary:
		b, ok := b.(bson.Binary)
		return ok && a.Subtype == b.Subtype && string(a.Data) == string(b.Data)
	case bson.CodeWithScope:
		b, ok := b.(bson.CodeWithScope)
		return ok && a.Code == b.Code && mongoEqual(a.Scope, b.Scope)
	case bson.Null, nil:
		return b == nil || b == bson.Null{}
	}
	switch b.(type) {
	case bson.D, bson.A, bson.Binary, bson.CodeWithScope:
		return false
	}
	return a == b
}

func text(v any) *string {
	switch v := v.(type) {
	case string:
		return &v
	case bson.Symbol:
		s := string(v)
		return &s
	}
	return nil
}

// number is the exact value of a number, as a text.
func number(v any) (string, bool) {
	switch v := v.(type) {
	case int32:
		return big.NewInt(int64(v)).String() + "/1", true
	case int64:
		return big.NewInt(v).String() + "/1", true
	case float64:
		switch {
		case v != v:
			return "NaN", true
		case math.IsInf(v, 0):
			return map[bool]string{true: "Inf", false: "-Inf"}[v > 0], true
		}
		return new(big.Rat).SetFloat64(v).String(), true
	case bson.Decimal128:
		if v.IsNaN() {
			return "NaN", true
		}
		if sign := v.IsInf(); sign != 0 {
			return map[bool]string{true: "Inf", false: "-Inf"}[sign > 0], true
		}
		n, exp, err := v.BigInt()
		if err != nil {
			return "", false
		}
		limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(34), nil)
		if n.CmpAbs(limit) >= 0 {
			return "0/1", true
		}
		scale := new(big.Int).Exp(big.NewInt(10), new(big.Int).Abs(big.NewInt(int64(exp))), nil)
		r := new(big.Rat).SetInt(n)
		if exp < 0 {
			return r.Quo(r, new(big.Rat).SetInt(scale)).String(), true
		}
		return r.Mul(r, new(big.Rat).SetInt(scale)).String(), true
	}
	return "", false
}
