package script

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/dop251/goja"
)

// The caps on what a script may build. Those on single steps are for natives of the
// engine, which nobody can interrupt.
const (
	// maxDepth is how deep calls may go.
	maxDepth = 1000
	// maxText is how many characters a native may write at once.
	maxText = 64 << 20
	// maxBuilt is how many all natives may write in one call of the script.
	maxBuilt = 256 << 20
	// maxItems is how long an array may be for a native to work on it.
	maxItems = 4 << 20
	// maxSource is how long a text may be that is read as a program or as a pattern.
	maxSource = 64 << 10
	// maxNested is how deep documents and texts of JSON may be nested.
	maxNested = 1000
	// maxHeap is by how much the memory of the process may grow during one call, over
	// what garbage makes of it.
	maxHeap = 128 << 20
)

// The reasons of what is cut.
var (
	errLate = errors.New("cut: the call took longer than its timeout")
	errHeap = errors.New("cut: the memory grew too much during the call")
)

// rangeError is what is thrown when a script builds too much at once.
func (m *machine) rangeError(format string, args ...any) any {
	m.capped = true
	e, err := m.newRangeError(nil, m.rt.ToValue("cut: "+fmt.Sprintf(format, args...)))
	if err != nil {
		return m.rt.NewTypeError("cut")
	}
	return m.rt.ToValue(e)
}

// fail makes an error of Go one that can be thrown.
func (m *machine) fail(err error) any { return m.rt.NewGoError(err) }

// text counts characters that a native is about to write.
func (m *machine) text(n int64) {
	m.punctual()
	if n > maxText {
		panic(m.rangeError("a text of more than %d characters", maxText))
	}
	if m.built += n; m.built > maxBuilt {
		panic(m.rangeError("texts of more than %d characters in one call", maxBuilt))
	}
}

// length checks the length of what a native is about to go through.
func (m *machine) length(n int64) {
	m.punctual()
	if n > maxItems {
		panic(m.rangeError("more than %d elements at once", maxItems))
	}
}

// grown counts fields and elements that a script adds to documents.
func (m *machine) grown(n int) {
	if m.added += n; m.added > maxItems {
		panic(m.rangeError("more than %d new fields and elements", maxItems))
	}
}

// punctual throws when the call is already too late: natives that call each other
// would go on.
func (m *machine) punctual() {
	if m.late.Load() {
		panic(m.rangeError("too late"))
	}
}

// lengthOf is the length of a value that is like an array, 0 for anything else.
func (m *machine) lengthOf(v goja.Value) int64 {
	switch o := v.(type) {
	case *goja.Object:
		if n := o.Get("length"); n != nil && !goja.IsUndefined(n) {
			return n.ToInteger()
		}
	case goja.String:
		return int64(o.Length())
	}
	return 0
}

// textOf is a value as text, "" for what is missing.
func textOf(v goja.Value) string {
	if v == nil || goja.IsUndefined(v) || goja.IsNull(v) {
		return ""
	}
	return v.String()
}

// lengthOfText is how many characters a value has as text; objects are not asked.
func lengthOfText(v goja.Value) int64 {
	switch s := v.(type) {
	case nil, *goja.Object:
		return 0
	case goja.String:
		return int64(s.Length())
	}
	return 20
}

// guard puts check before a native of on.
func (m *machine) guard(on *goja.Object, name string, check func(goja.FunctionCall)) {
	v, _ := on.Get(name).(*goja.Object)
	if v == nil {
		return
	}
	native, ok := v.Export().(func(goja.FunctionCall) goja.Value)
	if !ok {
		return
	}
	m.replace(on, name, v, func(call goja.FunctionCall) goja.Value {
		check(call)
		return native(call)
	})
}

// replace puts another native in the place of was.
func (m *machine) replace(on *goja.Object, name string, was *goja.Object, with func(goja.FunctionCall) goja.Value) {
	f := m.rt.ToValue(with).(*goja.Object)
	for _, p := range []string{"name", "length"} {
		if v := was.Get(p); v != nil {
			_ = f.DefineDataProperty(p, v, goja.FLAG_FALSE, goja.FLAG_TRUE, goja.FLAG_FALSE)
		}
	}
	_ = on.DefineDataProperty(name, f, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE)
}

