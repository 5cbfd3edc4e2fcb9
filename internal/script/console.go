package script

import (
	"context"
	_ "embed"
	"log/slog"
	"strings"

	"github.com/dop251/goja"
)

// underscore is Underscore 1.13.8, under the MIT licence that stands beside it.
//
//go:embed third_party/underscore.js
var underscore string

// underscoreName is how messages call it.
const underscoreName = "underscore.js"

// maxLine is how much one call of the console may say.
const maxLine = 8 << 10

// setConsole lets the console of a script write to our log.
func (m *machine) setConsole() {
	o := m.rt.NewObject()
	for name, level := range map[string]slog.Level{
		"log": slog.LevelInfo, "info": slog.LevelInfo, "debug": slog.LevelDebug,
		"trace": slog.LevelDebug, "warn": slog.LevelWarn, "error": slog.LevelError,
	} {
		_ = o.Set(name, func(c goja.FunctionCall) goja.Value {
			if m.opts.Logger == nil || !m.opts.Logger.Enabled(context.Background(), level) {
				return goja.Undefined()
			}
			words := make([]string, len(c.Arguments))
			for i, a := range c.Arguments {
				words[i] = m.word(a)
			}
			line := strings.Join(words, " ")
			if len(line) > maxLine {
				line = strings.ToValidUTF8(line[:maxLine], "") + " …"
			}
			m.opts.Logger.Log(context.Background(), level, line, slog.String("script", m.entry.Name))
			return goja.Undefined()
		})
	}
	_ = m.rt.Set("console", o)
}

// word is a value as the console shows it: objects as JSON.
func (m *machine) word(v goja.Value) string {
	o, ok := v.(*goja.Object)
	if !ok || o.ClassName() != "Object" && o.ClassName() != "Array" || boxOf(v) != nil {
		return v.String()
	}
	stringify, _ := goja.AssertFunction(m.rt.Get("JSON").(*goja.Object).Get("stringify"))
	text, err := stringify(goja.Undefined(), v)
	if err != nil {
		return v.String()
	}
	return text.String()
}

// setRequire gives scripts Underscore: as _ when they first use it, and by require.
func (m *machine) setRequire() {
	var loaded goja.Value
	load := func() goja.Value {
		if loaded == nil {
			module := m.rt.NewObject()
			_ = module.Set("exports", m.rt.NewObject())
			wrap, err := m.rt.RunProgram(m.opts.library)
			if err != nil {
				panic(m.fail(err))
			}
			f, _ := goja.AssertFunction(wrap)
			if _, err := f(m.rt.GlobalObject(), module.Get("exports"), module); err != nil {
				panic(m.fail(err))
			}
			loaded = module.Get("exports")
			_ = m.rt.GlobalObject().DefineDataProperty("_", loaded, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE)
		}
		return loaded
	}
	_ = m.rt.Set("require", func(c goja.FunctionCall) goja.Value {
		switch name := textOf(c.Argument(0)); name {
		case "underscore", "underscore.js":
			return load()
		default:
			panic(m.rt.NewTypeError("require knows underscore, and not " + name))
		}
	})
	get := m.rt.ToValue(func(goja.FunctionCall) goja.Value { return load() })
	set := m.rt.ToValue(func(c goja.FunctionCall) goja.Value {
		_ = m.rt.GlobalObject().DefineDataProperty("_", c.Argument(0), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE)
		return goja.Undefined()
	})
	_ = m.rt.GlobalObject().DefineAccessorProperty("_", get, set, goja.FLAG_TRUE, goja.FLAG_FALSE)
}
