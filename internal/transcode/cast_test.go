package transcode

import (
	"math"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// TestS11CastNeverCuts holds the table of casts where a value has no equal in
// the other type: nothing is rounded, cut or wrapped round to fit.
func TestS11CastNeverCuts(t *testing.T) {
	decimal := func(s string) bson.Decimal128 {
		d, err := bson.ParseDecimal128(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	f := func(to CastType, v any, want string) {
		t.Helper()
		p, err := Compile(Options{}, Fields{Cast: map[string]CastType{"a": to}})
		if err != nil {
			t.Fatal(err)
		}
		doc, err := bson.Marshal(bson.D{{Key: "a", Value: v}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Append(nil, doc, &Stats{})
		switch {
		case want == "" && err == nil:
			t.Errorf("%v to %s: %s, want a refusal", v, to, got)
		case want != "" && (err != nil || string(got) != `{"a":`+want+`}`):
			t.Errorf("%v to %s: %s, %v, want %s", v, to, got, err, want)
		}
	}
	for _, v := range []any{
		1.5, -0.25, math.NaN(), math.Inf(1), 1e19, -1e19, math.Exp2(63), "1.5", "1e3", "9223372036854775808", "", " 1", "x",
		decimal("1.5"), decimal("9223372036854775808"), decimal("NaN"),
		bson.D{},
		bson.A{bson.D{}},
	} {
		f(CastLong, v, "")
	}
	f(CastLong, 2.0, "2")
	f(CastLong, -math.Exp2(63), "-9223372036854775808")
	f(CastLong, "-9223372036854775808", "-9223372036854775808")
	f(CastLong, decimal("12E+1"), "120")
	f(CastLong, true, "1")
	f(CastLong, bson.A{1.0, "2", nil}, "[1,2,null]")
	for _, v := range []any{"1", "yes", "", math.NaN(), bson.DateTime(0), bson.D{}} {
		f(CastBoolean, v, "")
	}
	f(CastBoolean, 0.0, "false")
	f(CastBoolean, -0.5, "true")
	f(CastBoolean, "TRUE", "true")
	for _, v := range []any{"x", "", "2024-13-01", "2024-05-01T25:00:00Z", true, bson.D{}} {
		f(CastDate, v, "")
	}
	f(CastDate, "2024-05-01", `"2024-05-01T00:00:00.000Z"`)
	for _, v := range []any{"x", "", "1.5.1", bson.D{}} {
		f(CastDouble, v, "")
	}
	f(CastDouble, "1.5", "1.5")
	for _, v := range []any{bson.D{}, bson.Timestamp{T: 1}} {
		f(CastString, v, "")
	}
	f(CastString, int64(math.MaxInt64), `"9223372036854775807"`)
}
