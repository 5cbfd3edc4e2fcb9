package archive

import (
	"math"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
)

// ageOf returns the time that the age field of doc tells, in milliseconds since
// 1970; ok is false if the field has none of that kind.
func ageOf(doc bson.Raw, path []string, kind cold.AgeKind) (ms int64, ok bool) {
	v, err := doc.LookupErr(path...)
	if err != nil {
		return 0, false
	}
	switch kind {
	case cold.AgeDate:
		return v.DateTimeOK()
	case cold.AgeObjectID:
		id, ok := v.ObjectIDOK()
		if !ok {
			return 0, false
		}
		return id.Timestamp().UnixMilli(), true
	}
	n, ok := number(v)
	if !ok {
		return 0, false
	}
	switch kind {
	case cold.AgeSeconds:
		if n > math.MaxInt64/1000 || n < math.MinInt64/1000 {
			return 0, false
		}
		return n * 1000, true
	case cold.AgeMillis:
		return n, true
	case cold.AgeMicros:
		return floorDiv(n, 1_000), true
	case cold.AgeNanos:
		return floorDiv(n, 1_000_000), true
	}
	return 0, false
}

// number returns v rounded down.
func number(v bson.RawValue) (int64, bool) {
	switch v.Type {
	case bson.TypeInt32:
		n, ok := v.Int32OK()
		return int64(n), ok
	case bson.TypeInt64:
		return v.Int64OK()
	case bson.TypeDouble:
		f, ok := v.DoubleOK()
		if !ok || math.IsNaN(f) || f >= math.MaxInt64 || f <= math.MinInt64 {
			return 0, false
		}
		return int64(math.Floor(f)), true
	}
	return 0, false
}

func floorDiv(n, by int64) int64 {
	q := n / by
	if n%by < 0 {
		q--
	}
	return q
}

// keyOf returns the document key on a sharded collection: the fields of the
// shard key, and _id. A field that is missing is null in it.
func keyOf(doc, shardKey bson.Raw) (bson.Raw, error) {
	if shardKey == nil {
		return nil, nil
	}
	elems, err := shardKey.Elements()
	if err != nil {
		return nil, err
	}
	key := bson.D{}
	hasID := false
	for _, e := range elems {
		name := e.Key()
		hasID = hasID || name == "_id"
		var value any
		if v, err := doc.LookupErr(strings.Split(name, ".")...); err == nil {
			value = v
		}
		key = append(key, bson.E{Key: name, Value: value})
	}
	if !hasID {
		id, err := doc.LookupErr("_id")
		if err != nil {
			return nil, err
		}
		key = append(key, bson.E{Key: "_id", Value: id})
	}
	return bson.Marshal(key)
}
