package pipeline

import (
	"math"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

func decimal(t testing.TB, s string) bson.Decimal128 {
	t.Helper()
	d, err := bson.ParseDecimal128(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestS2EqualKeys: values that are one key in MongoDB are one key here, others
// are not.
func TestS2EqualKeys(t *testing.T) {
	classes := [][]any{
		{int32(1), int64(1), 1.0, decimal(t, "1"), decimal(t, "1.00"), decimal(t, "10E-1")},
		{int32(0), int64(0), 0.0, math.Copysign(0, -1)},
		{int32(-7), int64(-7), -7.0, decimal(t, "-7.0")},
		{int64(1) << 53, float64(1 << 53)},
		{int64(1)<<53 + 1},
		{int64(math.MaxInt64)},
		{int64(math.MinInt64), float64(math.MinInt64)},
		{1.5, decimal(t, "1.5"), decimal(t, "1.50")},
		{"1"},
		{"1.5"},
		{""},
		{"a"},
		{"abc", bson.Symbol("abc")},
		{true},
		{false},
		{nil},
		{bson.ObjectID{1}},
		{bson.ObjectID{2}},
		{bson.ObjectID{1}.Hex()},
		{bson.DateTime(1)},
		{bson.Timestamp{T: 1}},
		{bson.Binary{Data: []byte("a")}},
		{bson.Binary{Subtype: 4, Data: []byte("a")}},
		{bson.D{{Key: "a", Value: int32(1)}}},
		{bson.D{{Key: "b", Value: int32(1)}}},
		{bson.MinKey{}},
		{bson.MaxKey{}},
	}
	h := newHasher(newSeeds())
	other := newHasher(h.seeds)
	seen := make(map[key]any)
	for _, class := range classes {
		first := h.of(&flow.Change{NS: shop, ID: idOf(class[0])})
		if old, ok := seen[first]; ok {
			t.Errorf("%T %v and %T %v have one key", old, old, class[0], class[0])
		}
		seen[first] = class[0]
		for _, v := range class {
			if other.of(&flow.Change{NS: shop, ID: idOf(v)}) != first {
				t.Errorf("%T %v has not the key of %T %v", v, v, class[0], class[0])
			}
		}
	}
}

func TestKeysOfNamespacesDiffer(t *testing.T) {
	h := newHasher(newSeeds())
	a := h.of(&flow.Change{NS: shop, ID: idOf("x")})
	b := h.of(&flow.Change{NS: flow.Namespace{DB: "shop", Coll: "people"}, ID: idOf("x")})
	if again := h.of(&flow.Change{NS: shop, ID: idOf("x")}); a == b || a != again {
		t.Errorf("keys %v, %v, %v: want the first and the last alike, the other not", a, b, again)
	}
}

func TestKeyCostsNoAllocation(t *testing.T) {
	h := newHasher(newSeeds())
	for _, v := range []any{bson.NewObjectID(), "text", int32(1), int64(1), 1.0} {
		c := flow.Change{NS: shop, ID: idOf(v)}
		if n := testing.AllocsPerRun(100, func() { h.of(&c) }); n != 0 {
			t.Errorf("%T: %v allocations", v, n)
		}
	}
}
