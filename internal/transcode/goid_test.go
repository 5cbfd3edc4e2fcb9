package transcode

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"
)

func TestS10GoIDs(t *testing.T) {
	oid := bson.ObjectID{0x65, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	dec, _ := bson.ParseDecimal128("12.50")
	for _, c := range []struct {
		v    any
		want string
	}{
		{oid, "650102030405060708090a0b"},
		{"a text", "a text"},
		{int32(-5), "-5"},
		{int64(1) << 60, "1152921504606846976"},
		{10.0, "10"},
		{math.Copysign(0, -1), "0"},
		{1.5, "1.5"},
		{1234567.5, "1.2345675e+06"},
		{1e-5, "1e-05"},
		{1e20, "1e+20"},
		{true, "true"},
		{nil, "<nil>"},
		{dec, "12.50"},
		{bson.DateTime(1700000000123), "2023-11-14 22:13:20.123 +0000 UTC"},
		{bson.DateTime(1700000000000), "2023-11-14 22:13:20 +0000 UTC"},
		{bson.Timestamp{T: 5, I: 6}, "{5 6}"},
		{bson.Binary{Subtype: 4, Data: []byte("0123456789abcdef")}, "30313233-3435-3637-3839-616263646566"},
		{bson.Binary{Subtype: 4, Data: []byte{1, 2}}, "0102"},
		{bson.Binary{Data: []byte{1, 2}}, "AQI="},
		{bson.D{{Key: "b", Value: "x"}, {Key: "a", Value: 1}}, "map[a:1 b:x]"},
		{bson.D{{Key: "a", Value: bson.A{1, "q", oid}}, {Key: "b", Value: bson.Binary{Subtype: 4, Data: []byte{0, 17}}}}, `map[a:[1 q ObjectID("650102030405060708090a0b")] b:{4 [0 17]}]`},
		{bson.MinKey{}, "{}"},
		{bson.Regex{Pattern: "a.b", Options: "i"}, `{"pattern": "a.b", "options": "i"}`},
		{"bad \xff\xfe", "bad \ufffd\ufffd"},
		{strings.Repeat("x", 512), strings.Repeat("x", 512)},
	} {
		got, err := AppendGoID([]byte("id:"), rawValue(t, c.v))
		if err != nil || string(got) != "id:"+c.want {
			t.Errorf("%T: got %s, %v; want %s", c.v, got, err, c.want)
		}
	}
	for _, v := range []any{"", strings.Repeat("x", 513), strings.Repeat("\xff", 171), bson.Binary{}} {
		if got, err := AppendGoID([]byte("id:"), rawValue(t, v)); !errors.Is(err, ErrRejected) || string(got) != "id:" {
			t.Errorf("%.10v: got %s, %v; want it rejected", v, got, err)
		}
	}
}

func TestS10GoIDsAsGoPrintsThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := values(2).Draw(t, "id")
		raw := mustMarshal(t, bson.D{{Key: "_id", Value: v}})
		var d bson.D
		if err := bson.Unmarshal(raw, &d); err != nil {
			return
		}
		want := perByte(goID(d[0].Value))
		got, err := AppendGoID(nil, raw.Lookup("_id"))
		if want == "" || len(want) > MaxID {
			if !errors.Is(err, ErrRejected) {
				t.Fatalf("%s, %v; want it rejected", got, err)
			}
			return
		}
		if err != nil || string(got) != want {
			t.Fatalf("%v\ngot  %q\nwant %q", err, got, want)
		}
	})
}

// TestS13GoKeysHoldEveryKey: what may have made a text is among its keys, or there
// are none; and each of them makes that text.
func TestS13GoKeysHoldEveryKey(t *testing.T) {
	check := func(t interface{ Fatalf(string, ...any) }, raw bson.RawValue) {
		text, err := AppendGoID(nil, raw)
		if err != nil {
			return
		}
		likely, others := GoKeys(string(text))
		if len(likely) == 0 {
			if len(others) > 0 {
				t.Fatalf("%q: only unlikely keys", text)
			}
			return
		}
		all := slices.Concat(likely, others)
		native := string(AppendID(nil, raw)) // equal for equal keys
		if !slices.ContainsFunc(all, func(k bson.RawValue) bool { return string(AppendID(nil, k)) == native }) {
			t.Fatalf("%q of %s is not among %v", text, raw, all)
		}
		for _, k := range all {
			if again, err := AppendGoID(nil, k); err != nil || string(again) != string(text) {
				t.Fatalf("%q: the key %s makes %q, %v", text, k, again, err)
			}
		}
	}
	dec, _ := bson.ParseDecimal128("12.50")
	for _, v := range []any{1, dec, 1.0, "1", "12.50", true, "true", nil, bson.DateTime(100), bson.Timestamp{T: 1, I: 2}, bson.ObjectID{1}, "{5 6}", "<nil>", 1e20, bson.Binary{Subtype: 200, Data: []byte("abc")}} {
		check(t, rawValue(t, v))
	}
	rapid.Check(t, func(t *rapid.T) {
		raw := mustMarshal(t, bson.D{{Key: "_id", Value: values(1).Draw(t, "id")}})
		switch id := raw.Lookup("_id"); {
		case id.Type == bson.TypeArray, id.Type == bson.TypeUndefined, id.Type == bson.TypeRegex: // MongoDB takes no such _id
		case id.Type == bson.TypeDecimal128 && strings.HasPrefix(goDecimal(id.Decimal128()), "0"): // of 35 digits, say: zero
		default:
			check(t, id)
		}
	})
	for _, text := range []string{"", "map[a:1]", "{}", "a\ufffd", `{"pattern": "", "options": ""}`} {
		if likely, others := GoKeys(text); likely != nil || others != nil {
			t.Errorf("%q: %v %v", text, likely, others)
		}
	}
}
