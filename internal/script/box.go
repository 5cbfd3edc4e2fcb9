package script

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"reflect"
	"strconv"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// box is a value of BSON that JavaScript has no equal for. It does not change.
type box struct {
	m *machine
	v bson.RawValue
}

// boxKind is a group of types with one prototype.
type boxKind uint8

const (
	boxOther boxKind = iota
	boxObjectID
	boxDecimal
	boxBinary
)

func kindOf(t bson.Type) boxKind {
	switch t {
	case bson.TypeObjectID:
		return boxObjectID
	case bson.TypeDecimal128:
		return boxDecimal
	case bson.TypeBinary:
		return boxBinary
	}
	return boxOther
}

func (m *machine) box(v bson.RawValue) goja.Value {
	o := m.rt.NewDynamicObject(&box{m, v})
	_ = o.SetPrototype(m.boxes[kindOf(v.Type)])
	return o
}

// boxOf is the box that a value is, nil for any other.
func boxOf(v goja.Value) *box {
	o, ok := v.(*goja.Object)
	if !ok || o.ExportType() != reflect.TypeFor[*box]() {
		return nil
	}
	b, _ := o.Export().(*box)
	return b
}

// part is one of the parts of a value by its name, as BSON and as Go call it.
func (b *box) part(key string) any {
	switch b.v.Type {
	case bson.TypeTimestamp:
		t, i := b.v.Timestamp()
		switch key {
		case "T", "t":
			return int64(t)
		case "I", "i":
			return int64(i)
		}
	case bson.TypeBinary:
		sub, data := b.v.Binary()
		switch key {
		case "Subtype", "subtype":
			return int64(sub)
		case "Data", "buffer":
			return b.m.rt.NewArrayBuffer(append([]byte(nil), data...))
		}
	case bson.TypeRegex:
		pattern, options := b.v.Regex()
		switch key {
		case "Pattern", "pattern":
			return pattern
		case "Options", "options":
			return options
		}
	}
	return nil
}

// Get implements goja.DynamicObject.
func (b *box) Get(key string) goja.Value {
	if p := b.part(key); p != nil {
		return b.m.rt.ToValue(p)
	}
	return nil
}

// Set implements goja.DynamicObject.
func (b *box) Set(string, goja.Value) bool { return false }

// Has implements goja.DynamicObject.
func (b *box) Has(key string) bool { return b.part(key) != nil }

// Delete implements goja.DynamicObject.
func (b *box) Delete(key string) bool { return b.part(key) == nil }

// Keys implements goja.DynamicObject.
func (b *box) Keys() []string {
	switch b.v.Type {
	case bson.TypeTimestamp:
		return []string{"T", "I"}
	case bson.TypeRegex:
		return []string{"Pattern", "Options"}
	}
	return nil
}

// text is how the value reads.
func (b *box) text() string {
	switch b.v.Type {
	case bson.TypeObjectID:
		return b.v.ObjectID().Hex()
	case bson.TypeDecimal128:
		return b.v.Decimal128().String()
	case bson.TypeDateTime:
		return strconv.FormatInt(b.v.DateTime(), 10)
	case bson.TypeBinary:
		return textOfBinary(b.v.Binary())
	}
	return b.v.String()
}

// textOfBinary is a UUID with its dashes, and anything else in base64.
func textOfBinary(sub byte, data []byte) string {
	if (sub == bson.TypeBinaryUUID || sub == bson.TypeBinaryUUIDOld) && len(data) == 16 {
		h := hex.EncodeToString(data)
		return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
	}
	return base64.StdEncoding.EncodeToString(data)
}

// setTypes makes the prototypes of boxes, ObjectId, Decimal128 and stringFromBinData.
func (m *machine) setTypes() {
	m.boxes = map[boxKind]*goja.Object{}
	method := func(o *goja.Object, name string, f func(b *box, arg goja.Value) any) {
		v := m.rt.ToValue(func(c goja.FunctionCall) goja.Value {
			b := boxOf(c.This)
			if b == nil {
				panic(m.rt.NewTypeError(name + " is of a value of BSON"))
			}
			return m.rt.ToValue(f(b, c.Argument(0)))
		})
		_ = o.DefineDataProperty(name, v, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE)
	}
	text := func(b *box, _ goja.Value) any { return b.text() }
	for _, kind := range []boxKind{boxOther, boxObjectID, boxDecimal, boxBinary} {
		o := m.rt.NewObject()
		for _, name := range []string{"toString", "toJSON", "String"} {
			method(o, name, text)
		}
		method(o, "equals", func(b *box, arg goja.Value) any {
			if other := boxOf(arg); other != nil {
				return b.v.Equal(other.v)
			}
			_, isText := arg.(goja.String)
			return isText && b.v.Type == bson.TypeObjectID && arg.String() == b.text()
		})
		m.boxes[kind] = o
	}
	id := m.boxes[boxObjectID]
	for _, name := range []string{"toHexString", "Hex"} {
		method(id, name, text)
	}
	method(id, "getTimestamp", func(b *box, _ goja.Value) any { return m.dateOf(b.v.ObjectID().Timestamp().UnixMilli()) })
	m.maker("ObjectId", boxObjectID, func(arg goja.Value) (any, error) {
		if goja.IsUndefined(arg) {
			return bson.NewObjectID(), nil
		}
		return bson.ObjectIDFromHex(arg.String())
	})
	_ = m.rt.Set("ObjectID", m.rt.Get("ObjectId"))
	m.maker("Decimal128", boxDecimal, func(arg goja.Value) (any, error) { return bson.ParseDecimal128(arg.String()) })
	_ = m.rt.Set("NumberDecimal", m.rt.Get("Decimal128"))
	_ = m.rt.Set("stringFromBinData", func(c goja.FunctionCall) goja.Value {
		b := boxOf(c.Argument(0))
		if b == nil || b.v.Type != bson.TypeBinary {
			panic(m.rt.NewTypeError("stringFromBinData wants binary data"))
		}
		return m.rt.ToValue(b.text())
	})
}

// maker makes a global constructor of boxes; it may be called without new.
func (m *machine) maker(name string, kind boxKind, parse func(goja.Value) (any, error)) {
	_ = m.rt.Set(name, func(c goja.ConstructorCall) *goja.Object {
		v, err := parse(c.Argument(0))
		if err != nil {
			panic(m.rt.NewTypeError(fmt.Sprintf("%s: not such a value", name)))
		}
		t, raw, err := bson.MarshalValue(v)
		if err != nil {
			panic(m.fail(err))
		}
		return m.box(bson.RawValue{Type: t, Value: raw}).(*goja.Object)
	})
	_ = m.rt.Get(name).(*goja.Object).Set("prototype", m.boxes[kind])
	_ = m.boxes[kind].DefineDataProperty("constructor", m.rt.Get(name), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE)
}
