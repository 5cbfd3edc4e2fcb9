package scriptmongo

import (
	"bytes"
	"cmp"
	"encoding/binary"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// rank orders the types as the server does.
func rank(t bson.Type) int {
	switch t {
	case bson.TypeMinKey:
		return 0
	case bson.TypeNull, bson.TypeUndefined:
		return 1
	case bson.TypeInt32, bson.TypeInt64, bson.TypeDouble, bson.TypeDecimal128:
		return 2
	case bson.TypeString, bson.TypeSymbol:
		return 3
	case bson.TypeEmbeddedDocument:
		return 4
	case bson.TypeArray:
		return 5
	case bson.TypeBinary:
		return 6
	case bson.TypeObjectID:
		return 7
	case bson.TypeBoolean:
		return 8
	case bson.TypeDateTime:
		return 9
	case bson.TypeTimestamp:
		return 10
	case bson.TypeMaxKey:
		return 20
	}
	return 11
}

// compare orders two values by type and value. Decimals and the inside of
// documents are compared by their bytes, which is an order, if not the server's.
func compare(a, b bson.RawValue) int {
	if n := cmp.Compare(rank(a.Type), rank(b.Type)); n != 0 {
		return n
	}
	switch rank(a.Type) {
	case 0, 1, 20:
		return 0
	case 2:
		if a.Type == bson.TypeDecimal128 || b.Type == bson.TypeDecimal128 {
			return bytes.Compare(a.Value, b.Value)
		}
		if a.Type == bson.TypeDouble || b.Type == bson.TypeDouble {
			x, _ := a.AsFloat64OK()
			y, _ := b.AsFloat64OK()
			return cmp.Compare(x, y)
		}
		x, _ := a.AsInt64OK()
		y, _ := b.AsInt64OK()
		return cmp.Compare(x, y)
	case 3:
		return bytes.Compare(a.Value[4:], b.Value[4:])
	case 9:
		return cmp.Compare(int64(binary.LittleEndian.Uint64(a.Value)), int64(binary.LittleEndian.Uint64(b.Value)))
	case 10:
		return cmp.Compare(binary.LittleEndian.Uint64(a.Value), binary.LittleEndian.Uint64(b.Value))
	}
	return bytes.Compare(a.Value, b.Value)
}
