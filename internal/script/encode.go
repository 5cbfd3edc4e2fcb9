package script

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// maxDocument is what a document may take, as with MongoDB; maxLevels is how deep
// it may be nested.
const (
	idField     = "_id"
	maxDocument = 16 << 20
	maxLevels   = 100
)

var errTooLarge = errors.New("the document is larger than 16 MB")

// writer writes what a script returned as BSON.
type writer struct {
	buf   []byte
	m     *machine
	level int
	path  []string
	// id, if there is one, is the _id of the outermost document, whatever it holds.
	id bson.RawValue
	// hexIDs: text of 24 hexadecimal digits is an ObjectId (queries of Monstache).
	hexIDs bool
	// meta: the script has set a field of the outermost document that is not of its body.
	meta bool
}

// document writes an object into a buffer of its own. The error names the field.
func (w *writer) document(o *goja.Object) error {
	w.buf = make([]byte, 0, 512)
	err := w.object(o)
	if err != nil && len(w.path) > 0 {
		err = fmt.Errorf("the field %s: %w", strings.Join(w.path, "."), err)
	}
	return err
}

// begin starts a document or an array; the result is for finish.
func (w *writer) begin() int {
	at := len(w.buf)
	w.buf = append(w.buf, 0, 0, 0, 0)
	if w.level == 1 && w.id.Type != 0 {
		w.name(w.id.Type, idField)
		w.buf = append(w.buf, w.id.Value...)
	}
	return at
}

// isID tells whether a field is that of the id, which is written already.
func (w *writer) isID(name string) bool {
	return w.level == 1 && w.id.Type != 0 && name == idField
}

func (w *writer) finish(at int) error {
	w.buf = append(w.buf, 0)
	binary.LittleEndian.PutUint32(w.buf[at:], uint32(len(w.buf)-at))
	if len(w.buf) > maxDocument {
		return errTooLarge
	}
	return nil
}

func (w *writer) name(t bson.Type, name string) {
	w.buf = append(append(append(w.buf, byte(t)), name...), 0)
}

// object writes the inside of an object, of ours or of the script.
func (w *writer) object(o *goja.Object) error {
	if w.level++; w.level > maxLevels {
		return fmt.Errorf("it is nested deeper than %d, or holds itself", maxLevels)
	}
	defer func() { w.level-- }()
	if o.ExportType() == reflect.TypeFor[*object]() {
		if own, ok := o.Export().(*object); ok {
			return w.own(own)
		}
	}
	at := w.begin()
	for _, key := range o.Keys() {
		if w.isID(key) {
			continue
		}
		if strings.IndexByte(key, 0) >= 0 {
			return errors.New("a name with a zero byte")
		}
		if err := w.field(key, o.Get(key)); err != nil {
			return err
		}
	}
	return w.finish(at)
}

// own writes one of our objects: what was not changed as the bytes that it was.
func (w *writer) own(o *object) error {
	if !o.changed() && (w.level > 1 || w.id.Type == 0) {
		if len(w.buf)+len(o.raw) > maxDocument {
			return errTooLarge
		}
		w.buf = append(w.buf, o.raw...)
		return nil
	}
	w.buf = slices.Grow(w.buf, len(o.raw)+64)
	at := w.begin()
	if !o.all {
		if err := w.between(o); err != nil {
			return err
		}
	}
	for i := range o.slots {
		s := &o.slots[i]
		if s.gone || w.isID(s.name) || !o.all && s.from.Type != 0 {
			continue
		}
		if err := w.slot(s.name, s); err != nil {
			return err
		}
	}
	return w.finish(at)
}

