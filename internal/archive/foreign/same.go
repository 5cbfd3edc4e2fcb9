package foreign

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Same tells whether two documents have the same fields with the same values, of
// the same types, in whatever order: go-chive lost the order, so that two archives
// of one document differ in it, and both from what is live.
func Same(a, b bson.Raw) bool {
	return len(a) == len(b) && bytes.Equal(unordered(nil, a), unordered(nil, b))
}

// contents is a hash that is equal for documents that are the Same.
func contents(doc bson.Raw) [sha256.Size]byte { return sha256.Sum256(unordered(nil, doc)) }

// idFirst moves _id to the front, where MongoDB puts it anyway: the order of the
// others stays as go-chive left it. id is a view into doc.
func idFirst(doc bson.Raw, id bson.RawValue) (bson.Raw, bson.RawValue) {
	const prefix = 4 // the length
	first := prefix
	all, err := doc.Elements()
	if err != nil || all[0].Key() == "_id" {
		return doc, id
	}
	out := append(make(bson.Raw, 0, len(doc)), doc[:prefix]...)
	for _, e := range all {
		if e.Key() == "_id" {
			out = append(out, e...)
			break
		}
		first += len(e)
	}
	n := len(out) - prefix
	out = append(out, doc[prefix:first]...)
	out = append(out, doc[first+n:]...)
	return out, out.Lookup("_id")
}

// unordered appends a document with its fields sorted.
func unordered(dst []byte, doc bson.Raw) []byte {
	fields := elements(doc)
	slices.SortStableFunc(fields, bytes.Compare)
	for _, f := range fields {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(f))) //nolint:gosec // a part of a document
		dst = append(dst, f...)
	}
	return append(dst, 0xff)
}

// elements returns type, name and value of each field, the values unordered too.
func elements(doc bson.Raw) [][]byte {
	all, err := doc.Elements()
	if err != nil { // it was validated before; broken ones are compared as they are
		return [][]byte{doc}
	}
	fields := make([][]byte, len(all))
	for i, e := range all {
		v := e.Value()
		f := append(append([]byte{byte(v.Type)}, e.Key()...), 0)
		switch v.Type {
		case bson.TypeEmbeddedDocument:
			f = unordered(f, v.Document())
		case bson.TypeArray:
			for _, x := range elements(bson.Raw(v.Array())) {
				f = binary.LittleEndian.AppendUint32(f, uint32(len(x))) //nolint:gosec // a part of a document
				f = append(f, x...)
			}
		case bson.TypeCodeWithScope:
			code, scope := v.CodeWithScope()
			f = unordered(append(append(f, code...), 0), scope)
		default:
			f = append(f, v.Value...)
		}
		fields[i] = f
	}
	return fields
}
