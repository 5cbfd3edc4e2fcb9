package mql

import (
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// node is a part of a query that looks at a whole document.
type node interface{ match(doc []byte) bool }

type (
	allOf  []node   // $and
	anyOf  []node   // $or
	noneOf []node   // $nor
	at     struct { // what a path leads to
		path path
		pred pred
	}
)

func (n allOf) match(doc []byte) bool {
	for _, c := range n {
		if !c.match(doc) {
			return false
		}
	}
	return true
}

func (n anyOf) match(doc []byte) bool {
	for _, c := range n {
		if c.match(doc) {
			return true
		}
	}
	return false
}

func (n noneOf) match(doc []byte) bool { return !anyOf(n).match(doc) }

func (n at) match(doc []byte) bool { return n.pred.at(n.path, doc) }

// pred is a condition on what a path leads to (at), or on a single value, for
// $elemMatch (one).
type pred interface {
	at(p path, doc []byte) bool
	one(v value) bool
}

type (
	test interface{ test(v value) bool }
	// leaf holds if one of the values passes. An array at the end of the path is
	// opened (its elements and itself), or looked at as such.
	leaf struct {
		test
		closed bool
	}
	notPred  struct{ pred }
	allPreds []pred
)

func (l leaf) at(p path, doc []byte) bool { return p.any(doc, !l.closed, l.test.test) }
func (l leaf) one(v value) bool           { return l.test.test(v) }

func (n notPred) at(p path, doc []byte) bool { return !n.pred.at(p, doc) }
func (n notPred) one(v value) bool           { return !n.pred.one(v) }

func (a allPreds) at(p path, doc []byte) bool {
	for _, c := range a {
		if !c.at(p, doc) {
			return false
		}
	}
	return true
}

func (a allPreds) one(v value) bool {
	for _, c := range a {
		if !c.one(v) {
			return false
		}
	}
	return true
}

// order is a comparison with one value.
type order struct {
	op  string
	rhs value
}

func (o order) test(v value) bool {
	k, rk := kind(v.t), kind(o.rhs.t)
	if k != rk {
		return o.testOther(v)
	}
	if k == kindNumber && (v.nan() || o.rhs.nan()) {
		return v.nan() && o.rhs.nan() && o.op != "$lt" && o.op != "$gt"
	}
	return o.holds(compare(v, o.rhs))
}

func (o order) holds(c int) bool {
	switch o.op {
	case "$eq":
		return c == 0
	case "$gt":
		return c > 0
	case "$gte":
		return c >= 0
	case "$lt":
		return c < 0
	}
	return c <= 0
}

// testOther compares values of two kinds: only null and the ends of all values
// compare beyond their own.
func (o order) testOther(v value) bool {
	switch o.rhs.t {
	case bson.TypeNull:
		return v.missing() && (o.op == "$eq" || o.op == "$gte" || o.op == "$lte")
	case bson.TypeMaxKey:
		return o.op == "$lt" || o.op == "$lte"
	case bson.TypeMinKey:
		return o.op == "$gt" || o.op == "$gte"
	}
	return false
}

// inSet holds for the values of a set, by their keys, and what its regular
// expressions match.
type inSet struct {
	keys    map[string]struct{}
	null    bool
	regexes []regexTest
}

func (s inSet) test(v value) bool {
	if v.missing() {
		return s.null
	}
	var room [64]byte
	if _, ok := s.keys[string(appendKey(room[:0], v))]; ok {
		return true
	}
	for _, r := range s.regexes {
		if r.test(v) {
			return true
		}
	}
	return false
}

type exists struct{}

func (exists) test(v value) bool { return !v.missing() }

// typeSet holds for values of these types; a missing one has none.
type typeSet map[bson.Type]struct{}

func (s typeSet) test(v value) bool {
	_, ok := s[v.t]
	return ok && !v.missing()
}

type size int64

func (s size) test(v value) bool {
	if v.t != bson.TypeArray {
		return false
	}
	n := int64(0)
	for it := elementsOf(v.b); ; n++ {
		if _, ok := it.next(); !ok {
			return n == int64(s)
		}
	}
}

type modulo struct{ by, rest int64 }

func (m modulo) test(v value) bool {
	if kind(v.t) != kindNumber {
		return false
	}
	n, ok := v.whole()
	if !ok {
		return false
	}
	if m.by == -1 { // the smallest integer by it is no integer
		return m.rest == 0
	}
	return n%m.by == m.rest
}

// elemObject is $elemMatch with a query: holds if it matches an element that is
// a document or an array.
type elemObject struct{ n node }

func (e elemObject) test(v value) bool {
	return eachOf(v, func(c value) bool {
		return (c.t == bson.TypeEmbeddedDocument || c.t == bson.TypeArray) && e.n.match(c.b)
	})
}

// elemValue is $elemMatch with operators: holds if an element passes them all.
type elemValue struct{ p pred }

func (e elemValue) test(v value) bool { return eachOf(v, e.p.one) }

// never is what an empty $all or $in makes.
type never struct{}

func (never) test(value) bool { return false }

func eachOf(array value, f func(value) bool) bool {
	if array.t != bson.TypeArray {
		return false
	}
	for it := elementsOf(array.b); ; {
		e, ok := it.next()
		if !ok {
			return false
		}
		if f(e.v) {
			return true
		}
	}
}

// typesOf returns the types that a name or number of $type stands for.
func typesOf(name string) ([]bson.Type, bool) {
	if name == "number" {
		return []bson.Type{bson.TypeDouble, bson.TypeInt32, bson.TypeInt64, bson.TypeDecimal128}, true
	}
	names := map[string]bson.Type{
		"double": bson.TypeDouble, "string": bson.TypeString, "object": bson.TypeEmbeddedDocument, "array": bson.TypeArray,
		"binData": bson.TypeBinary, "undefined": bson.TypeUndefined, "objectId": bson.TypeObjectID, "bool": bson.TypeBoolean,
		"date": bson.TypeDateTime, "null": bson.TypeNull, "regex": bson.TypeRegex, "dbPointer": bson.TypeDBPointer,
		"javascript": bson.TypeJavaScript, "symbol": bson.TypeSymbol, "javascriptWithScope": bson.TypeCodeWithScope,
		"int": bson.TypeInt32, "timestamp": bson.TypeTimestamp, "long": bson.TypeInt64, "decimal": bson.TypeDecimal128,
		"minKey": bson.TypeMinKey, "maxKey": bson.TypeMaxKey,
	}
	if t, ok := names[name]; ok {
		return []bson.Type{t}, true
	}
	n, err := strconv.ParseInt(name, 10, 16)
	if err != nil {
		return nil, false
	}
	for _, t := range names {
		if int64(t) == n || t == bson.TypeMinKey && n == -1 {
			return []bson.Type{t}, t != bson.TypeMinKey || n == -1
		}
	}
	return nil, false
}
