package pack

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/big"
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"

	"sluice/internal/cold"
)

func value(t testing.TB, v any) bson.RawValue {
	t.Helper()
	kind, b, err := bson.MarshalValue(v)
	if err != nil {
		t.Fatal(err)
	}
	return bson.RawValue{Type: kind, Value: append([]byte{}, b...)}
}

func decimal(t testing.TB, s string) bson.Decimal128 {
	t.Helper()
	d, err := bson.ParseDecimal128(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func keyOf(v bson.RawValue) []byte { return appendKey(nil, v.Type, v.Value, 0) }

// Values that MongoDB holds for equal are one key, others are not.
func TestEqualKeysAreOneKey(t *testing.T) {
	groups := [][]any{
		{int32(1), int64(1), 1.0, decimal(t, "1"), decimal(t, "1.000"), decimal(t, "0.1E1")},
		{int32(0), int64(0), 0.0, math.Copysign(0, -1), decimal(t, "0"), decimal(t, "-0"), decimal(t, "0E+3")},
		{int32(-7), int64(-7), -7.0, decimal(t, "-7"), decimal(t, "-70E-1")},
		{int64(1 << 60), float64(1 << 60), decimal(t, "1152921504606846976")},
		{int64(1<<60 + 1), decimal(t, "1152921504606846977")},
		{1e22, decimal(t, "1E+22")},
		{0.5, decimal(t, "0.5"), decimal(t, "0.50")},
		{math.NaN(), math.Float64frombits(0x7ff8000000000001), decimal(t, "NaN")},
		{math.Inf(1), decimal(t, "Infinity")},
		{math.Inf(-1), decimal(t, "-Infinity")},
		{"a", bson.Symbol("a")},
		{"a\x00"},
		{""},
		{bson.D{{Key: "a", Value: 1}}, bson.D{{Key: "a", Value: 1.0}}},
		{bson.D{{Key: "a", Value: bson.D{{Key: "b", Value: int64(2)}}}}, bson.D{{Key: "a", Value: bson.D{{Key: "b", Value: decimal(t, "2")}}}}},
		{bson.D{{Key: "b", Value: 1}}},
		{bson.D{{Key: "a", Value: 1}, {Key: "b", Value: 2}}},
		{bson.D{{Key: "b", Value: 2}, {Key: "a", Value: 1}}},
		{bson.A{1, 2.0}, bson.A{1.0, 2}},
		{bson.CodeWithScope{Code: "f", Scope: bson.D{{Key: "a", Value: 1}}}, bson.CodeWithScope{Code: "f", Scope: bson.D{{Key: "a", Value: 1.0}}}},
		{bson.JavaScript("a")},
		{bson.ObjectID{1}},
		{bson.DateTime(1)},
		{bson.Timestamp{I: 1}},
		{true},
		{false},
		{bson.Null{}},
		{bson.Binary{Subtype: 4, Data: []byte{1}}},
		{bson.Binary{Subtype: 0, Data: []byte{1}}},
		{bson.MinKey{}},
		{bson.MaxKey{}},
		{bson.Undefined{}},
		{bson.Regex{Pattern: "a", Options: "i"}},
		{bson.DBPointer{DB: "a"}},
	}
	var all [][]byte
	for _, g := range groups {
		want := keyOf(value(t, g[0]))
		for _, v := range g[1:] {
			if got := keyOf(value(t, v)); !bytes.Equal(got, want) {
				t.Errorf("%#v is %x, and %#v is %x", g[0], want, v, got)
			}
		}
		if slices.ContainsFunc(all, func(k []byte) bool { return bytes.Equal(k, want) }) {
			t.Errorf("%#v is the key of another", g[0])
		}
		all = append(all, want)
	}
}

// The order of MongoDB, from the least to the greatest.
func TestKeysAreInTheOrderOfMongoDB(t *testing.T) {
	order := []any{
		bson.MinKey{},
		bson.Undefined{},
		bson.Null{},
		math.NaN(), math.Inf(-1), -1e300, int64(math.MinInt64), -2, -1.5, int64(-1), decimal(t, "-0.5"), 0, 5e-324, 0.1, int32(1),
		1.5, decimal(t, "2"), 3, int64(1 << 53), int64(1<<53 + 1), float64(1<<53 + 2), int64(math.MaxInt64 - 1), 1e19, math.Inf(1),
		"", "A", "a", "a\x00", "a\x00b", "a\x01", "ab", "b", "ü",
		bson.D{},
		bson.D{{Key: "a", Value: 1}},
		bson.D{{Key: "a", Value: 1}, {Key: "b", Value: 1}},
		bson.D{{Key: "a", Value: 2}},
		bson.D{{Key: "b", Value: 1}},
		bson.D{{Key: "a", Value: "x"}},
		bson.A{},
		bson.A{1},
		bson.A{1, 2},
		bson.A{2},
		bson.Binary{Data: []byte{9}},
		bson.Binary{Subtype: 4, Data: []byte{1}},
		bson.Binary{Data: []byte{0, 0}},
		bson.ObjectID{1},
		bson.ObjectID{1, 1},
		bson.ObjectID{2},
		false, true,
		bson.DateTime(-1), bson.DateTime(0), bson.DateTime(1),
		bson.Timestamp{},
		bson.Timestamp{T: 1},
		bson.Timestamp{T: 1, I: 1},
		bson.Regex{Pattern: "a"},
		bson.Regex{Pattern: "b"},
		bson.DBPointer{DB: "a"},
		bson.JavaScript("a"),
		bson.CodeWithScope{Code: "a", Scope: bson.D{}},
		bson.MaxKey{},
	}
	for i := 1; i < len(order); i++ {
		a, b := keyOf(value(t, order[i-1])), keyOf(value(t, order[i]))
		if bytes.Compare(a, b) >= 0 {
			t.Errorf("%#v (%x) is not before %#v (%x)", order[i-1], a, order[i], b)
		}
	}
}

// Numbers compare by their value, whatever their types.
func TestNumbersCompareByValue(t *testing.T) {
	exact := func(v any) *big.Rat {
		switch v := v.(type) {
		case int32:
			return new(big.Rat).SetInt64(int64(v))
		case int64:
			return new(big.Rat).SetInt64(v)
		case float64:
			return new(big.Rat).SetFloat64(v)
		case bson.Decimal128:
			r, _ := new(big.Rat).SetString(v.String())
			return r
		}
		return nil
	}
	one := rapid.OneOf(
		rapid.Int32().AsAny(), rapid.Int64().AsAny(), rapid.Float64Range(-1e25, 1e25).AsAny(),
		rapid.Map(rapid.Int64Range(-1<<54, 1<<54), func(i int64) any { return float64(i) }),
		rapid.Map(rapid.Int64(), func(i int64) any { d, _ := bson.ParseDecimal128(fmt.Sprint(i)); return d }),
		rapid.Map(rapid.Int64Range(-1e6, 1e6), func(i int64) any { d, _ := bson.ParseDecimal128(fmt.Sprintf("%dE-2", i)); return d }),
	)
	rapid.Check(t, func(rt *rapid.T) {
		a := one.Draw(rt, "a")
		b := one.Draw(rt, "b")
		if rapid.Bool().Draw(rt, "near") { // another form of nearly the same number
			f, _ := exact(a).Float64()
			b = rapid.SampledFrom([]any{f, int64(min(max(f, -9e18), 9e18)), int32(min(max(f, -2e9), 2e9)), a}).Draw(rt, "form")
		}
		got := bytes.Compare(keyOf(value(t, a)), keyOf(value(t, b)))
		want := exact(a).Cmp(exact(b))
		if want == 0 && got != 0 || want != 0 && got == -want {
			rt.Fatalf("%v and %v compare as %d, want %d", exact(a), exact(b), got, want)
		}
	})
}

// Any bytes have a key, and it ends.
func TestKeyOfAnything(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		v := rapid.SliceOf(rapid.Byte()).Draw(rt, "value")
		appendKey(nil, bson.Type(rapid.Byte().Draw(rt, "type")), v, 0)
	})
	deep := []byte{5, 0, 0, 0, 0}
	for range 5000 {
		b := append(append(le32(len(deep)+8), 3, 'a', 0), deep...)
		deep = append(b, 0)
	}
	if k := appendKey(nil, bson.TypeEmbeddedDocument, deep, 0); len(k) == 0 {
		t.Error("no key")
	}
}

func TestDeleteOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ids := rapid.SliceOfN(rapid.OneOf(keys(), rapid.Map(rapid.SampledFrom([]string{
			"a long word at the beginning 1", "a long word at the beginning 2", "a long word", "",
		}), func(s string) bson.RawValue { return value(t, s) })), 0, 40).Draw(rt, "ids")
		entries := make([]cold.Entry, len(ids))
		for i := range ids {
			entries[i].ID = ids[i]
		}
		order := DeleteOrder(entries)
		seen := make([]bool, len(ids))
		for i, n := range order {
			if seen[n] {
				rt.Fatalf("entry %d comes twice", n)
			}
			seen[n] = true
			if i > 0 && cmp.Or(bytes.Compare(keyOf(ids[order[i-1]]), keyOf(ids[n])), cmp.Compare(order[i-1], n)) >= 0 {
				rt.Fatalf("%v comes after %v", ids[n], ids[order[i-1]])
			}
		}
		if len(order) != len(ids) {
			rt.Fatalf("%d of %d entries", len(order), len(ids))
		}
	})
}