// prototype is the prototype of a global constructor.
func (m *machine) prototype(of string) *goja.Object {
	return m.rt.Get(of).(*goja.Object).Get("prototype").(*goja.Object)
}

// capNatives puts the caps before the natives that need one.
func (m *machine) capNatives() error {
	m.capTexts()
	m.capArrays()
	m.capJSON()
	_ = m.rt.Set("__length", func(call goja.FunctionCall) goja.Value {
		v := call.Argument(0)
		if _, isObject := v.(*goja.Object); isObject {
			m.length(m.lengthOf(v))
		} else {
			m.length(v.ToInteger() / 16)
		}
		return goja.Undefined()
	})
	_ = m.rt.Set("__source", func(call goja.FunctionCall) goja.Value {
		for _, a := range call.Arguments {
			m.source(a)
		}
		return goja.Undefined()
	})
	_, err := m.rt.RunString(capConstructors)
	return err
}

func (m *machine) source(v goja.Value) {
	m.punctual()
	if lengthOfText(v) > maxSource {
		panic(m.rangeError("a program or pattern of more than %d characters", maxSource))
	}
}

func (m *machine) capTexts() {
	p := m.prototype("String")
	m.guard(p, "repeat", func(c goja.FunctionCall) {
		if n := c.Argument(0).ToFloat(); n >= 1 {
			m.text(int64(min(n, maxText+1)) * max(1, int64(len(textOf(c.This)))))
		}
	})
	for _, name := range []string{"padStart", "padEnd"} {
		m.guard(p, name, func(c goja.FunctionCall) { m.text(int64(min(c.Argument(0).ToFloat(), maxText+1))) })
	}
	m.guard(p, "concat", func(c goja.FunctionCall) {
		n := lengthOfText(c.This)
		for _, a := range c.Arguments {
			n += lengthOfText(a)
		}
		m.text(n)
	})
	for _, name := range []string{"replace", "replaceAll"} {
		m.guard(p, name, func(c goja.FunctionCall) { m.replaced(c) })
	}
	m.guard(p, "split", func(c goja.FunctionCall) { m.length(lengthOfText(c.This)) })
	for _, name := range []string{"match", "matchAll", "search"} {
		m.guard(p, name, func(c goja.FunctionCall) { m.source(c.Argument(0)) })
	}
	if iterate, ok := p.GetSymbol(goja.SymIterator).(*goja.Object); ok {
		native, _ := iterate.Export().(func(goja.FunctionCall) goja.Value)
		_ = p.DefineDataPropertySymbol(goja.SymIterator, m.rt.ToValue(func(call goja.FunctionCall) goja.Value {
			m.length(lengthOfText(call.This))
			return native(call)
		}), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE)
	}
	m.guard(m.rt.Get("String").(*goja.Object), "raw", func(c goja.FunctionCall) {
		if o, ok := c.Argument(0).(*goja.Object); ok {
			m.length(m.lengthOf(o.Get("raw")))
		}
	})
}

// replaced counts what a replacement may write at most.
func (m *machine) replaced(c goja.FunctionCall) {
	if _, function := c.Argument(1).(*goja.Object); function || len(c.Arguments) < 2 {
		m.punctual()
		return
	}
	with, in := textOf(c.Argument(1)), lengthOfText(c.This)
	each := int64(len(with))
	if strings.Contains(with, "$`") || strings.Contains(with, "$'") {
		each = in
	}
	if each > 1024 {
		m.text(min(in+1, maxText) * min(each, maxText))
	}
}

