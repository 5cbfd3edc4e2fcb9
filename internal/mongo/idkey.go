package mongo

import (
	"encoding/binary"
	"math"
	"math/big"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// appendKey appends text that is equal for two values if, and only if, MongoDB
// takes them for one key: numbers by value whatever their type, strings and
// symbols by their text, documents field by field in order, the rest by bytes.
func appendKey(dst []byte, t bson.Type, value []byte) []byte {
	switch t {
	case bson.TypeInt32, bson.TypeInt64, bson.TypeDouble, bson.TypeDecimal128:
		return appendNumber(dst, bson.RawValue{Type: t, Value: value})
	case bson.TypeString, bson.TypeSymbol:
		return append(append(dst, byte(bson.TypeString)), value...)
	case bson.TypeEmbeddedDocument, bson.TypeArray:
		dst = append(dst, byte(t))
		for b := inside(value); ; {
			typ, name, v, rest, err := element(b)
			if err != nil || typ == 0 {
				return append(dst, 0)
			}
			dst = append(append(append(dst, 1), name...), 0)
			dst = appendKey(dst, typ, v)
			b = rest
		}
	}
	return append(append(dst, byte(t)), value...)
}

// sameKey tells whether MongoDB takes a and b for one key.
func sameKey(a, b bson.RawValue) bool {
	return string(appendKey(nil, a.Type, a.Value)) == string(appendKey(nil, b.Type, b.Value))
}

func appendNumber(dst []byte, v bson.RawValue) []byte {
	dst = append(dst, byte(bson.TypeDouble))
	switch v.Type {
	case bson.TypeInt32:
		return append(strconv.AppendInt(dst, int64(int32(binary.LittleEndian.Uint32(v.Value))), 10), 0)
	case bson.TypeInt64:
		return append(strconv.AppendInt(dst, int64(binary.LittleEndian.Uint64(v.Value)), 10), 0)
	case bson.TypeDouble:
		return append(appendDouble(dst, math.Float64frombits(binary.LittleEndian.Uint64(v.Value))), 0)
	}
	return append(appendDecimal(dst, v), 0)
}

func appendDouble(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "nan"...)
	case math.IsInf(f, 1):
		return append(dst, "+inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	case f == math.Trunc(f) && f >= -(1<<63) && f < 1<<63:
		return strconv.AppendInt(dst, int64(f), 10)
	}
	return append(dst, new(big.Rat).SetFloat64(f).RatString()...)
}

// appendDecimal writes the exact value, so that it meets equal doubles.
func appendDecimal(dst []byte, v bson.RawValue) []byte {
	d := v.Decimal128()
	switch {
	case d.IsNaN():
		return append(dst, "nan"...)
	case d.IsInf() > 0:
		return append(dst, "+inf"...)
	case d.IsInf() < 0:
		return append(dst, "-inf"...)
	}
	n, exp, err := d.BigInt()
	if err != nil { // a form that is not canonical counts as zero
		return append(dst, '0')
	}
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(exp, -exp))), nil)
	if exp >= 0 || n.Sign() == 0 {
		return n.Mul(n, scale).Append(dst, 10)
	}
	return append(dst, new(big.Rat).SetFrac(n, scale).RatString()...)
}
