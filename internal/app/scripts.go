package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/mongo"
	"sluice/internal/script"
)

// scriptsOf reads the scripts of a flow; nil without any.
func scriptsOf(f *config.Flow, reader script.Reader, log *slog.Logger, m *script.Metrics) (*script.Stage, error) {
	if len(f.Scripts) == 0 {
		return nil, nil
	}
	o := script.Options{Reader: reader, Logger: log, Metrics: m}
	for i := range f.Scripts {
		s := &f.Scripts[i]
		e := script.Entry{
			Name: s.Path, Code: s.Source(), Kind: script.Kind(s.Kind), Mode: script.Mode(s.Mode),
			Shared: s.State == config.ScriptShared, Timeout: s.Timeout,
		}
		if e.Name == "" {
			e.Name = fmt.Sprintf("scripts[%d]", i)
		}
		e.NS, _ = flow.ParseNamespace(s.Namespace)
		o.Entries = append(o.Entries, e)
	}
	stage, err := script.Compile(o)
	if err != nil {
		return nil, &flow.Error{
			Op: "read the scripts of flow", Object: f.Name, Class: flow.Config, Err: err,
			Hint: "sluice script test FILE --doc SAMPLE.json runs a script without any server",
		}
	}
	return stage, nil
}

// scriptReader lets scripts ask the source of their flow.
type scriptReader struct{ f *flowRun }

func (r scriptReader) Find(ctx context.Context, ns flow.Namespace, q script.Query) ([]bson.Raw, error) {
	return r.f.source.Find(ctx, ns, mongo.Question{Filter: q.Filter, Projection: q.Select, Sort: q.Sort, Limit: q.Limit})
}

func (r scriptReader) Pipe(ctx context.Context, ns flow.Namespace, stages []bson.Raw) ([]bson.Raw, error) {
	return r.f.source.Aggregate(ctx, ns, stages)
}

// stages are several stages as one.
type stages []flow.Stage

// Apply runs them one after the other. Only the last may fail, for a batch that failed
// comes again.
func (s stages) Apply(ctx context.Context, b flow.Batch) (flow.Batch, error) {
	for _, one := range s {
		var err error
		if b, err = one.Apply(ctx, b); err != nil {
			return b, err
		}
	}
	return b, nil
}

// scripted are some documents as scripts leave them; it tells how many they fail on.
// Scripts that ask MongoDB are not tried.
func (d *doctor) scripted(ctx context.Context, run *flowRun, ns flow.Namespace, docs []bson.Raw) []bson.Raw {
	const check = "search.documents"
	if run.scripts == nil || run.scripts.Asks() {
		return docs
	}
	b := flow.Batch{Changes: make([]flow.Change, len(docs))}
	for i, doc := range docs {
		b.Changes[i] = flow.Change{Op: flow.OpWrite, NS: ns, ID: doc.Lookup("_id"), Doc: doc}
	}
	b, err := run.scripts.Apply(ctx, b)
	if err != nil {
		d.f.Fail(flow.FindingWarning, check, ns.String(), err, "")
		return docs
	}
	var out []bson.Raw
	var first error
	bad := 0
	for i := range b.Changes {
		switch c := &b.Changes[i]; {
		case c.Fault != nil:
			if bad++; first == nil {
				first = c.Fault.Err
			}
		case c.Op == flow.OpWrite:
			out = append(out, c.Doc)
		}
	}
	if bad > 0 {
		var e *flow.Error
		if errors.As(first, &e) {
			first = e.Err
		}
		d.f.Add(flow.FindingWarning, check, ns.String(), fmt.Sprintf("%s: a script fails on %d of %d documents looked at", ns, bad, len(docs)),
			first.Error(), "they will lie in the dead letters; mend the script, and try it by sluice script test")
	}
	return out
}
