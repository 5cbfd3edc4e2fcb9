package pack

import (
	"bytes"
	"encoding/binary"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// valueLen returns the length of the value of type t at the start of b; ok is
// false if b does not hold it, or the type is not known.
func valueLen(t bson.Type, b []byte) (n int, ok bool) {
	switch t {
	case bson.TypeUndefined, bson.TypeNull, bson.TypeMinKey, bson.TypeMaxKey:
		return 0, true
	case bson.TypeBoolean:
		n = 1
	case bson.TypeInt32:
		n = 4
	case bson.TypeDouble, bson.TypeInt64, bson.TypeDateTime, bson.TypeTimestamp:
		n = 8
	case bson.TypeObjectID:
		n = 12
	case bson.TypeDecimal128:
		n = 16
	case bson.TypeRegex:
		p := bytes.IndexByte(b, 0)
		if p < 0 {
			return 0, false
		}
		o := bytes.IndexByte(b[p+1:], 0)
		return p + o + 2, o >= 0
	default:
		return toldLen(t, b)
	}
	return n, len(b) >= n
}

// toldLen is valueLen of the types that begin with a length.
func toldLen(t bson.Type, b []byte) (int, bool) {
	// What the length does not count, what it counts at least, and how far before
	// the end there is a zero; -1 for nowhere.
	extra, least, zero := 0, 5, 1
	switch t {
	case bson.TypeString, bson.TypeJavaScript, bson.TypeSymbol:
		extra, least = 4, 1
	case bson.TypeDBPointer:
		extra, least, zero = 4+12, 1, 13
	case bson.TypeBinary:
		extra, least, zero = 5, 0, -1
	case bson.TypeEmbeddedDocument, bson.TypeArray:
	case bson.TypeCodeWithScope:
		least = 4 + 5 + 5
	default:
		return 0, false
	}
	if len(b) < 4 {
		return 0, false
	}
	told := int64(binary.LittleEndian.Uint32(b))
	n := told + int64(extra)
	if told < int64(least) || n > int64(len(b)) || zero > 0 && b[n-int64(zero)] != 0 {
		return 0, false
	}
	return int(n), true
}

// element is one field of a document.
type element struct {
	kind        bson.Type
	name, value []byte
}

// next takes the first element off the inside of a document (what follows its
// length). ok is false at its end and where it can't be read.
func next(in []byte) (e element, rest []byte, ok bool) {
	if len(in) < 2 || in[0] == 0 {
		return e, nil, false
	}
	end := bytes.IndexByte(in[1:], 0)
	if end < 0 {
		return e, nil, false
	}
	e.kind, e.name = bson.Type(in[0]), in[1:1+end]
	in = in[2+end:]
	n, ok := valueLen(e.kind, in)
	if !ok {
		return e, nil, false
	}
	e.value = in[:n]
	return e, in[n:], true
}

// idText shows a key in an error: its Extended JSON, cut where it is long.
func idText(id bson.RawValue) string {
	if id.Type == 0 && id.Value == nil {
		return ""
	}
	if n, ok := valueLen(id.Type, id.Value); !ok || n != len(id.Value) {
		return "_id that can't be read"
	}
	const most = 80
	s := id.String()
	if len(s) > most {
		s = s[:most] + "…"
	}
	return "_id " + s
}
