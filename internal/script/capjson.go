package script

import (
	"github.com/dop251/goja"
)

// capJSON bounds what natives of JSON go through.
func (m *machine) capJSON() {
	j := m.rt.Get("JSON").(*goja.Object)
	m.guard(j, "parse", func(c goja.FunctionCall) {
		text := textOf(c.Argument(0))
		m.text(int64(len(text)))
		if nestedDeeper(text, maxNested) {
			panic(m.rangeError("JSON nested deeper than %d", maxNested))
		}
	})
	was, _ := j.Get("stringify").(*goja.Object)
	native, ok := was.Export().(func(goja.FunctionCall) goja.Value)
	if !ok {
		return
	}
	m.replace(j, "stringify", was, func(call goja.FunctionCall) goja.Value {
		m.punctual()
		args := make([]goja.Value, 3)
		for i := range args {
			args[i] = call.Argument(i)
		}
		args[1] = m.rt.ToValue(m.watchStringify(args[1]))
		return native(goja.FunctionCall{This: call.This, Arguments: args})
	})
}

// nestedDeeper tells whether brackets of a text are nested deeper than most.
func nestedDeeper(text string, most int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			if depth++; depth > most {
				return true
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return false
}

// watchStringify is a replacer that counts what is written, and how deep; it does
// besides what the replacer of the script does.
func (m *machine) watchStringify(replacer goja.Value) func(goja.FunctionCall) goja.Value {
	function, _ := goja.AssertFunction(replacer)
	var only map[string]bool
	if o, ok := replacer.(*goja.Object); ok && function == nil && o.ClassName() == "Array" {
		only = map[string]bool{}
		for _, k := range o.Keys() {
			only[o.Get(k).String()] = true
		}
	}
	var path []*goja.Object
	left := maxItems
	return func(c goja.FunctionCall) goja.Value {
		if left--; left < 0 {
			m.length(maxItems + 1)
		}
		m.punctual()
		holder, _ := c.This.(*goja.Object)
		for len(path) > 0 && path[len(path)-1] != holder {
			path = path[:len(path)-1]
		}
		v := c.Argument(1)
		switch {
		case function != nil:
			var err error
			if v, err = function(c.This, c.Arguments...); err != nil {
				panic(err)
			}
		case only != nil && holder != nil && holder.ClassName() != "Array" && c.Argument(0).String() != "" && !only[c.Argument(0).String()]:
			return goja.Undefined()
		}
		if o, ok := v.(*goja.Object); ok {
			if path = append(path, o); len(path) > maxNested {
				panic(m.rangeError("JSON nested deeper than %d", maxNested))
			}
		}
		return v
	}
}
