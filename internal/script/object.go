package script

import (
	"bytes"
	"slices"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// lookups is how many fields are searched for in the bytes of a document before
// all of them are put into a table.
const lookups = 6

// object is a document as a script sees it: fields are decoded when they are touched.
// It belongs to one machine.
type object struct {
	m   *machine
	raw []byte // a whole document, nil for none
	// slots are the fields that were touched, or, once all is true, every field.
	slots []*slot
	byKey map[string]*slot
	all   bool
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

// slot finds a field; nil if there is none.
func (o *object) slot(key string) *slot {
	if o.byKey != nil {
		return o.byKey[key]
	}
	for _, s := range o.slots {
		if s.name == key {
			return s
		}
	}
	if o.all {
		return nil
	}
	if len(o.slots) >= lookups {
		o.table()
		return o.slot(key)
	}
	var last bson.RawValue
	for b := inside(o.raw); ; {
		name, v, _, rest, err := element(b)
		if err != nil {
			panic(o.m.fail(err))
		}
		if v.Type == 0 {
			break
		}
		if string(name) == key {
			last = v // of two fields of one name the last counts
		}
		b = rest
	}
	if last.Type == 0 {
		return nil
	}
	s := &slot{name: key, from: last}
	o.slots = append(o.slots, s)
	return s
}

// table makes a slot of every field.
func (o *object) table() {
	if o.all {
		return
	}
	known := o.slots
	text := string(o.raw) // names are cut from one copy
	o.slots, o.all = make([]*slot, 0, 16), true
	store := make([]slot, 0, 16)
	at := 4
	for b := inside(o.raw); len(b) > 0; {
		name, v, whole, rest, err := element(b)
		if err != nil {
			panic(o.m.fail(err))
		}
		if v.Type == 0 {
			break
		}
		if len(store) == cap(store) {
			store = make([]slot, 0, 2*cap(store))
		}
		store = append(store, slot{name: text[at+1 : at+1+len(name)], from: v})
		o.add(&store[len(store)-1])
		at, b = at+len(whole), rest
	}
	for _, s := range known {
		if at := slices.IndexFunc(o.slots, func(x *slot) bool { return x.name == s.name }); at >= 0 {
			o.slots[at] = s
			if o.byKey != nil {
				o.byKey[s.name] = s
			}
		} else {
			o.add(s)
		}
	}
}

// add appends a field, or replaces that of its name.
func (o *object) add(s *slot) {
	if o.all && o.byKey == nil && len(o.slots) > 2*lookups {
		o.byKey = make(map[string]*slot, 2*len(o.slots))
		for _, x := range o.slots {
			o.byKey[x.name] = x
		}
	}
	if o.byKey == nil {
		if i := slices.IndexFunc(o.slots, func(x *slot) bool { return x.name == s.name }); i >= 0 {
			o.slots[i] = s
			return
		}
	} else {
		if old := o.byKey[s.name]; old != nil {
			*old = *s
			return
		}
		o.byKey[s.name] = s
	}
	o.slots = append(o.slots, s)
}

func (o *object) changed() bool {
	return o.dirty || slices.ContainsFunc(o.slots, (*slot).changed)
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
		s = &slot{name: key}
		if o.m.grown(1); o.all {
			o.add(s)
		} else {
			o.slots = append(o.slots, s)
		}
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
	if s := o.slot(key); s != nil && !s.gone {
		s.gone, o.dirty = true, true
	}
	return true
}

// Keys implements goja.DynamicObject.
func (o *object) Keys() []string {
	o.table()
	out := make([]string, 0, len(o.slots))
	for _, s := range o.slots {
		if !s.gone {
			out = append(out, s.name)
		}
	}
	return out
}
