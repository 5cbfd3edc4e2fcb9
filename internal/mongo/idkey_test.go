package mongo

import (
	"math"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func keyOf(t *testing.T, v any) bson.RawValue {
	t.Helper()
	if v == nil {
		return bson.RawValue{Type: bson.TypeNull}
	}
	typ, b, err := bson.MarshalValue(v)
	if err != nil {
		t.Fatal(err)
	}
	return bson.RawValue{Type: typ, Value: b}
}

func decimal(t *testing.T, s string) bson.Decimal128 {
	t.Helper()
	d, err := bson.ParseDecimal128(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Values of one group are one key to MongoDB, values of two groups are two.
func TestS8KeysAreComparedByValue(t *testing.T) {
	groups := [][]any{
		{int32(2), int64(2), 2.0, decimal(t, "2"), decimal(t, "2.00"), decimal(t, "0.2E1")},
		{int32(0), 0.0, math.Copysign(0, -1), decimal(t, "0"), decimal(t, "-0"), decimal(t, "0E+6000"), decimal(t, "0E-6000")},
		{0.5, decimal(t, "0.5"), decimal(t, "5E-1")},
		{decimal(t, "0.1")},
		{0.1}, // the double is not exactly a tenth
		{int64(math.MaxInt64), decimal(t, "9223372036854775807")},
		{float64(1 << 63), decimal(t, "9223372036854775808")},
		{1e300},
		{decimal(t, "1E+6000")},
		{math.NaN(), decimal(t, "NaN")},
		{math.Inf(1), decimal(t, "Infinity")},
		{math.Inf(-1), decimal(t, "-Infinity")},
		{"2", bson.Symbol("2")},
		{"2 "},
		{""},
		{nil},
		{true},
		{false},
		{bson.D{{Key: "a", Value: 1}}, bson.D{{Key: "a", Value: int64(1)}}, bson.D{{Key: "a", Value: 1.0}}},
		{bson.D{{Key: "a", Value: "1"}}, bson.D{{Key: "a", Value: bson.Symbol("1")}}},
		{bson.D{{Key: "a", Value: 1}, {Key: "b", Value: 2}}},
		{bson.D{{Key: "b", Value: 2}, {Key: "a", Value: 1}}},
		{bson.D{{Key: "a", Value: bson.D{{Key: "b", Value: 1}}}}, bson.D{{Key: "a", Value: bson.D{{Key: "b", Value: 1.0}}}}},
		{bson.D{{Key: "a", Value: bson.A{1, 2}}}, bson.D{{Key: "a", Value: bson.A{1.0, int64(2)}}}},
		{bson.D{{Key: "a", Value: bson.A{12}}}},
		{bson.D{}},
		{bson.DateTime(2)},
		{bson.Timestamp{T: 2}},
		{bson.ObjectID{2}},
		{bson.MinKey{}},
		{bson.MaxKey{}},
		{bson.Binary{Data: []byte{2}}},
		{bson.Binary{Subtype: 4, Data: []byte{2}}},
	}
	for i, g := range groups {
		for _, a := range g {
			for j, h := range groups {
				for _, b := range h {
					if got := sameKey(keyOf(t, a), keyOf(t, b)); got != (i == j) {
						t.Errorf("%T %v and %T %v: same key: %v", a, a, b, b, got)
					}
				}
			}
		}
	}
}
