package script

import (
	"encoding/binary"
	"math"
	"math/big"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"
)

const (
	// maxSafe is up to where a number of JavaScript holds every whole number.
	maxSafe = 1<<53 - 1
	// maxDate is the last millisecond that a Date holds.
	maxDate = 8.64e15
)

// decode is a value of BSON for the script, and what it is if the script can change
// it in place.
func (m *machine) decode(v bson.RawValue) (goja.Value, changer) {
	switch v.Type {
	case 0, bson.TypeUndefined:
		return goja.Undefined(), nil
	case bson.TypeNull:
		if m.mode == Monstache {
			return goja.Undefined(), nil
		}
		return goja.Null(), nil
	case bson.TypeEmbeddedDocument:
		o := &object{m: m, raw: v.Value}
		return m.rt.NewDynamicObject(o), o
	case bson.TypeArray:
		a := &array{m: m, raw: v.Value}
		return m.rt.NewDynamicArray(a), a
	case bson.TypeDateTime:
		return m.decodeDate(v)
	}
	return m.decodeScalar(v), nil
}

func (m *machine) decodeScalar(v bson.RawValue) goja.Value {
	switch v.Type {
	case bson.TypeDouble:
		return m.rt.ToValue(math.Float64frombits(binary.LittleEndian.Uint64(v.Value)))
	case bson.TypeInt32:
		return m.rt.ToValue(int32(binary.LittleEndian.Uint32(v.Value)))
	case bson.TypeInt64:
		n := int64(binary.LittleEndian.Uint64(v.Value))
		if m.mode == Native && (n > maxSafe || n < -maxSafe) {
			return m.rt.ToValue(big.NewInt(n))
		}
		return m.rt.ToValue(n)
	case bson.TypeBoolean:
		return m.rt.ToValue(v.Value[0] != 0)
	case bson.TypeString, bson.TypeSymbol, bson.TypeJavaScript:
		if len(v.Value) < 5 {
			panic(m.fail(errBSON))
		}
		return m.rt.ToValue(string(v.Value[4 : len(v.Value)-1]))
	case bson.TypeObjectID:
		if m.mode == Monstache {
			return m.rt.ToValue(v.ObjectID().Hex())
		}
	}
	return m.box(v)
}

// date is a Date of a script that was a date of a document.
type date struct {
	of *goja.Object
	ms int64
}

func (d *date) changed() bool { return int64(d.of.ToFloat()) != d.ms }

func (m *machine) decodeDate(v bson.RawValue) (goja.Value, changer) {
	ms := int64(binary.LittleEndian.Uint64(v.Value))
	if ms > maxDate || ms < -maxDate {
		return m.box(v), nil
	}
	o := m.dateOf(ms)
	return o, &date{o, ms}
}

func (m *machine) dateOf(ms int64) *goja.Object {
	o, err := m.newDate(nil, m.rt.ToValue(ms))
	if err != nil {
		panic(err)
	}
	return o
}
