package transcode

import (
	"math"
	"strconv"
)

// cast writes the value of type t at src[i:end] as another type; ok is false
// if it has no equal there, and out is as it was up to n. Null stays null. What
// docs/rendering.md says of each type is done here.
func (e *encoder) cast(out []byte, n int, t byte, i, end int, a action) (o []byte, m int, ok bool, err error) {
	if t == typeNull || t == typeUndefined {
		return out, putNull(out, n), true, nil
	}
	switch a {
	case actString:
		return e.castString(out, n, t, i, end)
	case actBoolean:
		b, ok := e.truth(t, i, end)
		if ok {
			n = putBool(out, n, b)
		}
		return out, n, ok, nil
	case actDouble:
		f, ok := e.float(t, i, end)
		if ok {
			n = e.double(out, n, f)
		}
		return out, n, ok, nil
	case actDate:
		ms, ok := e.moment(t, i, end)
		if ok {
			n = e.date(out, n, ms)
		}
		return out, n, ok, nil
	}
	v, ok := e.whole(t, i, end)
	if ok {
		n = putInt(out, n, v)
	}
	return out, n, ok, nil
}

// castString puts what would be written anyway into quotes, if it has none.
func (e *encoder) castString(out []byte, n int, t byte, i, end int) ([]byte, int, bool, error) {
	switch t {
	case typeString, typeSymbol, typeCode:
		out, n, _, err := e.text(out, n, i, end)
		return out, n, true, err
	case typeObject, typeArray, typeTimestamp, typeDBPointer, typeScoped:
		return out, n, false, nil
	case typeDate:
		v := int64(load64(e.src, i))
		if v >= firstDate && v <= lastDate {
			return out, putDate(out, n, v, &e.last), true, nil
		}
		out[n] = '"'
		n = putInt(out, n+1, v)
		out[n] = '"'
		return out, n + 1, true, nil
	}
	before := *e.st
	out, m, _, err := e.value(out, n+1, t, i, end, nil)
	if err != nil {
		return out, n, false, err
	}
	switch out[n+1] {
	case '[': // a vector
		*e.st = before
		return out, n, false, nil
	case '"', 'n', removed: // text already; NaN and infinities, as they are to be written
		copy(out[n:], out[n+1:m])
		return out, m - 1, true, nil
	}
	out = withRoom(out, m)
	out[n], out[m] = '"', '"'
	return out, m + 1, true, nil
}

// truth casts to boolean.
func (e *encoder) truth(t byte, i, end int) (b byte, ok bool) {
	switch t {
	case typeBoolean:
		return e.src[i] & 1, true
	case typeInt32, typeInt64, typeDouble, typeDecimal:
		f, _ := e.float(t, i, end)
		if f != f {
			return 0, false
		}
		if f != 0 {
			b = 1
		}
		return b, true
	case typeString, typeSymbol:
		switch s := e.src[i+4 : end-1]; {
		case isWord(s, "true"):
			return 1, true
		case isWord(s, "false"):
			return 0, true
		}
	}
	return 0, false
}

// isWord compares without regard to the case of ASCII letters.
func isWord(s []byte, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i, c := range s {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// whole casts to long.
func (e *encoder) whole(t byte, i, end int) (v int64, ok bool) {
	src := e.src
	switch t {
	case typeInt32:
		return int64(int32(load32(src, i))), true
	case typeInt64, typeDate:
		return int64(load64(src, i)), true
	case typeBoolean:
		return int64(src[i] & 1), true
	case typeDouble:
		f := math.Float64frombits(load64(src, i))
		if f >= -1<<63 && f < 1<<63 && math.Trunc(f) == f {
			return int64(f), true
		}
	case typeDecimal:
		d := decimalOf(load64(src, i+8), load64(src, i))
		return d.whole()
	case typeString, typeSymbol:
		if end-i > 5 && end-i < 32 {
			v, err := strconv.ParseInt(string(src[i+4:end-1]), 10, 64)
			return v, err == nil
		}
	}
	return 0, false
}

// whole is the value of a decimal that is a whole number and fits.
func (d decimal) whole() (int64, bool) {
	if d.kind != decimalFinite {
		return 0, false
	}
	hi, lo, exp := d.hi, d.lo, d.exp
	if hi == 0 && lo == 0 {
		return 0, true
	}
	for ; exp < 0; exp++ {
		rest := hi % 10
		hi /= 10
		lo += rest * ten17
		if lo%10 != 0 {
			return 0, false
		}
		lo /= 10
	}
	if hi > 92 || exp > 18 {
		return 0, false
	}
	u := hi*ten17 + lo // at most 9.3e18, below 2 to the power of 64
	for ; exp > 0; exp-- {
		if u > math.MaxInt64/10+1 {
			return 0, false
		}
		u *= 10
	}
	switch {
	case d.negative && u <= 1<<63:
		return -int64(u), true
	case d.negative || u > math.MaxInt64:
		return 0, false
	}
	return int64(u), true
}

// float casts to double.
func (e *encoder) float(t byte, i, end int) (f float64, ok bool) {
	src := e.src
	switch t {
	case typeDouble:
		return math.Float64frombits(load64(src, i)), true
	case typeInt32, typeInt64, typeBoolean, typeDate:
		v, _ := e.whole(t, i, end)
		return float64(v), true
	case typeDecimal:
		d := decimalOf(load64(src, i+8), load64(src, i))
		switch d.kind {
		case decimalNaN:
			return nan(), true
		case decimalInfinite:
			return infinity(d.negative), true
		}
		var text [64]byte
		f, err := strconv.ParseFloat(string(text[:putDecimal(text[:], 0, d)]), 64)
		return f, err == nil
	case typeString, typeSymbol:
		s := src[i+4 : end-1]
		if len(s) == 0 || len(s) > 400 || !numeric(s) {
			return 0, false
		}
		f, err := strconv.ParseFloat(string(s), 64)
		return f, err == nil
	}
	return 0, false
}

// numeric keeps the words and forms out that only Go takes for numbers.
func numeric(s []byte) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && c != '+' && c != '-' && c != '.' && c != 'e' && c != 'E' {
			return false
		}
	}
	return true
}

// moment casts to a date: milliseconds since 1970.
func (e *encoder) moment(t byte, i, end int) (ms int64, ok bool) {
	src := e.src
	switch t {
	case typeDate, typeInt32, typeInt64, typeDouble, typeDecimal:
		return e.whole(t, i, end)
	case typeTimestamp:
		return int64(load32(src, i+4)) * 1000, true
	case typeObjectID:
		return int64(uint32(src[i])<<24|uint32(src[i+1])<<16|uint32(src[i+2])<<8|uint32(src[i+3])) * 1000, true
	case typeString, typeSymbol:
		return parseDate(src[i+4 : end-1])
	}
	return 0, false
}
