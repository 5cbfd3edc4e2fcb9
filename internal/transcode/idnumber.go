package transcode

import (
	"bytes"
	"math"
	"strconv"
)

// plainDigits is up to how many digits a key that is a whole number is written
// without an exponent: as many as Decimal128 has.
const plainDigits = 34

// appendNumber appends the text of a number in a key, one for all numbers of
// equal value: 1, 1.0 and Decimal128 1.00 are "1". A double that no Decimal128
// can equal, for its exact value has more than 34 digits (0.1 is one), is
// tagged, so that it differs from the Decimal128 that it looks like.
func appendNumber(dst []byte, t byte, v []byte) []byte {
	switch t {
	case typeInt32:
		return strconv.AppendInt(dst, int64(int32(load32(v, 0))), 10)
	case typeInt64:
		return strconv.AppendInt(dst, int64(load64(v, 0)), 10)
	case typeDouble:
		return appendDouble(dst, math.Float64frombits(load64(v, 0)))
	}
	d := decimalOf(load64(v, 8), load64(v, 0))
	switch d.kind {
	case decimalNaN:
		return append(dst, "NaN"...)
	case decimalInfinite:
		return appendInfinity(dst, d.negative)
	}
	var digits [40]byte
	n := putUint(digits[:], 0, d.hi)
	n = put17(digits[:], n, d.lo)
	return appendExact(dst, d.negative, digits[:n], d.exp)
}

func appendInfinity(dst []byte, negative bool) []byte {
	if negative {
		return append(dst, "-Infinity"...)
	}
	return append(dst, "Infinity"...)
}

func appendDouble(dst []byte, f float64) []byte {
	switch {
	case f != f:
		return append(dst, "NaN"...)
	case f-f != 0:
		return appendInfinity(dst, f < 0)
	case f == math.Trunc(f) && math.Abs(f) < 1<<62:
		return strconv.AppendInt(dst, int64(f), 10)
	}
	// All digits of the exact value: a double has 767 at most.
	var buf [800]byte
	text := strconv.AppendFloat(buf[:0], math.Abs(f), 'e', 766, 64)
	e := bytes.LastIndexByte(text, 'e')
	exp, _ := strconv.Atoi(string(text[e+1:])) // AppendFloat wrote it
	text[1] = text[0]
	digits := bytes.TrimRight(text[1:e], "0")
	if len(digits) > plainDigits {
		return strconv.AppendFloat(append(dst, tagDouble...), f, 'g', -1, 64)
	}
	return appendExact(dst, f < 0, digits, exp-len(digits)+1)
}

// appendExact appends digits times ten to the power of exp in its one form: no
// zeros before or behind that don't count; an exponent only where the number
// would be longer than 34 digits or start with more than six zeros.
func appendExact(dst []byte, negative bool, digits []byte, exp int) []byte {
	digits = bytes.TrimLeft(digits, "0")
	trimmed := bytes.TrimRight(digits, "0")
	exp += len(digits) - len(trimmed)
	digits = trimmed
	if len(digits) == 0 {
		return append(dst, '0')
	}
	if negative {
		dst = append(dst, '-')
	}
	point := len(digits) + exp
	switch {
	case point > plainDigits || point < -5:
		dst = append(dst, digits[0])
		if len(digits) > 1 {
			dst = append(append(dst, '.'), digits[1:]...)
		}
		return strconv.AppendInt(append(dst, 'e'), int64(point-1), 10)
	case exp >= 0:
		dst = append(dst, digits...)
		for range exp {
			dst = append(dst, '0')
		}
		return dst
	case point > 0:
		dst = append(append(dst, digits[:point]...), '.')
		return append(dst, digits[point:]...)
	}
	dst = append(append(dst, "0."...), "000000"[:-point]...)
	return append(dst, digits...)
}

// likeNumber tells whether a string could pass for a number in a key:
// -?digits, with a fraction or an exponent or both, or what is no finite number.
func likeNumber(s []byte) bool {
	s = bytes.TrimPrefix(s, []byte{'-'})
	switch string(s) {
	case "NaN", "Infinity":
		return true
	}
	s, ok := digitsOf(s)
	if !ok {
		return false
	}
	if len(s) > 0 && s[0] == '.' {
		if s, ok = digitsOf(s[1:]); !ok {
			return false
		}
	}
	if len(s) > 0 && s[0]|0x20 == 'e' {
		s = s[1:]
		if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
			s = s[1:]
		}
		if s, ok = digitsOf(s); !ok {
			return false
		}
	}
	return len(s) == 0
}

// digitsOf returns what comes behind the digits that s starts with; false
// without any.
func digitsOf(s []byte) ([]byte, bool) {
	rest := bytes.TrimLeft(s, "0123456789")
	return rest, len(rest) < len(s)
}
