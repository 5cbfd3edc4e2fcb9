package mql

import (
	"bytes"
	"cmp"
	"encoding/binary"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Compare orders two values as MongoDB sorts them (no collation): -1, 0 or 1.
// Numbers compare across their types. The values are only read.
func Compare(a, b bson.RawValue) int {
	return compare(value{a.Type, a.Value}, value{b.Type, b.Value})
}

// Equal tells whether MongoDB takes two values of _id for one key.
func Equal(a, b bson.RawValue) bool { return Compare(a, b) == 0 }

// kind is the place of a type in the order of types; values of one kind compare
// with each other.
func kind(t bson.Type) int {
	switch t {
	case bson.TypeMinKey:
		return -1
	case 0, bson.TypeUndefined:
		return 0
	case bson.TypeNull:
		return 5
	case bson.TypeDouble, bson.TypeInt32, bson.TypeInt64, bson.TypeDecimal128:
		return kindNumber
	case bson.TypeString, bson.TypeSymbol:
		return 15
	case bson.TypeEmbeddedDocument:
		return 20
	case bson.TypeArray:
		return 25
	case bson.TypeBinary:
		return 30
	case bson.TypeObjectID:
		return 35
	case bson.TypeBoolean:
		return 40
	case bson.TypeDateTime:
		return 45
	case bson.TypeTimestamp:
		return 47
	case bson.TypeRegex:
		return 50
	case bson.TypeDBPointer:
		return 55
	case bson.TypeJavaScript:
		return 60
	case bson.TypeCodeWithScope:
		return 65
	}
	return 127 // MaxKey
}

const kindNumber = 10

func compare(a, b value) int {
	if d := cmp.Compare(kind(a.t), kind(b.t)); d != 0 {
		return d
	}
	switch a.t {
	case bson.TypeDouble, bson.TypeInt32, bson.TypeInt64, bson.TypeDecimal128:
		return compareNumbers(a, b)
	case bson.TypeString, bson.TypeSymbol, bson.TypeJavaScript:
		return bytes.Compare(a.text(), b.text())
	case bson.TypeEmbeddedDocument:
		return compareDocuments(a.b, b.b, true)
	case bson.TypeArray:
		return compareDocuments(a.b, b.b, false)
	case bson.TypeBinary:
		return compareBinary(a.b, b.b)
	case bson.TypeObjectID, bson.TypeBoolean:
		return bytes.Compare(a.b, b.b)
	case bson.TypeDateTime:
		return cmp.Compare(int64(u64(a.b)), int64(u64(b.b)))
	case bson.TypeTimestamp:
		return cmp.Compare(u64(a.b), u64(b.b))
	case bson.TypeRegex:
		ap, ao := a.pattern()
		bp, bo := b.pattern()
		return cmp.Or(bytes.Compare(ap, bp), bytes.Compare(ao, bo))
	case bson.TypeDBPointer:
		return cmp.Or(cmp.Compare(len(a.b), len(b.b)), bytes.Compare(a.b, b.b))
	case bson.TypeCodeWithScope:
		ac, as := codeAndScope(a.b)
		bc, bs := codeAndScope(b.b)
		return cmp.Or(bytes.Compare(ac, bc), compareDocuments(as, bs, true))
	}
	return 0
}

// compareDocuments compares element by element: by kind, by name (not of
// arrays), by value; the shorter of two that are equal so far comes first.
func compareDocuments(a, b []byte, names bool) int {
	ai, bi := elementsOf(a), elementsOf(b)
	for {
		ae, aok := ai.next()
		be, bok := bi.next()
		switch {
		case !aok && !bok:
			return 0
		case !aok:
			return -1
		case !bok:
			return 1
		}
		if d := cmp.Compare(kind(ae.v.t), kind(be.v.t)); d != 0 {
			return d
		}
		if d := bytes.Compare(ae.name, be.name); names && d != 0 {
			return d
		}
		if d := compare(ae.v, be.v); d != 0 {
			return d
		}
	}
}

// compareBinary compares by length, subtype and bytes.
func compareBinary(a, b []byte) int {
	if len(a) < 5 || len(b) < 5 || len(a) != len(b) {
		return cmp.Compare(len(a), len(b))
	}
	return bytes.Compare(a[4:], b[4:])
}

func codeAndScope(b []byte) (code, scope []byte) {
	if len(b) < 8 {
		return nil, nil
	}
	n := prefixed(b[4:], 4, 1)
	if n < 0 {
		return nil, nil
	}
	return b[8 : 4+n-1], b[4+n:]
}

func u64(b []byte) uint64 {
	if len(b) < 8 {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}
