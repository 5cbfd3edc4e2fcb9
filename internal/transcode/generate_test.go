package transcode

import (
	"math"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"
)

// names are names with all that can be wrong with names, and enough of them
// come twice.
func names() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[a-c]{1,2}`),
		rapid.StringMatching(`[a-z_]{6,30}`),
		rapid.SampledFrom([]string{
			"", ".", "..", "a.", ".a", "a..b", "a.b", "_", "__", "_._", " ", "a. ", "\u2003",
			"_index", "_index_", "_id", "_routing", "_source.x", "_id.x", "\xff", "\xfe", "\ufffd", "a\xff", "a\ufffd",
			"quo\"te", "back\\slash", "line\nbreak", "ümlaut", "日本語", "$ref", "-", "exactly8", "exactly_sixteen!",
			"a name that is longer than all the words that are copied without looking at the room that is left",
		}),
		rapid.Map(rapid.SliceOfN(rapid.ByteRange(1, 255), 0, 20), func(b []byte) string { return string(b) }),
	)
}

func texts() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(),
		rapid.StringMatching(`[a-z ]{0,200}`),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
		rapid.SampledFrom([]string{
			"", "\x00", "a\x00b", "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80", "\xf0\x8f\xbf\xbf",
			"\u2028", "\x7f", "😀", "half 😀\xf0\x9f\x98", "123", "-1.5e7", "NaN", "Infinity", "-Infinity", "$s:x", "$", "true",
			"65a0f3c0deadbeef01020304", "65A0F3C0DEADBEEF01020304", "0", "007", "1.", ".5", "1e5", "{", "[1]",
		}),
	)
}

func doubles() *rapid.Generator[float64] {
	return rapid.OneOf(
		rapid.Float64(),
		rapid.Map(rapid.Int64Range(-1e12, 1e12), func(i int64) float64 { return float64(i) / 100 }),
		rapid.Map(rapid.Int64(), func(i int64) float64 { return float64(i) }),
		rapid.Map(rapid.Uint64(), math.Float64frombits),
		rapid.SampledFrom([]float64{
			0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), 0.1, 0.5, 1e21, 1e20,
			1e-6, 1e-7, 9.5e-7, 5e-324, math.MaxFloat64, 1 << 53, 1<<53 + 2, 1 << 62, 1 << 63, 1 << 64, 1e22, 1e23, 1 << 100,
		}),
	)
}

func decimals() *rapid.Generator[bson.Decimal128] {
	return rapid.OneOf(
		rapid.Custom(func(t *rapid.T) bson.Decimal128 {
			return bson.NewDecimal128(rapid.Uint64().Draw(t, "high"), rapid.Uint64().Draw(t, "low"))
		}),
		rapid.Custom(func(t *rapid.T) bson.Decimal128 {
			exp := rapid.Uint64Range(6176-40, 6176+40).Draw(t, "exp")
			return bson.NewDecimal128(exp<<49|rapid.Uint64Range(0, 1).Draw(t, "sign")<<63, rapid.Uint64().Draw(t, "low"))
		}),
	)
}

func binaries() *rapid.Generator[bson.Binary] {
	return rapid.Custom(func(t *rapid.T) bson.Binary {
		b := bson.Binary{Subtype: rapid.SampledFrom([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 128, 255}).Draw(t, "subtype")}
		switch size := rapid.SampledFrom([]int{0, 2, 3, 10, 16, 33}).Draw(t, "size"); b.Subtype {
		case 9:
			b.Data = append([]byte{
				rapid.SampledFrom([]byte{3, 0x10, 0x27, 0}).Draw(t, "dtype"),
				rapid.SampledFrom([]byte{0, 0, 1, 8}).Draw(t, "padding"),
			}, rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "data")...)
		case 2: // none at all: the driver gives back its length of zero as data
			b.Data = rapid.SliceOfN(rapid.Byte(), size+1, size+1).Draw(t, "data")
		default:
			b.Data = rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "data")
		}
		return b
	})
}

// values are values of all types, down to the given depth.
func values(depth int) *rapid.Generator[any] {
	all := []*rapid.Generator[any]{
		doubles().AsAny(), texts().AsAny(), decimals().AsAny(), binaries().AsAny(),
		rapid.Int32().AsAny(), rapid.Int64().AsAny(), rapid.Bool().AsAny(),
		rapid.Map(rapid.Int64(), func(ms int64) any { return bson.DateTime(ms) }),
		rapid.Map(rapid.Int64Range(firstDate-1e4, lastDate+1e4), func(ms int64) any { return bson.DateTime(ms) }),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 12, 12), func(b []byte) any { return bson.ObjectID(b) }),
		rapid.Map(texts(), func(s string) any { return bson.Symbol(s) }),
		rapid.Map(texts(), func(s string) any { return bson.JavaScript(s) }),
		rapid.Map(names(), func(s string) any { return bson.Regex{Pattern: s, Options: "im"} }),
		rapid.Map(texts(), func(s string) any { return bson.DBPointer{DB: s, Pointer: bson.ObjectID{1, 2}} }),
		rapid.Map(rapid.Uint32(), func(u uint32) any { return bson.Timestamp{T: u, I: ^u} }),
		rapid.SampledFrom([]any{nil, bson.Undefined{}, bson.MinKey{}, bson.MaxKey{}}),
	}
	if depth > 0 {
		all = append(all, documents(depth-1).AsAny(), documents(depth-1).AsAny(),
			rapid.Map(rapid.SliceOfN(values(depth-1), 0, 12), func(a []any) any { return bson.A(a) }),
			rapid.Map(documents(depth-1), func(d bson.D) any { return bson.CodeWithScope{Code: "f()", Scope: d} }))
	}
	return rapid.OneOf(all...)
}

func documents(depth int) *rapid.Generator[bson.D] {
	return rapid.Custom(func(t *rapid.T) bson.D {
		d := make(bson.D, rapid.OneOf(rapid.IntRange(0, 6), rapid.IntRange(0, 6), rapid.IntRange(20, 80)).Draw(t, "fields"))
		for i := range d {
			d[i].Key = names().Draw(t, "name")
			if len(d) > 6 { // many fields, small values
				d[i].Key += rapid.StringMatching(`[a-d]{0,3}`).Draw(t, "more")
				d[i].Value = int32(i)
				continue
			}
			d[i].Value = values(depth).Draw(t, "value")
		}
		return d
	})
}