// between writes the fields that were there, of an object of which few were touched:
// what lies between those that were changed is copied as it is.
func (w *writer) between(o *object) error {
	b := inside(o.raw)
	run := b // begins with what is not copied yet
	flush := func() { w.buf = append(w.buf, run[:len(run)-len(b)]...) }
	for {
		name, v, whole, rest, err := element(b)
		if err != nil {
			return err
		}
		if v.Type == 0 {
			flush()
			return nil
		}
		s := o.touched(name)
		switch {
		case w.level == 1 && w.id.Type != 0 && string(name) == idField:
			flush()
			run = b[len(whole):]
		case s != nil && s.changed():
			flush()
			run = b[len(whole):]
			if !s.gone && !s.isAfter(v) {
				if err := w.field(s.name, s.val); err != nil {
					return err
				}
			}
		}
		if b = rest; len(w.buf) > maxDocument {
			return errTooLarge
		}
	}
}

// slot writes a field or an element of ours.
func (w *writer) slot(name string, s *slot) error {
	if s.changed() {
		return w.field(name, s.val)
	}
	w.name(s.from.Type, name)
	w.buf = append(w.buf, s.from.Value...)
	return nil
}

// field writes a value under a name; what JSON leaves out, it leaves out.
func (w *writer) field(name string, v goja.Value) error {
	if len(w.buf) > maxDocument {
		return errTooLarge
	}
	if w.level == 1 && (name == metaField || name == metaFieldMonstache) {
		w.meta = true
	}
	w.path = append(w.path, name)
	if err := w.value(name, v); err != nil {
		return err
	}
	w.path = w.path[:len(w.path)-1]
	return nil
}

func (w *writer) value(name string, v goja.Value) error {
	switch {
	case v == nil || goja.IsUndefined(v):
		return nil
	case goja.IsNull(v):
		w.name(bson.TypeNull, name)
		return nil
	}
	switch x := v.(type) {
	case *goja.Object:
		return w.reference(name, x)
	case goja.String:
		w.text(name, x.String())
		return nil
	case *goja.Symbol:
		return nil
	}
	switch x := v.Export().(type) {
	case bool:
		w.name(bson.TypeBoolean, name)
		w.buf = append(w.buf, 0)
		if x {
			w.buf[len(w.buf)-1] = 1
		}
	case int64:
		w.whole(name, x)
	case float64:
		w.name(bson.TypeDouble, name)
		w.buf = binary.LittleEndian.AppendUint64(w.buf, math.Float64bits(x))
	case *big.Int:
		if !x.IsInt64() {
			return errors.New("this BigInt is larger than 64 bits; make it a string, or a Decimal128")
		}
		w.name(bson.TypeInt64, name)
		w.buf = binary.LittleEndian.AppendUint64(w.buf, uint64(x.Int64()))
	default:
		return errors.New("a value of an unknown kind")
	}
	return nil
}

func (w *writer) whole(name string, n int64) {
	if n == int64(int32(n)) {
		w.name(bson.TypeInt32, name)
		w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(int32(n)))
		return
	}
	w.name(bson.TypeInt64, name)
	w.buf = binary.LittleEndian.AppendUint64(w.buf, uint64(n))
}

func (w *writer) text(name, s string) {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	if w.hexIDs && len(s) == 24 {
		if id, err := bson.ObjectIDFromHex(s); err == nil {
			w.name(bson.TypeObjectID, name)
			w.buf = append(w.buf, id[:]...)
			return
		}
	}
	w.name(bson.TypeString, name)
	w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(len(s)+1))
	w.buf = append(append(w.buf, s...), 0)
}

