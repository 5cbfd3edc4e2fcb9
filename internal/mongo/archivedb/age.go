package archivedb

import (
	"encoding/binary"
	"math"
	"math/big"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
)

// ageOf reads the age of a document as predicate means it; ok is false if the
// field is missing, lies in an array, or has another type.
func ageOf(doc bson.Raw, field string, k cold.AgeKind) (t time.Time, ok bool) {
	v, ok := fieldOf(doc, field)
	if !ok {
		return t, false
	}
	return ageOfValue(v, k)
}

// fieldOf follows a dotted path through embedded documents only.
func fieldOf(doc bson.Raw, path string) (v bson.RawValue, ok bool) {
	for {
		name, rest, more := strings.Cut(path, ".")
		v, err := doc.LookupErr(name)
		if err != nil {
			return v, false
		}
		if !more {
			return v, true
		}
		if doc, ok = v.DocumentOK(); !ok {
			return v, false
		}
		path = rest
	}
}

func ageOfValue(v bson.RawValue, k cold.AgeKind) (t time.Time, ok bool) {
	switch k {
	case cold.AgeDate:
		ms, ok := v.DateTimeOK()
		return time.UnixMilli(ms).UTC(), ok
	case cold.AgeObjectID:
		id, ok := v.ObjectIDOK()
		return time.Unix(int64(binary.BigEndian.Uint32(id[:4])), 0).UTC(), ok
	case cold.AgeSeconds, cold.AgeMillis, cold.AgeMicros, cold.AgeNanos:
	}
	switch v.Type {
	case bson.TypeInt32, bson.TypeInt64:
		n, _ := v.AsInt64OK()
		return ofUnits(n, unitOf(k))
	case bson.TypeDouble:
		f, ok := v.DoubleOK()
		if !ok || math.IsNaN(f) || math.IsInf(f, 0) {
			return t, false
		}
		return ofFloat(f, unitOf(k))
	default:
		return t, false
	}
}

// farthest bounds the seconds since 1970: beyond, time.Time overflows unseen.
const farthest = 1 << 61

// ofUnits is the time of n units since 1970; ok is false for what no time can
// hold.
func ofUnits(n, unit int64) (t time.Time, ok bool) {
	per := int64(time.Second) / unit
	s, rest := n/per, n%per
	if rest < 0 {
		s, rest = s-1, rest+per
	}
	if s > farthest || s < -farthest {
		return t, false
	}
	return time.Unix(s, rest*unit).UTC(), true
}

// ofFloat is the same of a double, rounded down to a nanosecond.
func ofFloat(f float64, unit int64) (t time.Time, ok bool) {
	x := new(big.Float).SetPrec(200).SetFloat64(f)
	x.Mul(x, new(big.Float).SetInt64(unit))
	ns, acc := x.Int(nil) // towards zero
	if x.Sign() < 0 && acc != big.Exact {
		ns.Sub(ns, big.NewInt(1))
	}
	s, rest := new(big.Int).DivMod(ns, big.NewInt(int64(time.Second)), new(big.Int))
	if s.CmpAbs(big.NewInt(farthest)) > 0 {
		return t, false
	}
	return time.Unix(s.Int64(), rest.Int64()).UTC(), true
}

// belongs tells whether a document is one of sel within b by its age: what
// predicate asks the server, but one value alone counts, never an array's.
func belongs(doc bson.Raw, sel cold.Selection, b cold.Bounds) (time.Time, bool) {
	t, ok := ageOf(doc, sel.Field, sel.Kind)
	if !ok || !t.Before(highest(sel, b)) {
		return t, false
	}
	from, ok := lowest(sel, b)
	return t, !ok || !t.Before(from)
}
