package app

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/mongo"
	"sluice/internal/pipeline"
	"sluice/internal/search"
)

// RestOptions name a flow that no process runs, and whose stores are worked on
// directly.
type RestOptions struct {
	Config *config.Config
	// Flow may be "" where the configuration has one flow.
	Flow string
	// Sure: the caller has made sure that no sluice runs the flow. Without it what
	// changes something is refused where no lock of the machine can tell.
	Sure   bool
	Logger *slog.Logger
}

// need is how much of a flow at rest is opened.
type need uint8

const (
	needLetters need = iota // the dead letters
	needLock                // and nobody else has the flow
	needAll                 // and both servers
)

// DeadLetters lists dead letters of a flow at rest.
func DeadLetters(ctx context.Context, o RestOptions, filter LetterFilter) (out DeadLetterList, err error) {
	err = o.with(ctx, needLetters, func(f *flowRun, _ writer) error {
		out, err = f.list(ctx, filter)
		return err
	})
	return out, err
}

// DropDeadLetters takes dead letters of a flow at rest away; all says that a
// choice of all is meant.
func DropDeadLetters(ctx context.Context, o RestOptions, filter LetterFilter, all bool) (out DeadLetterDrop, err error) {
	err = o.with(ctx, needLock, func(f *flowRun, _ writer) error {
		out, err = f.drop(ctx, filter, all)
		return err
	})
	return out, err
}

// RetryDeadLetters reads the documents of dead letters of a flow at rest again
// and writes them, some hundred letters at a time: see DeadLetterRetry.More.
func RetryDeadLetters(ctx context.Context, o RestOptions, filter LetterFilter) (out DeadLetterRetry, err error) {
	err = o.with(ctx, needAll, func(f *flowRun, write writer) error {
		out, err = f.retry(ctx, filter, write)
		return err
	})
	return out, err
}

// ResyncKeys reads documents of a namespace of a flow at rest again, by the
// values of their _id (see ParseKey), and writes them.
func ResyncKeys(ctx context.Context, o RestOptions, namespace string, keys []string) (out Resynced, err error) {
	ns, err := namespaceOf(namespace)
	if err != nil {
		return out, err
	}
	err = o.with(ctx, needAll, func(f *flowRun, write writer) error {
		out, err = f.resyncKeys(ctx, ns, keys, write)
		return err
	})
	return out, err
}

// CurrentDocument returns the document of a dead letter as MongoDB has it now,
// as canonical Extended JSON; "null" if there is none. It asks nothing but
// MongoDB.
func CurrentDocument(ctx context.Context, o RestOptions, l DeadLetter) (json.RawMessage, error) {
	f, err := o.flowRun()
	if err != nil {
		return nil, err
	}
	ns, err := namespaceOf(l.Namespace)
	if err != nil {
		return nil, err
	}
	id, err := ParseKey(string(l.ID))
	if err != nil {
		return nil, err
	}
	source, err := mongo.Open(ctx, f.mongoOptions())
	if err != nil {
		return nil, err
	}
	doc, err := source.Document(ctx, ns, id)
	if err = errors.Join(err, source.Close(ctx)); err != nil || doc == nil {
		return json.RawMessage("null"), err
	}
	return bson.MarshalExtJSON(doc, true, false)
}

// with opens what is needed of the flow, calls do and closes it.
func (o RestOptions) with(ctx context.Context, n need, do func(*flowRun, writer) error) (err error) {
	f, err := o.flowRun()
	if err != nil {
		return err
	}
	if err := o.alone(n); err != nil {
		return err
	}
	defer func() {
		closeCtx, done := context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
		defer done()
		err = errors.Join(err, f.close(closeCtx))
	}()
	if n != needAll {
		if err := f.openLettersAlone(ctx, n); err != nil {
			return err
		}
		return do(f, nil)
	}
	if err := f.connect(ctx); err != nil {
		return err
	}
	again, err := f.compare(ctx) // another source, another shape: refused as at a start
	if err != nil {
		return err
	}
	w := pipeline.Repair{Sink: f.sink, Shape: f.shape(), Attach: f.attacher(), DeadLetters: f.letters, Logger: f.log}
	return do(f, func(ctx context.Context, b flow.Batch) error {
		for _, r := range again {
			if len(b.Changes) > 0 && r.NS == b.Changes[0].NS {
				return &flow.Error{Op: "repair", Object: r.NS.String(), Class: flow.Conflict, Err: errors.New("it is copied anew at the next start anyway"), Hint: "sluice run"}
			}
		}
		return w.Write(ctx, b)
	})
}

// alone refuses what changes something while another process might have the
// flow: the file of a state is locked, a state in a server is not, and to take
// it over ends whoever has it.
func (o RestOptions) alone(n need) error {
	if n == needLetters || o.Sure || o.Config.State.Store == config.StoreFile {
		return nil
	}
	return &flow.Error{
		Op: "work on flow", Object: o.Flow, Class: flow.Conflict,
		Err:  errors.New("no sluice answers, but one may run elsewhere: its state is in " + string(o.Config.State.Store)),
		Hint: "name the running one by --url, or say by --offline that none runs",
	}
}

// flowRun is the flow that is meant, with nothing open.
func (o RestOptions) flowRun() (*flowRun, error) {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	var names []string
	for i := range o.Config.Flows {
		cfg := &o.Config.Flows[i]
		names = append(names, cfg.Name)
		if cfg.Name == o.Flow || o.Flow == "" && len(o.Config.Flows) == 1 {
			f := &flowRun{
				o: Options{Config: o.Config, Logger: log}, cfg: cfg, log: log.With(slog.String(flow.LogFlow, cfg.Name)),
				metrics: newMetrics(prometheus.NewRegistry()),
			}
			f.budget.Store(budgetShare(o.Config))
			return f, nil
		}
	}
	slices.Sort(names)
	e := &flow.Error{Op: "find flow", Object: o.Flow, Class: flow.Config, Err: errors.New("the configuration has no such flow"), Hint: "it has: " + strings.Join(names, ", ")}
	if o.Flow == "" {
		e.Err = errors.New("the configuration has several flows: name one by --flow")
	}
	return nil, e
}

// openLettersAlone opens the dead letters without the servers that they don't need.
func (f *flowRun) openLettersAlone(ctx context.Context, n need) error {
	if f.o.Config.DeadLetters.Store == config.StoreSearch {
		so := reachSearch(f.o.Config.Search)
		so.Flow, so.Logger, so.Metrics = f.cfg.Name, f.log, f.metrics.search
		var err error
		if f.client, err = search.Open(ctx, so); err != nil {
			return err
		}
		f.closers = append(f.closers, func(context.Context) error { f.client.Close(); return nil })
	}
	kept, err := openStores(ctx, f.o.Config, f.cfg.Name, f.client)
	if err != nil {
		return err
	}
	f.closers = append(f.closers, kept.close)
	if n == needLock && f.o.Config.State.Store == config.StoreFile {
		_, done, err := kept.state()
		if err != nil {
			return err
		}
		f.closers = append(f.closers, func(context.Context) error { return done() })
	}
	return f.openBook(ctx, kept)
}
