package pack

import (
	"encoding/binary"
	"math"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"
)

// allTypes are the types of BSON, the deprecated ones too.
func allTypes() []bson.Type {
	return []bson.Type{
		bson.TypeDouble, bson.TypeString, bson.TypeEmbeddedDocument, bson.TypeArray, bson.TypeBinary, bson.TypeUndefined,
		bson.TypeObjectID, bson.TypeBoolean, bson.TypeDateTime, bson.TypeNull, bson.TypeRegex, bson.TypeDBPointer,
		bson.TypeJavaScript, bson.TypeSymbol, bson.TypeCodeWithScope, bson.TypeInt32, bson.TypeTimestamp, bson.TypeInt64,
		bson.TypeDecimal128, bson.TypeMinKey, bson.TypeMaxKey,
	}
}

// names come twice often, are empty, or no UTF-8.
func names() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"", "a", "a", "b", "_id", "$ref", "a.b", "\xff", "\xed\xa0\x80", "日本語", "0"}),
		rapid.Map(rapid.SliceOfN(rapid.ByteRange(1, 255), 0, 12), func(b []byte) string { return string(b) }),
	)
}

func texts() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 40), func(b []byte) string { return string(b) }),
		rapid.SampledFrom([]string{"", "\x00", "a\x00b", "\xc0\x80", "half \xf0\x9f\x98"}),
	)
}

func le32(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }
func le64(n uint64) []byte {
	return binary.LittleEndian.AppendUint64(nil, n)
}

func rawString(s string) []byte { return append(append(le32(len(s)+1), s...), 0) }

// rawValue is the bytes of a value of type t.
func rawValue(t *rapid.T, kind bson.Type, depth int) []byte {
	switch kind {
	case bson.TypeDouble:
		return le64(rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{
			0, 1 << 63, math.Float64bits(1), 0x7ff8000000000001, 0xfff0000000000002, 0x7ff0000000000000, 0xfff0000000000000,
		})).Draw(t, "double"))
	case bson.TypeString, bson.TypeJavaScript, bson.TypeSymbol:
		return rawString(texts().Draw(t, "text"))
	case bson.TypeEmbeddedDocument, bson.TypeArray:
		return rawDocument(t, depth-1, false)
	case bson.TypeBinary:
		data := rapid.SliceOfN(rapid.Byte(), 0, 24).Draw(t, "data")
		return append(append(le32(len(data)), rapid.Byte().Draw(t, "subtype")), data...)
	case bson.TypeObjectID:
		return rapid.SliceOfN(rapid.Byte(), 12, 12).Draw(t, "oid")
	case bson.TypeBoolean:
		return []byte{rapid.SampledFrom([]byte{0, 1}).Draw(t, "bool")}
	case bson.TypeRegex:
		n := rapid.Map(names(), func(s string) []byte { return append([]byte(s), 0) })
		return append(n.Draw(t, "pattern"), n.Draw(t, "options")...)
	case bson.TypeDBPointer:
		return append(rawString(texts().Draw(t, "ns")), rapid.SliceOfN(rapid.Byte(), 12, 12).Draw(t, "oid")...)
	case bson.TypeCodeWithScope:
		b := append(rawString(texts().Draw(t, "code")), rawDocument(t, depth-1, false)...)
		return append(le32(len(b)+4), b...)
	case bson.TypeInt32:
		return le32(int(rapid.Int32().Draw(t, "int")))
	case bson.TypeInt64, bson.TypeDateTime, bson.TypeTimestamp:
		return le64(rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{0, 1, 1 << 63, math.MaxUint64})).Draw(t, "long"))
	case bson.TypeDecimal128:
		return append(le64(rapid.Uint64().Draw(t, "low")), le64(rapid.Uint64().Draw(t, "high"))...)
	}
	return nil
}

// rawDocument is a document as its bytes, with an _id at any place if asked for.
func rawDocument(t *rapid.T, depth int, id bool) []byte {
	n := rapid.IntRange(0, 5).Draw(t, "fields")
	at := -1
	if id {
		at = rapid.IntRange(0, n).Draw(t, "place of _id")
	}
	b := []byte{0, 0, 0, 0}
	for i := 0; i <= n; i++ {
		name := "_id"
		if i != at {
			if i == n {
				break
			}
			name = names().Draw(t, "name")
		}
		kinds := allTypes()
		if depth <= 0 {
			kinds = []bson.Type{bson.TypeInt32, bson.TypeDouble, bson.TypeString, bson.TypeTimestamp, bson.TypeNull}
		}
		kind := rapid.SampledFrom(kinds).Draw(t, "type")
		b = append(append(append(b, byte(kind)), name...), 0)
		b = append(b, rawValue(t, kind, depth)...)
	}
	b = append(b, 0)
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	return b
}

// rawDocs are documents with an _id of any type.
func rawDocs(depth int) *rapid.Generator[bson.Raw] {
	return rapid.Custom(func(t *rapid.T) bson.Raw { return rawDocument(t, depth, true) })
}

// keys are values of any type.
func keys() *rapid.Generator[bson.RawValue] {
	return rapid.Custom(func(t *rapid.T) bson.RawValue {
		kind := rapid.SampledFrom(allTypes()).Draw(t, "type")
		return bson.RawValue{Type: kind, Value: append([]byte{}, rawValue(t, kind, 2)...)}
	})
}
