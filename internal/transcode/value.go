package transcode

import "math"

// The element types of BSON.
const (
	typeDouble    = 0x01
	typeString    = 0x02
	typeObject    = 0x03
	typeArray     = 0x04
	typeBinary    = 0x05
	typeUndefined = 0x06
	typeObjectID  = 0x07
	typeBoolean   = 0x08
	typeDate      = 0x09
	typeNull      = 0x0a
	typeRegex     = 0x0b
	typeDBPointer = 0x0c
	typeCode      = 0x0d
	typeSymbol    = 0x0e
	typeScoped    = 0x0f
	typeInt32     = 0x10
	typeTimestamp = 0x11
	typeInt64     = 0x12
	typeDecimal   = 0x13
	typeMaxKey    = 0x7f
	typeMinKey    = 0xff
)

// value writes the value of type t at src[i:], which ends before end, and
// returns the index behind it. out has room, and has some left afterwards.
func (e *encoder) value(out []byte, n int, t byte, i, end int, r *rule) ([]byte, int, int, error) {
	src := e.src
	switch t {
	case typeString:
		return e.text(out, n, i, end)
	case typeInt32:
		if end-i < 4 {
			break
		}
		return out, putInt(out, n, int64(int32(load32(src, i)))), i + 4, nil
	case typeInt64:
		if end-i < 8 {
			break
		}
		return out, putInt(out, n, int64(load64(src, i))), i + 8, nil
	case typeDouble:
		if end-i < 8 {
			break
		}
		return out, e.double(out, n, math.Float64frombits(load64(src, i))), i + 8, nil
	case typeDate:
		if end-i < 8 {
			break
		}
		return out, e.date(out, n, int64(load64(src, i))), i + 8, nil
	case typeBoolean:
		if end-i < 1 || src[i] > 1 {
			break
		}
		return out, putBool(out, n, src[i]), i + 1, nil
	case typeObjectID:
		if end-i < 12 {
			break
		}
		out[n] = '"'
		n = putObjectID(out, n+1, src, i)
		out[n] = '"'
		return out, n + 1, i + 12, nil
	case typeNull:
		return out, putNull(out, n), i, nil
	case typeObject, typeArray:
		return e.nested(out, n, t, i, end, r)
	default:
		return e.rare(out, n, t, i, end)
	}
	return out, n, i, corrupt("a value that is cut off or wrong", i)
}

// nested writes an object or array with its frame.
func (e *encoder) nested(out []byte, n int, t byte, i, end int, r *rule) ([]byte, int, int, error) {
	stop, err := documentEnd(e.src, i, end)
	if err != nil {
		return out, n, i, err
	}
	if t == typeObject {
		out, n, err = e.object(out, n, i+4, stop-1, r, false)
	} else {
		out, n, err = e.array(out, n, i+4, stop-1, r)
	}
	return out, n, stop, err
}

// text writes a string, with its length before it, in quotes.
func (e *encoder) text(out []byte, n, i, end int) ([]byte, int, int, error) {
	src := e.src
	if end-i < 5 {
		return out, n, i, corrupt("a text that is cut off", i)
	}
	size := int(int32(load32(src, i)))
	i += 4
	if size < 1 || size > end-i || src[i+size-1] != 0 {
		return out, n, i, corrupt("a text with a wrong length", i-4)
	}
	end = i + size
	out[n] = '"'
	n++
	// A short text, up to the first byte that is special: most often the NUL
	// at its end.
	if size <= 40 {
		for i >= 0 && i <= len(src)-8 {
			w := load64(src, i)
			store64(out, n, w)
			marks := special(w)
			if marks == 0 {
				i += 8
				n += 8
				continue
			}
			k := first(marks)
			i += k
			n += k
			if i == end-1 {
				out[n] = '"'
				return out, n + 1, end, nil
			}
			break
		}
	}
	var bad bool
	out, n, bad = putText(out, n, src, i, end-1)
	if bad {
		e.st.InvalidUTF8++
	}
	out[n] = '"'
	return out, n + 1, end, nil
}

func (e *encoder) double(out []byte, n int, f float64) int {
	if f-f != 0 {
		return e.notFinite(out, n, f)
	}
	return putDouble(out, n, f, &e.plan.powers)
}

// notFinite writes NaN and the infinities.
func (e *encoder) notFinite(out []byte, n int, f float64) int {
	e.st.NonFinite++
	switch {
	case e.plan.nonFinite == NonFiniteRemove:
		e.removals = true
		out[n] = removed
		return n + 1
	case e.plan.nonFinite == NonFiniteReject:
		e.refusal = errNotFinite
		return putNull(out, n)
	case e.plan.nonFinite != NonFiniteString:
		return putNull(out, n)
	case f > 0:
		return n + copy(out[n:], `"Infinity"`)
	case f < 0:
		return n + copy(out[n:], `"-Infinity"`)
	}
	return n + copy(out[n:], `"NaN"`)
}

func (e *encoder) date(out []byte, n int, ms int64) int {
	if e.plan.dateMillis {
		return putInt(out, n, ms)
	}
	return putDate(out, n, ms, &e.last)
}

const (
	wordTrue = 't' | 'r'<<8 | 'u'<<16 | 'e'<<24
	wordFals = 'f' | 'a'<<8 | 'l'<<16 | 's'<<24 | 'e'<<32
	wordNull = 'n' | 'u'<<8 | 'l'<<16 | 'l'<<24
)

// putBool writes a boolean that is 0 or 1, without a branch: in data, booleans
// are hard to predict.
func putBool(out []byte, n int, b byte) int {
	store64(out, n, wordFals^(wordFals^wordTrue)&-uint64(b))
	return n + 5 - int(b)
}

func putNull(out []byte, n int) int {
	store32(out, n, wordNull)
	return n + 4
}