// reference writes an object, whatever it is.
func (w *writer) reference(name string, o *goja.Object) error {
	switch o.ExportType() {
	case reflect.TypeFor[*box]():
		b := boxOf(o)
		w.name(b.v.Type, name)
		w.buf = append(w.buf, b.v.Value...)
		return nil
	case reflect.TypeFor[*array]():
		if a, ok := o.Export().(*array); ok {
			return w.ownArray(name, a)
		}
	case reflect.TypeFor[[]byte]():
		data, _ := o.Export().([]byte)
		return w.binary(name, data)
	case reflect.TypeFor[goja.ArrayBuffer]():
		data, _ := o.Export().(goja.ArrayBuffer)
		return w.binary(name, data.Bytes())
	}
	switch o.ClassName() {
	case "Date":
		ms := o.ToFloat()
		if math.IsNaN(ms) {
			return errors.New("an Invalid Date")
		}
		w.name(bson.TypeDateTime, name)
		w.buf = binary.LittleEndian.AppendUint64(w.buf, uint64(int64(ms)))
		return nil
	case "Array":
		return w.array(name, o)
	case "Function", "AsyncFunction", "GeneratorFunction":
		if w.m.mode == Native {
			return nil
		}
		w.name(bson.TypeEmbeddedDocument, name)
		w.buf = append(w.buf, 5, 0, 0, 0, 0)
		return nil
	case "RegExp":
		return w.regexp(name, o)
	case "String", "Number", "Boolean":
		if p := o.Get("valueOf"); p != nil {
			if f, ok := goja.AssertFunction(p); ok {
				v, err := f(o)
				if _, again := v.(*goja.Object); err == nil && !again {
					return w.value(name, v)
				}
			}
		}
	case "Promise":
		return errors.New("a Promise: scripts can't wait for one")
	}
	w.name(bson.TypeEmbeddedDocument, name)
	return w.object(o)
}

func (w *writer) binary(name string, data []byte) error {
	if len(w.buf)+len(data) > maxDocument {
		return errTooLarge
	}
	w.name(bson.TypeBinary, name)
	w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(len(data)))
	w.buf = append(append(w.buf, bson.TypeBinaryGeneric), data...)
	return nil
}

func (w *writer) regexp(name string, o *goja.Object) error {
	if w.m.mode == Monstache {
		w.name(bson.TypeEmbeddedDocument, name)
		w.buf = append(w.buf, 5, 0, 0, 0, 0)
		return nil
	}
	pattern, options := textOf(o.Get("source")), ""
	for _, flag := range textOf(o.Get("flags")) {
		if strings.ContainsRune("imsx", flag) {
			options += string(flag)
		}
	}
	if strings.IndexByte(pattern, 0) >= 0 {
		return errors.New("a regular expression with a zero byte")
	}
	w.name(bson.TypeRegex, name)
	w.buf = append(append(append(append(w.buf, pattern...), 0), options...), 0)
	return nil
}

func (w *writer) ownArray(name string, a *array) error {
	w.name(bson.TypeArray, name)
	if !a.changed() {
		if len(w.buf)+len(a.raw) > maxDocument {
			return errTooLarge
		}
		w.buf = append(w.buf, a.raw...)
		return nil
	}
	return w.elements(len(a.slots), func(i int, name string) error {
		s := &a.slots[i]
		if s.changed() && (s.val == nil || goja.IsUndefined(s.val)) {
			return w.field(name, goja.Null())
		}
		return w.slot(name, s)
	})
}

func (w *writer) array(name string, o *goja.Object) error {
	w.name(bson.TypeArray, name)
	n := o.Get("length").ToInteger()
	w.m.length(n)
	return w.elements(int(n), func(_ int, name string) error {
		v := o.Get(name)
		switch x := v.(type) {
		case nil, *goja.Symbol:
			v = goja.Null()
		case *goja.Object:
			if strings.HasSuffix(x.ClassName(), "Function") && w.m.mode == Native {
				v = goja.Null()
			}
		}
		if goja.IsUndefined(v) {
			v = goja.Null()
		}
		return w.field(name, v)
	})
}

// elements writes an array of n elements by one.
func (w *writer) elements(n int, one func(i int, name string) error) error {
	if w.level++; w.level > maxLevels {
		return fmt.Errorf("it is nested deeper than %d, or holds itself", maxLevels)
	}
	defer func() { w.level-- }()
	at := w.begin()
	for i := range n {
		if err := one(i, strconv.Itoa(i)); err != nil {
			return err
		}
	}
	return w.finish(at)
}
