package pack

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/big"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// The classes of values in the order in which MongoDB compares them.
const (
	classMinKey    = 10
	classUndefined = 15
	classNull      = 20
	classNumber    = 30
	classString    = 60
	classObject    = 70
	classArray     = 80
	classBinary    = 90
	classObjectID  = 100
	classBool      = 110
	classDate      = 120
	classTimestamp = 130
	classRegex     = 140
	classDBPointer = 150
	classCode      = 160
	classScope     = 170
	classOpaque    = 200
	classMaxKey    = 240
)

// appendKey appends the ordered form of a value: values that MongoDB holds for
// equal (1, 1.0 and NumberDecimal("1")) give the same bytes, and bytes compare
// as MongoDB compares the values (among decimals that no double tells apart,
// nearly so). Collations are not known here. A value that can't be read is
// taken as it is.
func appendKey(dst []byte, t bson.Type, v []byte, depth int) []byte {
	if n, ok := valueLen(t, v); !ok || n != len(v) || depth > maxNesting {
		return append(append(dst, classOpaque, byte(t)), v...)
	}
	switch t {
	case bson.TypeInt32, bson.TypeInt64, bson.TypeDouble, bson.TypeDecimal128:
		return appendNumber(append(dst, classNumber), t, v)
	case bson.TypeString, bson.TypeSymbol:
		return appendText(append(dst, classString), v[4:len(v)-1])
	case bson.TypeEmbeddedDocument:
		return appendFields(append(dst, classObject), v, true, depth)
	case bson.TypeArray:
		return appendFields(append(dst, classArray), v, false, depth)
	case bson.TypeBinary:
		dst = binary.BigEndian.AppendUint32(append(dst, classBinary), binary.LittleEndian.Uint32(v))
		return append(dst, v[4:]...)
	case bson.TypeDBPointer:
		return append(appendText(append(dst, classDBPointer), v[4:len(v)-13]), v[len(v)-12:]...)
	case bson.TypeJavaScript:
		return appendText(append(dst, classCode), v[4:len(v)-1])
	case bson.TypeCodeWithScope:
		return appendScope(dst, v, depth)
	}
	return appendPlain(dst, t, v)
}

// appendPlain appends a value whose bytes decide, or that has none.
func appendPlain(dst []byte, t bson.Type, v []byte) []byte {
	switch t {
	case bson.TypeMinKey:
		return append(dst, classMinKey)
	case bson.TypeMaxKey:
		return append(dst, classMaxKey)
	case bson.TypeUndefined:
		return append(dst, classUndefined)
	case bson.TypeNull:
		return append(dst, classNull)
	case bson.TypeObjectID:
		return append(append(dst, classObjectID), v...)
	case bson.TypeBoolean:
		return append(dst, classBool, v[0])
	case bson.TypeDateTime:
		return binary.BigEndian.AppendUint64(append(dst, classDate), binary.LittleEndian.Uint64(v)^1<<63)
	case bson.TypeTimestamp:
		return binary.BigEndian.AppendUint64(append(dst, classTimestamp), binary.LittleEndian.Uint64(v))
	case bson.TypeRegex:
		return append(append(dst, classRegex), v...)
	}
	return append(append(dst, classOpaque, byte(t)), v...)
}

// appendScope appends code with its scope: length, string, document.
func appendScope(dst, v []byte, depth int) []byte {
	n, ok := valueLen(bson.TypeString, v[4:])
	if scope := v[min(4+n, len(v)):]; ok {
		if m, whole := valueLen(bson.TypeEmbeddedDocument, scope); whole && m == len(scope) {
			return appendFields(appendText(append(dst, classScope), v[8:4+n-1]), scope, true, depth)
		}
	}
	return append(append(dst, classOpaque, byte(bson.TypeCodeWithScope)), v...)
}

// appendText appends a string that may hold zeros, so that a shorter one comes
// before a longer one that begins with it.
func appendText(dst, s []byte) []byte {
	for {
		at := bytes.IndexByte(s, 0)
		if at < 0 {
			return append(append(dst, s...), 0, 0)
		}
		dst = append(append(dst, s[:at]...), 0, 0xff)
		s = s[at+1:]
	}
}