// capArrays checks the length of what natives of arrays work on.
func (m *machine) capArrays() {
	p := m.prototype("Array")
	for _, name := range p.GetOwnPropertyNames() {
		switch name {
		case "constructor", "length", "push", "pop", "at", "concat", "join", "toString", "toLocaleString", "flat":
			continue
		}
		m.guard(p, name, func(c goja.FunctionCall) { m.length(m.lengthOf(c.This)) })
	}
	_ = p.DefineDataPropertySymbol(goja.SymIterator, p.Get("values"), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE)
	m.guard(p, "concat", func(c goja.FunctionCall) {
		n := m.lengthOf(c.This)
		for _, a := range c.Arguments {
			if _, object := a.(*goja.Object); object {
				n += m.lengthOf(a)
			}
		}
		m.length(n)
	})
	for _, name := range []string{"join", "toString", "toLocaleString"} {
		m.nesting(p, name, func(c goja.FunctionCall) { m.joined(c) })
	}
	m.guard(p, "flat", func(c goja.FunctionCall) {
		left := maxItems
		m.flattened(c.This, 0, &left)
	})
	all := m.rt.Get("Array").(*goja.Object)
	m.guard(all, "from", func(c goja.FunctionCall) { m.length(m.lengthOf(c.Argument(0))) })
	call := m.prototype("Function")
	m.guard(call, "apply", func(c goja.FunctionCall) { m.length(4 * m.lengthOf(c.Argument(1))) })
	reflect := m.rt.Get("Reflect").(*goja.Object)
	m.guard(reflect, "apply", func(c goja.FunctionCall) { m.length(4 * m.lengthOf(c.Argument(2))) })
	m.guard(reflect, "construct", func(c goja.FunctionCall) { m.length(4 * m.lengthOf(c.Argument(1))) })
}

// nesting is guard for a native that calls itself by way of values.
func (m *machine) nesting(on *goja.Object, name string, check func(goja.FunctionCall)) {
	v, _ := on.Get(name).(*goja.Object)
	native, ok := v.Export().(func(goja.FunctionCall) goja.Value)
	if !ok {
		return
	}
	m.replace(on, name, v, func(call goja.FunctionCall) goja.Value {
		check(call)
		m.nested++
		defer func() { m.nested-- }()
		if m.nested > maxNested {
			panic(m.rangeError("arrays nested deeper than %d", maxNested))
		}
		return native(call)
	})
}

// joined counts what a join will write.
func (m *machine) joined(c goja.FunctionCall) {
	o, ok := c.This.(*goja.Object)
	if !ok {
		return
	}
	n := m.lengthOf(o)
	if m.length(n); n < 2 {
		return
	}
	sep := int64(1)
	if _, text := c.Argument(0).(goja.String); text {
		sep = lengthOfText(c.Argument(0))
	}
	total := min(n*sep, 2*maxText)
	for i := int64(0); i < n && total <= maxText; i++ {
		total += lengthOfText(o.Get(strconv.FormatInt(i, 10)))
	}
	m.text(total)
}

// flattened counts the elements that flat would go through.
func (m *machine) flattened(v goja.Value, depth int, left *int) {
	o, ok := v.(*goja.Object)
	if !ok || o.ClassName() != "Array" {
		return
	}
	if m.punctual(); depth > maxNested {
		panic(m.rangeError("arrays nested deeper than %d", maxNested))
	}
	for i, n := int64(0), m.lengthOf(o); i < n; i++ {
		if *left--; *left < 0 {
			m.length(maxItems + 1)
		}
		m.flattened(o.Get(strconv.FormatInt(i, 10)), depth+1, left)
	}
}

// capConstructors is what has to be done to constructors: those that take a length, and
// those that read programs and patterns.
const capConstructors = `(function (length, source) {
	'use strict';
	function cap(name, check) {
		var was = globalThis[name];
		if (!was) return;
		var now = new Proxy(was, {
			construct: function (t, a, n) { check.apply(null, a); return Reflect.construct(t, a, n); },
			apply: function (t, self, a) { check.apply(null, a); return Reflect.apply(t, self, a); }
		});
		Object.defineProperty(globalThis, name, {value: now, writable: true, configurable: true, enumerable: false});
		Object.defineProperty(was.prototype, 'constructor', {value: now, writable: true, configurable: true, enumerable: false});
	}
	function first(v) { length(v); }
	['ArrayBuffer', 'Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array', 'Int32Array', 'Uint32Array',
		'Float32Array', 'Float64Array', 'BigInt64Array', 'BigUint64Array'].forEach(function (name) { cap(name, first); });
	cap('Function', source);
	cap('RegExp', source);
	[function* () {}, async function () {}].forEach(function (f) {
		delete Object.getPrototypeOf(f).constructor;
	});
	var run = globalThis.eval;
	globalThis.eval = function (text) { source(text); return run(text); };
})(__length, __source); delete globalThis.__length; delete globalThis.__source;`
