package mql

import (
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// path is a dotted path, split.
type path []string

func pathOf(s string) path { return strings.Split(s, ".") }

// any tells whether f is true for a value that the path leads to in doc, as
// MongoDB walks: a missing field is one missing value; an array on the way
// stands for each of its documents, and for its element of that number; an array
// at the end (leaves: true) for each of its elements and for itself.
func (p path) any(doc []byte, leaves bool, f func(value) bool) bool {
	var v value
	i := 0
	for i < len(p) {
		v = field(doc, p[i])
		if v.t != bson.TypeEmbeddedDocument {
			break
		}
		doc = v.b
		i++
	}
	switch {
	case v.t == bson.TypeArray:
		return p[i+1:].anyOf(v, leaves, f)
	case i+1 < len(p): // there is no way on through a value that is neither
		return f(value{})
	}
	return f(v)
}

// anyOf is any for the array that the path before p led to.
func (p path) anyOf(array value, leaves bool, f func(value) bool) bool {
	if len(p) == 0 && !leaves {
		return f(array)
	}
	for it := elementsOf(array.b); ; {
		e, ok := it.next()
		if !ok {
			break
		}
		if len(p) == 0 {
			if f(e.v) {
				return true
			}
			continue
		}
		if e.v.t == bson.TypeEmbeddedDocument && p.any(e.v.b, leaves, f) {
			return true
		}
		if string(e.name) == p[0] && p[1:].anyAt(e.v, leaves, f) {
			return true
		}
	}
	return len(p) == 0 && f(array)
}

// anyAt is any for the element of an array that a number in the path named.
func (p path) anyAt(v value, leaves bool, f func(value) bool) bool {
	if len(p) == 0 {
		return f(v)
	}
	switch v.t {
	case bson.TypeEmbeddedDocument:
		return p.any(v.b, leaves, f)
	case bson.TypeArray:
		return p.anyOf(v, leaves, f)
	}
	return false
}