// appendFields appends a document: class, name and value of each field.
func appendFields(dst, doc []byte, named bool, depth int) []byte {
	rest := doc[4:]
	for {
		e, after, ok := next(rest)
		if !ok {
			break
		}
		rest = after
		if named {
			// The class goes first, so that it decides before the name.
			at := len(dst)
			dst = appendKey(dst, e.kind, e.value, depth+1)
			dst = insertAt(dst, at+1, e.name)
			continue
		}
		dst = appendKey(dst, e.kind, e.value, depth+1)
	}
	if len(rest) != 1 { // what can't be read
		dst = append(append(dst, classOpaque), rest...)
	}
	return append(dst, 0)
}

// insertAt inserts name and a zero into dst.
func insertAt(dst []byte, at int, name []byte) []byte {
	n := len(dst)
	dst = append(append(dst, name...), 0)
	copy(dst[at+len(name)+1:], dst[at:n])
	copy(dst[at:], name)
	dst[at+len(name)] = 0
	return dst
}

// appendNumber appends the double that is nearest to the number, and then the
// number itself as far as a 64-bit integer tells it: this tells apart longs
// that share a double.
func appendNumber(dst []byte, t bson.Type, v []byte) []byte {
	var f float64
	var whole int64
	switch t {
	case bson.TypeInt32:
		whole = int64(int32(binary.LittleEndian.Uint32(v)))
		f = float64(whole)
	case bson.TypeInt64:
		whole = int64(binary.LittleEndian.Uint64(v))
		f = float64(whole)
	case bson.TypeDouble:
		f = math.Float64frombits(binary.LittleEndian.Uint64(v))
		whole = wholeOf(f)
	default:
		f, whole = decimalOf(v)
	}
	dst = binary.BigEndian.AppendUint64(dst, doubleBits(f))
	return binary.BigEndian.AppendUint64(dst, uint64(whole)^1<<63)
}

// doubleBits orders doubles as unsigned integers: NaN before all, one zero.
func doubleBits(f float64) uint64 {
	if math.IsNaN(f) {
		return 0
	}
	b := math.Float64bits(f)
	switch {
	case f == 0:
		return 1 << 63
	case b>>63 != 0:
		return ^b
	}
	return b | 1<<63
}

// wholeOf is the integer part of f, bounded by what an int64 holds.
func wholeOf(f float64) int64 {
	switch {
	case math.IsNaN(f):
		return 0
	case f >= 1<<63:
		return math.MaxInt64
	case f < -(1 << 63):
		return math.MinInt64
	}
	return int64(f)
}

// decimalOf returns the nearest double of a decimal and its whole part: exact
// for whole numbers of 64 bits, else that of the double, so that a double and a
// decimal that MongoDB holds for equal agree in both.
func decimalOf(v []byte) (float64, int64) {
	d := bson.NewDecimal128(binary.LittleEndian.Uint64(v[8:]), binary.LittleEndian.Uint64(v))
	n, exp, err := d.BigInt()
	if err != nil { // infinities and NaN
		f := math.NaN()
		if d.IsInf() != 0 {
			f = math.Inf(d.IsInf())
		}
		return f, wholeOf(f)
	}
	f, _ := strconv.ParseFloat(n.String()+"e"+strconv.Itoa(exp), 64)
	if exact, ok := wholeDecimal(n, exp); ok {
		return f, exact
	}
	return f, wholeOf(f)
}

// wholeDecimal returns n·10^exp if that is an int64.
func wholeDecimal(n *big.Int, exp int) (int64, bool) {
	if n.Sign() == 0 {
		return 0, true
	}
	if exp > 19 || exp < -34 {
		return 0, false
	}
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(exp, -exp))), nil)
	if exp >= 0 {
		n = new(big.Int).Mul(n, power)
		return n.Int64(), n.IsInt64()
	}
	q, r := new(big.Int).QuoRem(n, power, new(big.Int))
	return q.Int64(), r.Sign() == 0 && q.IsInt64()
}
