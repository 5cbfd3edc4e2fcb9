package script

import (
	"bytes"
	"encoding/binary"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// errBSON says that bytes are no BSON.
var errBSON = errors.New("malformed BSON")

// element takes the first element off b, the inside of a document; whole is all of
// it, with type and name. The end of the document is typ 0.
func element(b []byte) (name []byte, v bson.RawValue, whole, rest []byte, err error) {
	if len(b) == 0 {
		return nil, v, nil, nil, errBSON
	}
	if b[0] == 0 {
		return nil, v, nil, nil, nil
	}
	end := bytes.IndexByte(b, 0)
	if end < 1 {
		return nil, v, nil, nil, errBSON
	}
	n := valueLen(bson.Type(b[0]), b[end+1:])
	if n < 0 || n > len(b)-end-1 {
		return nil, v, nil, nil, errBSON
	}
	at := end + 1 + n
	return b[1:end], bson.RawValue{Type: bson.Type(b[0]), Value: b[end+1 : at : at]}, b[:at:at], b[at:], nil
}

// find returns the value of the last field of that name; its type is 0 if there is none.
func find(doc []byte, key string) (v bson.RawValue, err error) {
	for b := inside(doc); ; {
		if len(b) == 0 {
			return v, errBSON
		}
		if b[0] == 0 {
			return v, nil
		}
		end := bytes.IndexByte(b, 0)
		if end < 1 {
			return v, errBSON
		}
		var n int
		switch t := bson.Type(b[0]); t {
		case bson.TypeString:
			n = prefixed(b[end+1:], 4)
		case bson.TypeDateTime, bson.TypeDouble, bson.TypeInt64:
			n = 8
		case bson.TypeInt32:
			n = 4
		default:
			n = valueLen(t, b[end+1:])
		}
		if n < 0 || n > len(b)-end-1 {
			return v, errBSON
		}
		if end == len(key)+1 && string(b[1:end]) == key {
			v = bson.RawValue{Type: bson.Type(b[0]), Value: b[end+1 : end+1+n : end+1+n]}
		}
		b = b[end+1+n:]
	}
}

// inside returns the elements of a document, without its length.
func inside(doc []byte) []byte {
	if len(doc) < 5 {
		return nil
	}
	return doc[4:]
}

// valueLen returns the length of the value of type t at the start of b, -1 if it
// can't be told.
func valueLen(t bson.Type, b []byte) int {
	switch t {
	case bson.TypeDouble, bson.TypeDateTime, bson.TypeTimestamp, bson.TypeInt64:
		return 8
	case bson.TypeObjectID:
		return 12
	case bson.TypeInt32:
		return 4
	case bson.TypeBoolean:
		return 1
	case bson.TypeDecimal128:
		return 16
	case bson.TypeNull, bson.TypeUndefined, bson.TypeMinKey, bson.TypeMaxKey:
		return 0
	case bson.TypeString, bson.TypeJavaScript, bson.TypeSymbol:
		return prefixed(b, 4)
	case bson.TypeEmbeddedDocument, bson.TypeArray, bson.TypeCodeWithScope:
		return prefixed(b, 0)
	case bson.TypeBinary:
		return prefixed(b, 5)
	case bson.TypeDBPointer:
		return prefixed(b, 16)
	case bson.TypeRegex:
		first := bytes.IndexByte(b, 0)
		if first < 0 {
			return -1
		}
		second := bytes.IndexByte(b[first+1:], 0)
		if second < 0 {
			return -1
		}
		return first + second + 2
	}
	return -1
}

// prefixed is the length of a value that begins with a length, which leaves more
// bytes out.
func prefixed(b []byte, more int) int {
	if len(b) < 4 {
		return -1
	}
	n := int64(int32(binary.LittleEndian.Uint32(b)))
	if n < 0 || n+int64(more) < 4 || n+int64(more) > int64(len(b)) {
		return -1
	}
	return int(n) + more
}
