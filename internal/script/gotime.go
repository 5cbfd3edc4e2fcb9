package script

import (
	"math"
	"time"

	"github.com/dop251/goja"
)

// setTimes gives dates the methods of Go's times, which is what scripts of Monstache
// get instead of a Date. Those of Date are there as well.
func (m *machine) setTimes() {
	p := m.prototype("Date")
	for name, f := range map[string]func(t time.Time, c goja.FunctionCall) any{
		"Unix":       func(t time.Time, _ goja.FunctionCall) any { return t.Unix() },
		"UnixMilli":  func(t time.Time, _ goja.FunctionCall) any { return t.UnixMilli() },
		"UnixNano":   func(t time.Time, _ goja.FunctionCall) any { return t.UnixNano() },
		"Year":       func(t time.Time, _ goja.FunctionCall) any { return t.Year() },
		"Month":      func(t time.Time, _ goja.FunctionCall) any { return int(t.Month()) },
		"Day":        func(t time.Time, _ goja.FunctionCall) any { return t.Day() },
		"Hour":       func(t time.Time, _ goja.FunctionCall) any { return t.Hour() },
		"Minute":     func(t time.Time, _ goja.FunctionCall) any { return t.Minute() },
		"Second":     func(t time.Time, _ goja.FunctionCall) any { return t.Second() },
		"Nanosecond": func(t time.Time, _ goja.FunctionCall) any { return t.Nanosecond() },
		"Weekday":    func(t time.Time, _ goja.FunctionCall) any { return int(t.Weekday()) },
		"YearDay":    func(t time.Time, _ goja.FunctionCall) any { return t.YearDay() },
		"String":     func(t time.Time, _ goja.FunctionCall) any { return t.String() },
		"Format":     func(t time.Time, c goja.FunctionCall) any { return t.Format(c.Argument(0).String()) },
	} {
		v := m.rt.ToValue(func(c goja.FunctionCall) goja.Value {
			o, ok := c.This.(*goja.Object)
			if !ok || o.ClassName() != "Date" {
				panic(m.rt.NewTypeError(name + " is of a date"))
			}
			ms := o.ToFloat()
			if math.IsNaN(ms) {
				panic(m.rt.NewTypeError("this date is an Invalid Date"))
			}
			return m.rt.ToValue(f(time.UnixMilli(int64(ms)).UTC(), c))
		})
		_ = p.DefineDataProperty(name, v, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE)
	}
}
