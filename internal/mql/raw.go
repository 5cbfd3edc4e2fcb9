package mql

import (
	"bytes"
	"encoding/binary"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// value is one BSON value; the zero type stands for a missing one. Its bytes
// are a view.
type value struct {
	t bson.Type
	b []byte
}

func (v value) missing() bool { return v.t == 0 }

func (v value) raw() bson.RawValue { return bson.RawValue{Type: v.t, Value: v.b} }

// element is one name and value of a document or array.
type element struct {
	name []byte
	v    value
}

// elements walks over the elements of a document; it ends at the first broken one.
type elements struct{ rest []byte }

func elementsOf(doc []byte) elements {
	if len(doc) < 5 {
		return elements{}
	}
	return elements{doc[4:]}
}

func (it *elements) next() (e element, ok bool) {
	b := it.rest
	if len(b) == 0 || b[0] == 0 {
		return element{}, false
	}
	t := bson.Type(b[0])
	end := bytes.IndexByte(b[1:], 0)
	if end < 0 {
		return element{}, false
	}
	name, b := b[1:1+end], b[2+end:]
	n := sizeOf(t, b)
	if n < 0 || n > len(b) {
		return element{}, false
	}
	it.rest = b[n:]
	return element{name, value{t, b[:n:n]}}, true
}

// field returns the first value of that name.
func field(doc []byte, name string) value {
	for it := elementsOf(doc); ; {
		e, ok := it.next()
		if !ok {
			return value{}
		}
		if string(e.name) == name {
			return e.v
		}
	}
}

// sizeOf returns how many bytes at the start of b a value of type t takes, -1
// if b is broken or t unknown.
func sizeOf(t bson.Type, b []byte) int {
	switch t {
	case bson.TypeUndefined, bson.TypeNull, bson.TypeMinKey, bson.TypeMaxKey:
		return 0
	case bson.TypeBoolean:
		return 1
	case bson.TypeInt32:
		return 4
	case bson.TypeDouble, bson.TypeDateTime, bson.TypeTimestamp, bson.TypeInt64:
		return 8
	case bson.TypeObjectID:
		return 12
	case bson.TypeDecimal128:
		return 16
	case bson.TypeString, bson.TypeJavaScript, bson.TypeSymbol:
		return prefixed(b, 4, 1)
	case bson.TypeDBPointer:
		if n := prefixed(b, 4, 1); n >= 0 {
			return n + 12
		}
	case bson.TypeBinary:
		return prefixed(b, 5, 0)
	case bson.TypeEmbeddedDocument, bson.TypeArray:
		return prefixed(b, 0, 5)
	case bson.TypeCodeWithScope:
		return prefixed(b, 0, 14)
	case bson.TypeRegex:
		if n := bytes.IndexByte(b, 0); n >= 0 {
			if m := bytes.IndexByte(b[n+1:], 0); m >= 0 {
				return n + m + 2
			}
		}
	}
	return -1
}

// prefixed is the size of a value that starts with its length, which counts
// from over bytes in and is at least least.
func prefixed(b []byte, over, least int) int {
	if len(b) < 4 {
		return -1
	}
	n := int(int32(binary.LittleEndian.Uint32(b)))
	if n < least || n > len(b)-over {
		return -1
	}
	return n + over
}

// text returns the content of a string, symbol or code.
func (v value) text() []byte {
	if len(v.b) < 5 {
		return nil
	}
	return v.b[4 : len(v.b)-1]
}

// pattern returns the two parts of a regular expression.
func (v value) pattern() (pattern, options []byte) {
	p, o, _ := bytes.Cut(v.b, []byte{0})
	return p, bytes.TrimSuffix(o, []byte{0})
}
