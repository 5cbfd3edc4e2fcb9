package mql

import "go.mongodb.org/mongo-driver/v2/bson"

// IDsOf returns the values that a query pins _id to: {_id: X}, {_id: {$eq: X}},
// {_id: {$in: […]}}, in it, in a part of its $and, or in each part of a $or. Every
// document that matches has one of them; not every document that has one
// matches. ok is false if _id is not pinned. The values are views into query,
// and may repeat.
func IDsOf(query bson.Raw) (ids []bson.RawValue, ok bool) { return idsOf(query, 0) }

func idsOf(query []byte, depth int) ([]bson.RawValue, bool) {
	if depth > maxDepth {
		return nil, false
	}
	for it := elementsOf(query); ; {
		e, more := it.next()
		if !more {
			return nil, false
		}
		switch string(e.name) {
		case "_id":
			if ids, ok := pinned(e.v); ok {
				return ids, true
			}
		case "$and":
			var ids []bson.RawValue
			if eachOf(e.v, func(c value) bool {
				var ok bool
				ids, ok = idsOf(c.b, depth+1)
				return ok
			}) {
				return ids, true
			}
		case "$or":
			var ids []bson.RawValue
			parts := 0
			free := eachOf(e.v, func(c value) bool {
				some, ok := idsOf(c.b, depth+1)
				ids = append(ids, some...)
				parts++
				return !ok
			})
			if !free && parts > 0 {
				return ids, true
			}
		}
	}
}

// pinned returns the values of _id that a condition on it leaves.
func pinned(v value) ([]bson.RawValue, bool) {
	switch {
	case v.t == bson.TypeRegex:
		return nil, false
	case !operators(v):
		return []bson.RawValue{v.raw()}, true
	}
	if eq := field(v.b, "$eq"); !eq.missing() {
		return []bson.RawValue{eq.raw()}, true
	}
	in := field(v.b, "$in")
	if in.t != bson.TypeArray {
		return nil, false
	}
	var ids []bson.RawValue
	free := eachOf(in, func(c value) bool {
		ids = append(ids, c.raw())
		return c.t == bson.TypeRegex
	})
	return ids, !free
}
