package mongo

import (
	"bytes"
	"encoding/binary"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// errBSON says that a reply is not what BSON allows.
var errBSON = errors.New("malformed BSON in a reply of the server")

// element takes the first element off b, the inside of a document. The end of
// the document is typ 0.
func element(b []byte) (typ bson.Type, name, value, rest []byte, err error) {
	if len(b) == 0 {
		return 0, nil, nil, nil, errBSON
	}
	if b[0] == 0 {
		return 0, nil, nil, nil, nil
	}
	end := bytes.IndexByte(b, 0)
	if end < 1 {
		return 0, nil, nil, nil, errBSON
	}
	typ, name, b = bson.Type(b[0]), b[1:end], b[end+1:]
	n := valueLen(typ, b)
	if n < 0 || n > len(b) {
		return 0, nil, nil, nil, errBSON
	}
	return typ, name, b[:n:n], b[n:], nil
}

// inside returns the elements of a document, without its length.
func inside(doc []byte) []byte {
	if len(doc) < 5 {
		return nil
	}
	return doc[4:]
}

// valueLen returns the length of the value of type t at the start of b, -1 if
// it can't be told.
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

// prefixed returns a length given by the first four bytes of b, plus more.
func prefixed(b []byte, more int) int {
	if len(b) < 4 {
		return -1
	}
	n := int(int32(binary.LittleEndian.Uint32(b)))
	if n < 0 {
		return -1
	}
	return n + more
}

func timestampOf(value []byte) bson.Timestamp {
	return bson.Timestamp{T: binary.LittleEndian.Uint32(value[4:]), I: binary.LittleEndian.Uint32(value)}
}

// idOf returns the value of _id, which the server keeps first in a document.
func idOf(doc []byte) (bson.RawValue, error) {
	if len(doc) > 9 && doc[5] == '_' && doc[6] == 'i' && doc[7] == 'd' && doc[8] == 0 {
		t := bson.Type(doc[4])
		if n := valueLen(t, doc[9:]); n >= 0 && n < len(doc)-9 {
			return bson.RawValue{Type: t, Value: doc[9 : 9+n : 9+n]}, nil
		}
		return bson.RawValue{}, errBSON
	}
	for b := inside(doc); ; {
		typ, name, value, rest, err := element(b)
		if err != nil {
			return bson.RawValue{}, err
		}
		if typ == 0 {
			return bson.RawValue{}, nil
		}
		if string(name) == "_id" {
			return bson.RawValue{Type: typ, Value: value}, nil
		}
		b = rest
	}
}

// reply is what we want to know of the answer to a find.
type reply struct {
	batch  []byte // the array of documents
	cursor int64
	time   bson.Timestamp // operationTime
	size   int
}

// parseReply walks the answer to a find.
func parseReply(raw bson.Raw) (reply, error) {
	r := reply{size: len(raw)}
	for b := inside(raw); ; {
		typ, name, value, rest, err := element(b)
		switch {
		case err != nil:
			return r, err
		case typ == 0:
			if r.batch == nil {
				return r, errBSON
			}
			return r, nil
		case typ == bson.TypeEmbeddedDocument && string(name) == "cursor":
			if err := r.readCursor(value); err != nil {
				return r, err
			}
		case typ == bson.TypeTimestamp && string(name) == "operationTime":
			r.time = timestampOf(value)
		}
		b = rest
	}
}

func (r *reply) readCursor(doc []byte) error {
	for b := inside(doc); ; {
		typ, name, value, rest, err := element(b)
		switch {
		case err != nil || typ == 0:
			return err
		case typ == bson.TypeInt64 && string(name) == "id":
			r.cursor = int64(binary.LittleEndian.Uint64(value))
		case typ == bson.TypeArray && (string(name) == "firstBatch" || string(name) == "nextBatch"):
			r.batch = value
		}
		b = rest
	}
}

// each calls f with every document of the batch.
func (r *reply) each(f func(doc bson.Raw) error) error {
	for b := inside(r.batch); ; {
		typ, _, value, rest, err := element(b)
		if err != nil || typ == 0 {
			return err
		}
		if typ != bson.TypeEmbeddedDocument {
			return errBSON
		}
		if err := f(bson.Raw(value)); err != nil {
			return err
		}
		b = rest
	}
}

// own returns a copy of v that keeps no reply alive.
func own(v bson.RawValue) bson.RawValue {
	return bson.RawValue{Type: v.Type, Value: bytes.Clone(v.Value)}
}
