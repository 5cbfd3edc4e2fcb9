package script

import (
	"bytes"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// lookups is how many fields are searched for in the bytes of a document before
// all of them are put into a table; from tabled fields on it is one by name.
const (
	lookups = 6
	tabled  = 48
)

// object is a document as a script sees it: fields are decoded when they are touched.
// It belongs to one machine. Of two fields of one name the last counts.
type object struct {
	m   *machine
	raw []byte // a whole document
	// slots are the fields that were touched, or, once all is true, every field.
	slots []slot
	few   [3]slot // the first of them
	byKey map[string]int
	// next is behind the slot that was found last: loops ask in order.
	next int
	// missed is the field that was not found last: who sets one asks twice.
	missed string
	all    bool
	// dirty: a field was set or deleted.
	dirty bool
}

// slot is one field, or one element of an array.
type slot struct {
	name string
	// from is what the document had; its type is 0 for nothing.
	from bson.RawValue
	// val is what the script got or set; nil if neither.
	val goja.Value
	// kid is what val is, if it can change in itself.
	kid  changer
	gone bool
	// set: the script put val there.
	set bool
}

// changer is a value that a script may change in place.
type changer interface{ changed() bool }

func (s *slot) changed() bool { return s.set || s.gone || s.kid != nil && s.kid.changed() }

// isAfter tells whether v is a field of the same name that stands before this one.
func (s *slot) isAfter(v bson.RawValue) bool {
	return len(v.Value) != len(s.from.Value) || len(v.Value) > 0 && &v.Value[0] != &s.from.Value[0]
}

// get is the value for the script.
func (s *slot) get(m *machine) goja.Value {
	if s.val == nil {
		s.val, s.kid = m.decode(s.from)
	}
	return s.val
}

// put makes v the value; it tells whether that is another one.
func (s *slot) put(v goja.Value) bool {
	if s.val != nil && !s.gone && s.val.StrictEquals(v) {
		return false
	}
	s.val, s.kid, s.set, s.gone = v, nil, true, false
	return true
}

// slot finds a field; nil if there is none. The pointer is good until the next field
// is added.
func (o *object) slot(key string) *slot {
	if o.next < len(o.slots) && o.slots[o.next].name == key {
		o.next++
		return &o.slots[o.next-1]
	}
	if o.byKey != nil {
		if i, ok := o.byKey[key]; ok {
			return &o.slots[i]
		}
		return nil
	}
	for i := len(o.slots) - 1; i >= 0; i-- {
		if o.slots[i].name == key {
			o.next = i + 1
			return &o.slots[i]
		}
	}
	if o.all || o.missed == key && key != "" {
		return nil
	}
	if len(o.slots) >= lookups {
		o.table()
		return o.slot(key)
	}
	from, err := find(o.raw, key)
	if err != nil {
		panic(o.m.fail(err))
	}
	if from.Type == 0 {
		o.missed = key
		return nil
	}
	return o.add(slot{name: key, from: from})
}

// add appends a field.
func (o *object) add(s slot) *slot {
	if o.slots == nil {
		o.slots = o.few[:0]
	}
	o.slots = append(o.slots, s)
	if o.byKey != nil {
		o.byKey[s.name] = len(o.slots) - 1
	}
	return &o.slots[len(o.slots)-1]
}

// table makes a slot of every field.
func (o *object) table() {
	if o.all {
		return
	}
	known := o.slots
	text := string(o.raw) // names are cut from one copy
	o.slots, o.all, o.next = make([]slot, 0, len(o.raw)/24+len(known)+4), true, 0
	at := 4
	for b := inside(o.raw); len(b) > 0; {
		name, v, whole, rest, err := element(b)
		if err != nil {
			panic(o.m.fail(err))
		}
		if v.Type == 0 {
			break
		}
		o.slots = append(o.slots, slot{name: text[at+1 : at+1+len(name)], from: v})
		at, b = at+len(whole), rest
	}
	if len(o.slots) > tabled {
		o.byKey = make(map[string]int, len(o.slots)+len(known))
		for i := range o.slots {
			o.byKey[o.slots[i].name] = i
		}
	}
	for _, s := range known {
		if was := o.slot(s.name); was != nil {
			*was = s
		} else {
			o.add(s)
		}
	}
	o.next = 0
}

// touched is the slot of a field if there is one already.
func (o *object) touched(name []byte) *slot {
	for i := len(o.slots) - 1; i >= 0; i-- {
		if o.slots[i].name == string(name) {
			return &o.slots[i]
		}
	}
	return nil
}

func (o *object) changed() bool {
	if o.dirty {
		return true
	}
	for i := range o.slots {
		if o.slots[i].changed() {
			return true
		}
	}
	return false
}

// Get implements goja.DynamicObject.
func (o *object) Get(key string) goja.Value {
	s := o.slot(key)
	if s == nil || s.gone {
		return nil
	}
	return s.get(o.m)
}

// Set implements goja.DynamicObject.
func (o *object) Set(key string, v goja.Value) bool {
	if o.m.mode == Monstache && (goja.IsUndefined(v) || goja.IsNull(v)) {
		return o.Delete(key)
	}
	s := o.slot(key)
	if s == nil {
		if bytes.IndexByte([]byte(key), 0) >= 0 {
			panic(o.m.rt.NewTypeError("the name of a field can't hold a zero byte"))
		}
		o.m.grown(1)
		s = o.add(slot{name: key})
	}
	if s.put(v) {
		o.dirty = true
	}
	return true
}

// Has implements goja.DynamicObject.
func (o *object) Has(key string) bool {
	s := o.slot(key)
	return s != nil && !s.gone
}

// Delete implements goja.DynamicObject.
func (o *object) Delete(key string) bool {
	if o.slot(key) == nil {
		return true
	}
	for i := range o.slots {
		if s := &o.slots[i]; s.name == key && !s.gone {
			s.gone, o.dirty = true, true
		}
	}
	return true
}

// Keys implements goja.DynamicObject.
func (o *object) Keys() []string {
	o.table()
	out := make([]string, 0, len(o.slots))
	for i := range o.slots {
		if s := &o.slots[i]; !s.gone {
			out = append(out, s.name)
		}
	}
	o.next = 0
	return out
}
