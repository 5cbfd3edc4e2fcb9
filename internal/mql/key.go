package mql

import (
	"encoding/binary"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// AppendKey appends bytes that are the same for two values if and only if
// Compare takes them for equal: 1 and 1.0 are one key, as in MongoDB. Only
// meant to be compared or hashed; nothing leads back.
func AppendKey(dst []byte, v bson.RawValue) []byte { return appendKey(dst, value{v.Type, v.Value}) }

func appendKey(dst []byte, v value) []byte {
	dst = append(dst, byte(kind(v.t)))
	switch v.t {
	case bson.TypeDouble, bson.TypeInt32, bson.TypeInt64, bson.TypeDecimal128:
		return appendNumber(dst, v)
	case bson.TypeString, bson.TypeSymbol, bson.TypeJavaScript:
		return appendText(dst, v.text())
	case bson.TypeEmbeddedDocument:
		return appendElements(dst, v.b, true)
	case bson.TypeArray:
		return appendElements(dst, v.b, false)
	case bson.TypeRegex:
		p, o := v.pattern()
		return appendText(appendText(dst, p), o)
	case bson.TypeCodeWithScope:
		code, scope := codeAndScope(v.b)
		return appendElements(appendText(dst, code), scope, true)
	}
	return append(dst, v.b...) // of a fixed size, or with a length in front
}

func appendText(dst, s []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(s))), s...)
}

func appendElements(dst, doc []byte, names bool) []byte {
	for it := elementsOf(doc); ; {
		e, ok := it.next()
		if !ok {
			return append(dst, 0x80) // the kind of no value
		}
		dst = append(dst, byte(kind(e.v.t)))
		if names {
			dst = append(append(dst, e.name...), 0)
		}
		dst = appendKey(dst, e.v)
	}
}

// appendNumber appends an int64 as such, what both a double and a decimal may
// be by its digits, and what only a double is by its bits.
func appendNumber(dst []byte, v value) []byte {
	if r := v.rank(); r != 0 {
		return append(dst, 'r', byte(r+2))
	}
	if n, ok := v.exact(); ok {
		return binary.LittleEndian.AppendUint64(append(dst, 'i'), uint64(n))
	}
	if v.t == bson.TypeDouble {
		const all = 766 // as many digits after the first as a double can have
		mantissa, exp, _ := strings.Cut(strconv.FormatFloat(v.double(), 'e', all, 64), "e")
		digits := strings.TrimRight(strings.Replace(mantissa, ".", "", 1), "0")
		if n, err := strconv.Atoi(exp); err == nil && len(strings.TrimPrefix(digits, "-")) <= 34 {
			return appendDigits(dst, digits, n)
		}
		return append(append(dst, 'd'), v.b...)
	}
	n, exp, err := v.decimal().BigInt()
	if err != nil {
		return append(append(dst, 'x'), v.b...)
	}
	digits := n.String()
	first := len(strings.TrimPrefix(digits, "-")) - 1
	return appendDigits(dst, strings.TrimRight(digits, "0"), exp+first)
}

// appendDigits appends ±d.ddd × 10^exp.
func appendDigits(dst []byte, digits string, exp int) []byte {
	dst = append(append(dst, 'n'), digits...)
	dst = append(dst, 'e')
	return append(strconv.AppendInt(dst, int64(exp), 10), 0)
}
