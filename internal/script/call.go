package script

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// answer is what a script said of one document.
type answer struct {
	result result
	// doc is the document as it is now: the same bytes if nothing was changed.
	doc bson.Raw
	// meta: the script has set what is said of a document beside its body.
	meta bool
	// broken: the machine is not to be used again.
	broken bool
	// err is set with resultError and resultCut.
	err *failure
}

// call runs the script over one document. The error says that MongoDB could not be asked.
func (m *machine) call(ctx context.Context, ns flow.Namespace, id bson.RawValue, doc bson.Raw) (answer, error) {
	if m.ns != ns || m.nsText == nil {
		m.ns, m.nsText = ns, m.rt.ToValue(ns.String())
	}
	m.ctx, m.down = ctx, nil
	m.begin(m.timeout)
	defer m.end()
	var out answer
	err := m.try(func() error {
		own := &object{m: m, raw: doc}
		shown := m.rt.NewDynamicObject(own)
		v, err := m.fn(shown, shown, m.nsText, m.rt.NewObject())
		if err != nil {
			return err
		}
		if m.entry.Kind == Filter {
			out = m.kept(v, doc)
			return nil
		}
		out, err = m.mapped(v, shown, own, id)
		return err
	})
	switch {
	case m.down != nil:
		return answer{broken: true}, m.down
	case err != nil:
		f := m.describe(err)
		out = answer{result: resultError, err: f}
		if f.cut {
			out.result, out.broken = resultCut, true
		}
	}
	return out, nil
}

// kept is the answer of a filter.
func (m *machine) kept(v goja.Value, doc bson.Raw) answer {
	switch {
	case v.ToBoolean():
		return answer{result: resultKept, doc: doc}
	case m.mode == Monstache:
		return answer{result: resultSkipped}
	}
	return answer{result: resultLeft}
}

// mapped is the answer of a map that returned v.
func (m *machine) mapped(v goja.Value, shown *goja.Object, own *object, id bson.RawValue) (answer, error) {
	o, isObject := v.(*goja.Object)
	switch {
	case !v.ToBoolean():
		if goja.IsUndefined(v) && m.opts.Logger != nil && m.silent.CompareAndSwap(false, true) {
			m.opts.Logger.Warn("a script returned nothing, so the document does not belong into the index; is a return missing?", slog.String("script", m.entry.Name))
		}
		return answer{result: resultLeft}, nil
	case isObject && o == shown && !own.changed():
		return answer{result: resultKept, doc: own.raw}, nil
	case isObject && isDocument(o):
		return m.written(o, id)
	case m.mode == Monstache && boxOf(v) == nil:
		return answer{result: resultKept, doc: own.raw}, nil
	case !isObject && v.StrictEquals(m.rt.ToValue(true)):
		return answer{result: resultKept, doc: own.raw}, nil
	}
	what := "a value of BSON"
	switch {
	case !isObject:
		what = fmt.Sprintf("a %T", v.Export())
	case boxOf(v) == nil:
		what = "an object of the kind " + o.ClassName()
	}
	return answer{}, errors.New("it returned " + what + "; a map returns the document, another object, true for the document as it was, or false")
}

// isDocument tells whether a value that was returned can be a document.
func isDocument(o *goja.Object) bool {
	switch o.ExportType() {
	case reflect.TypeFor[*box](), reflect.TypeFor[*array](), reflect.TypeFor[[]byte](), reflect.TypeFor[goja.ArrayBuffer]():
		return false
	}
	return o.ClassName() == "Object"
}

// written encodes a document that was returned.
func (m *machine) written(o *goja.Object, id bson.RawValue) (answer, error) {
	m.out, m.outErr = writer{m: m, id: id}, nil
	_, err := m.encode(goja.Undefined(), o)
	if err == nil {
		err = m.outErr
	}
	if err != nil {
		return answer{}, fmt.Errorf("what it returned can't be written: %w", err)
	}
	out := answer{result: resultChanged, doc: m.out.buf, meta: m.out.meta}
	m.out = writer{}
	return out, nil
}
