package script

import (
	"slices"

	"github.com/dop251/goja"
)

// array is an array of a document as a script sees it: elements are decoded when they
// are touched.
type array struct {
	m   *machine
	raw []byte
	// slots are the elements, once they were looked at.
	slots  []slot
	opened bool
	dirty  bool
}

func (a *array) open() {
	if a.opened {
		return
	}
	a.opened = true
	for b := inside(a.raw); len(b) > 0; {
		_, v, _, rest, err := element(b)
		if err != nil {
			panic(a.m.fail(err))
		}
		if v.Type == 0 {
			break
		}
		a.slots = append(a.slots, slot{from: v})
		b = rest
	}
}

func (a *array) changed() bool {
	return a.dirty || slices.ContainsFunc(a.slots, func(s slot) bool { return s.changed() })
}

// Len implements goja.DynamicArray.
func (a *array) Len() int {
	a.open()
	return len(a.slots)
}

// Get implements goja.DynamicArray.
func (a *array) Get(i int) goja.Value {
	if a.open(); i < 0 || i >= len(a.slots) {
		return nil
	}
	return a.slots[i].get(a.m)
}

// Set implements goja.DynamicArray.
func (a *array) Set(i int, v goja.Value) bool {
	if a.open(); i < 0 {
		return false
	}
	if i >= len(a.slots) && !a.SetLen(i+1) {
		return false
	}
	if a.slots[i].put(v) {
		a.dirty = true
	}
	return true
}

// SetLen implements goja.DynamicArray.
func (a *array) SetLen(n int) bool {
	if a.open(); n < 0 {
		return false
	}
	if n < len(a.slots) {
		clear(a.slots[n:])
		a.slots, a.dirty = a.slots[:n], true
		return true
	}
	a.m.length(int64(n))
	for a.m.grown(n - len(a.slots)); len(a.slots) < n; a.dirty = true {
		a.slots = append(a.slots, slot{val: goja.Undefined(), set: true})
	}
	return true
}
