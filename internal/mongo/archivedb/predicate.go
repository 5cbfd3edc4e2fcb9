package archivedb

import (
	"encoding/binary"
	"math"
	"math/big"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
)

// predicate is the query for the age alone: from the latest of the lower bounds
// (inclusive) to the earliest of the upper ones (exclusive). It compares the
// field with values of its own type, so that documents without it or with
// another type never match; what an array holds may, hence Read looks again.
// The bounds are exact, so ranges that meet neither overlap nor leave a gap.
func predicate(sel cold.Selection, b cold.Bounds) bson.D {
	cond := bson.D{}
	if from, ok := lowest(sel, b); ok {
		cond = append(cond, lowerBound(sel.Kind, from))
	}
	cond = append(cond, upperBound(sel.Kind, highest(sel, b)))
	return bson.D{{Key: sel.Field, Value: cond}}
}

// withFilter is the query for the documents of sel within b: their age, and the
// filter of the rule.
func withFilter(sel cold.Selection, b cold.Bounds) bson.D {
	age := predicate(sel, b)
	if elems, err := sel.Filter.Elements(); err != nil || len(elems) > 0 {
		if len(sel.Filter) > 0 {
			return bson.D{{Key: "$and", Value: bson.A{age, sel.Filter}}}
		}
	}
	return age
}

// lowest is the lower bound; ok is false if there is none.
func lowest(sel cold.Selection, b cold.Bounds) (from time.Time, ok bool) {
	for _, t := range []time.Time{sel.From, sel.Floor, b.From} {
		if !t.IsZero() && (!ok || t.After(from)) {
			from, ok = t, true
		}
	}
	return from, ok
}

// highest is the upper bound. A Selection without a cutoff has nothing old in
// it: its zero time is taken at its word.
func highest(sel cold.Selection, b cold.Bounds) time.Time {
	if !b.Before.IsZero() && b.Before.Before(sel.Before) {
		return b.Before
	}
	return sel.Before
}

func lowerBound(k cold.AgeKind, t time.Time) bson.E {
	if k == cold.AgeObjectID {
		if id, ok := objectIDAt(t); ok {
			return bson.E{Key: "$gte", Value: id}
		}
		return bson.E{Key: "$gt", Value: lastObjectID()} // later than any of them
	}
	return bson.E{Key: "$gte", Value: ageValue(k, t)}
}

func upperBound(k cold.AgeKind, t time.Time) bson.E {
	if k == cold.AgeObjectID {
		if id, ok := objectIDAt(t); ok {
			return bson.E{Key: "$lt", Value: id}
		}
		return bson.E{Key: "$lte", Value: lastObjectID()}
	}
	return bson.E{Key: "$lt", Value: ageValue(k, t)}
}

// objectIDAt is the first ObjectID at or after t; ok is false if t is later
// than any ObjectID can tell.
func objectIDAt(t time.Time) (id bson.ObjectID, ok bool) {
	s := t.Unix()
	if t.Nanosecond() > 0 {
		s++
	}
	if s > math.MaxUint32 {
		return id, false
	}
	binary.BigEndian.PutUint32(id[:], uint32(max(s, 0)))
	return id, true
}

func lastObjectID() (id bson.ObjectID) {
	for i := range id {
		id[i] = 0xff
	}
	return id
}

// unitOf is the length of an age field's unit in nanoseconds.
func unitOf(k cold.AgeKind) int64 {
	switch k {
	case cold.AgeSeconds:
		return int64(time.Second)
	case cold.AgeMicros:
		return int64(time.Microsecond)
	case cold.AgeNanos:
		return 1
	case cold.AgeDate, cold.AgeMillis, cold.AgeObjectID:
	}
	return int64(time.Millisecond)
}

// ageValue is the least value of the field that tells t or a later time. In
// whole units it is an integer; between two, and where int64 ends, the least
// double above, which divides doubles exactly and integers as well.
func ageValue(k cold.AgeKind, t time.Time) any {
	ns := new(big.Int).Mul(big.NewInt(t.Unix()), big.NewInt(int64(time.Second)))
	ns.Add(ns, big.NewInt(int64(t.Nanosecond())))
	whole, rest := new(big.Int).DivMod(ns, big.NewInt(unitOf(k)), new(big.Int))
	up := whole
	if rest.Sign() > 0 {
		up = new(big.Int).Add(whole, big.NewInt(1))
	}
	if k == cold.AgeDate {
		return bson.DateTime(clamp(up))
	}
	// From 2^53 on doubles have no fractions: the next integer divides them.
	small := up.CmpAbs(big.NewInt(1<<53)) < 0
	if up.IsInt64() && (rest.Sign() == 0 || !small) {
		return up.Int64()
	}
	num, den := new(big.Float).SetInt(ns), new(big.Float).SetInt64(unitOf(k))
	f, _ := new(big.Float).SetPrec(53).SetMode(big.ToPositiveInf).Quo(num, den).Float64()
	return f
}

func clamp(n *big.Int) int64 {
	switch {
	case n.IsInt64():
		return n.Int64()
	case n.Sign() < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}
