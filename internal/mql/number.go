package mql

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/big"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// compareNumbers compares two numbers by their exact values; NaN comes first
// and equals NaN.
func compareNumbers(a, b value) int {
	ai, aInt := a.integer()
	bi, bInt := b.integer()
	switch {
	case aInt && bInt:
		return cmp.Compare(ai, bi)
	case a.t == bson.TypeDouble && b.t == bson.TypeDouble:
		return cmp.Compare(a.double(), b.double())
	case aInt && b.t == bson.TypeDouble:
		return compareIntDouble(ai, b.double())
	case a.t == bson.TypeDouble && bInt:
		return -compareIntDouble(bi, a.double())
	}
	return compareWide(a, b)
}

// integer returns the value of an int32 or int64.
func (v value) integer() (int64, bool) {
	switch {
	case v.t == bson.TypeInt32 && len(v.b) >= 4:
		return int64(int32(binary.LittleEndian.Uint32(v.b))), true
	case v.t == bson.TypeInt64:
		return int64(u64(v.b)), true
	}
	return 0, false
}

func (v value) double() float64 { return math.Float64frombits(u64(v.b)) }

func (v value) decimal() bson.Decimal128 {
	if len(v.b) < 16 {
		return bson.Decimal128{}
	}
	return bson.NewDecimal128(u64(v.b[8:]), u64(v.b))
}

func compareIntDouble(i int64, f float64) int {
	switch {
	case math.IsNaN(f) || f < -1<<63:
		return 1
	case f >= 1<<63:
		return -1
	}
	whole := math.Trunc(f)
	return cmp.Or(cmp.Compare(i, int64(whole)), cmp.Compare(0, f-whole))
}

// compareWide compares where one of the two is a decimal. What is not finite
// is told by its rank; two finite values by their digits.
func compareWide(a, b value) int {
	ar, br := a.rank(), b.rank()
	if ar != br || ar != 0 {
		return cmp.Compare(ar, br)
	}
	return a.rat().Cmp(b.rat())
}

// rank is -2 for NaN, -1 and 1 for the infinities, 0 for what is finite.
func (v value) rank() int {
	switch v.t {
	case bson.TypeDouble:
		switch f := v.double(); {
		case math.IsNaN(f):
			return -2
		case math.IsInf(f, 0):
			return int(math.Copysign(1, f))
		}
	case bson.TypeDecimal128:
		d := v.decimal()
		if d.IsNaN() {
			return -2
		}
		return d.IsInf()
	}
	return 0
}

func (v value) nan() bool { return kind(v.t) == kindNumber && v.rank() == -2 }

// rat returns a finite number exactly. Exponents of decimals are four digits at
// most, so it is bounded.
func (v value) rat() *big.Rat {
	if i, ok := v.integer(); ok {
		return new(big.Rat).SetInt64(i)
	}
	if v.t == bson.TypeDouble {
		if r := new(big.Rat).SetFloat64(v.double()); r != nil {
			return r
		}
		return new(big.Rat)
	}
	n, exp, err := v.decimal().BigInt()
	if err != nil {
		return new(big.Rat)
	}
	pow := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(exp, -exp))), nil)
	if exp < 0 {
		return new(big.Rat).SetFrac(n, pow)
	}
	return new(big.Rat).SetInt(n.Mul(n, pow))
}

// whole returns a number cut to an integer, as $mod takes it; ok is false for
// what no int64 holds.
func (v value) whole() (n int64, ok bool) {
	if i, is := v.integer(); is {
		return i, true
	}
	switch v.t {
	case bson.TypeDouble:
		f := math.Trunc(v.double())
		return int64(f), f >= -1<<63 && f < 1<<63
	case bson.TypeDecimal128:
		if v.rank() != 0 {
			return 0, false
		}
		r := v.rat()
		q := new(big.Int).Quo(r.Num(), r.Denom())
		return q.Int64(), q.IsInt64()
	}
	return 0, false
}

// exact returns a number that is an integer.
func (v value) exact() (n int64, ok bool) {
	n, ok = v.whole()
	if !ok {
		return 0, false
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(n))
	return n, compareNumbers(v, value{bson.TypeInt64, b[:]}) == 0
}
