package script

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// setFinders gives scripts what asks MongoDB.
func (m *machine) setFinders() {
	set := func(name string, none goja.Value, f func(c goja.FunctionCall) (goja.Value, error)) {
		_ = m.rt.Set(name, func(c goja.FunctionCall) goja.Value {
			v, err := f(c)
			switch {
			case err == nil:
				return v
			case m.down != nil:
				m.rt.Interrupt(m.down)
				return none
			case m.mode == Monstache:
				if m.opts.Logger != nil {
					m.opts.Logger.Warn("a question of a script failed", slog.String("script", m.entry.Name), slog.String("question", name), slog.Any(flow.LogErr, err))
				}
				return none
			}
			panic(m.fail(fmt.Errorf("%s: %w", name, err)))
		})
	}
	one := func(filter goja.Value, opt goja.Value) (goja.Value, error) {
		docs, err := m.find(filter, opt, 1)
		if err != nil || len(docs) == 0 {
			return goja.Null(), err
		}
		return m.found(docs[0]), nil
	}
	set("findId", goja.Null(), func(c goja.FunctionCall) (goja.Value, error) {
		filter := m.rt.NewObject()
		_ = filter.Set(idField, c.Argument(0))
		return one(filter, c.Argument(1))
	})
	set("findOne", goja.Null(), func(c goja.FunctionCall) (goja.Value, error) { return one(c.Argument(0), c.Argument(1)) })
	set("find", goja.Null(), func(c goja.FunctionCall) (goja.Value, error) {
		docs, err := m.find(c.Argument(0), c.Argument(1), 0)
		return m.list(docs), err
	})
	set("pipe", goja.Null(), func(c goja.FunctionCall) (goja.Value, error) {
		docs, err := m.pipe(c.Argument(0), c.Argument(1))
		return m.list(docs), err
	})
}

// found is a document of MongoDB for the script.
func (m *machine) found(doc bson.Raw) goja.Value {
	return m.rt.NewDynamicObject(&object{m: m, raw: doc})
}

func (m *machine) list(docs []bson.Raw) goja.Value {
	out := make([]any, len(docs))
	for i, doc := range docs {
		out[i] = m.found(doc)
	}
	return m.rt.NewArray(out...)
}

// option is one of the options of a question, nil if it is not given.
func option(opt goja.Value, name string) goja.Value {
	o, ok := opt.(*goja.Object)
	if !ok {
		return nil
	}
	v := o.Get(name)
	if v == nil || goja.IsUndefined(v) || goja.IsNull(v) {
		return nil
	}
	return v
}

// target is the namespace that a question is for: that of the document, unless its
// options name another.
func (m *machine) target(opt goja.Value) flow.Namespace {
	ns := m.ns
	if v := option(opt, "database"); v != nil {
		ns.DB = v.String()
	}
	if v := option(opt, "collection"); v != nil {
		ns.Coll = v.String()
	}
	return ns
}

// query is a value as a document for MongoDB; nil for none.
func (m *machine) query(v goja.Value, what string) (bson.Raw, error) {
	if v == nil {
		return nil, nil
	}
	o, ok := v.(*goja.Object)
	if !ok || !isDocument(o) {
		return nil, errors.New(what + " is no object")
	}
	w := writer{m: m, hexIDs: m.mode == Monstache}
	if err := w.document(o); err != nil {
		return nil, err
	}
	return w.buf, nil
}

func (m *machine) find(filter, opt goja.Value, limit int64) ([]bson.Raw, error) {
	if m.opts.Reader == nil {
		return nil, errors.New("there is no MongoDB to ask here")
	}
	var q Query
	var err error
	if q.Filter, err = m.query(filter, "the query"); err != nil {
		return nil, err
	}
	if q.Select, err = m.query(option(opt, "select"), "select"); err != nil {
		return nil, err
	}
	if q.Sort, err = m.sort(option(opt, "sort")); err != nil {
		return nil, err
	}
	if q.Limit = limit; limit == 0 {
		if v := option(opt, "limit"); v != nil {
			q.Limit = v.ToInteger()
		}
	}
	ctx, cancel := m.question()
	defer cancel()
	docs, err := m.opts.Reader.Find(ctx, m.target(opt), q)
	return docs, m.judge(ctx, err)
}

// sort reads {field: -1}, or as in ["-field", "other"].
func (m *machine) sort(v goja.Value) (bson.Raw, error) {
	o, ok := v.(*goja.Object)
	if v == nil || ok && o.ClassName() != "Array" {
		return m.query(v, "sort")
	}
	if !ok {
		return nil, errors.New("sort is no object")
	}
	var order bson.D
	for _, k := range o.Keys() {
		name := o.Get(k).String()
		field, down := strings.CutPrefix(name, "-")
		by := 1
		if down {
			by = -1
		}
		order = append(order, bson.E{Key: strings.TrimPrefix(field, "+"), Value: by})
	}
	return bson.Marshal(order)
}

func (m *machine) pipe(stages, opt goja.Value) ([]bson.Raw, error) {
	if m.opts.Reader == nil {
		return nil, errors.New("there is no MongoDB to ask here")
	}
	list, ok := stages.(*goja.Object)
	if !ok || list.ClassName() != "Array" {
		return nil, errors.New("the stages are no array")
	}
	all := make([]bson.Raw, 0, 4)
	for _, k := range list.Keys() {
		stage, err := m.query(list.Get(k), "a stage")
		if err != nil {
			return nil, err
		}
		for _, never := range []string{"$out", "$merge"} {
			if _, err := stage.LookupErr(never); err == nil {
				return nil, errors.New(never + " writes; a script only reads")
			}
		}
		all = append(all, stage)
	}
	ctx, cancel := m.question()
	defer cancel()
	docs, err := m.opts.Reader.Pipe(ctx, m.target(opt), all)
	return docs, m.judge(ctx, err)
}

// question is a context that ends with the call.
func (m *machine) question() (context.Context, context.CancelFunc) {
	m.mu.Lock()
	deadline := m.deadline
	m.mu.Unlock()
	ctx := m.ctx
	if ctx == nil {
		ctx = context.Background()
	}
	return context.WithDeadline(ctx, deadline)
}

// judge tells what is no fault of the document from what is.
func (m *machine) judge(ctx context.Context, err error) error {
	class := flow.ClassOf(err)
	late := ctx.Err() != nil && (m.ctx == nil || m.ctx.Err() == nil)
	if err != nil && !late && (class == flow.Transient || class == flow.Auth) {
		m.down = err
	}
	return err
}
