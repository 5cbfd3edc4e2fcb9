package script

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/transform"
)

// The reasons of the dead letters that scripts lead to.
const (
	reasonScript = "script"
	reasonCut    = "script_cut"
)

// Stage is the scripts of a flow, as a flow.Stage. Apply may be called from several
// goroutines.
type Stage struct {
	transform.Filling
	opts     settings
	programs []*program

	mu    sync.Mutex
	known map[flow.Namespace][]*program
}

// settings are Options as programs need them.
type settings struct {
	Options
	library *goja.Program
	heap    *heapWatch
}

var _ flow.Stage = (*Stage)(nil)

// Compile reads scripts, and runs each once as far as its module goes. An error tells
// which one is at fault, and its line.
func Compile(o Options) (*Stage, error) {
	library, err := goja.Compile(underscoreName, "(function (exports, module) {"+underscore+"\n})", false)
	if err != nil {
		return nil, err
	}
	s := &Stage{opts: settings{o, library, &heapWatch{}}, known: map[flow.Namespace][]*program{}}
	limitPatterns()
	for _, e := range o.Entries {
		p, err := compile(e, &s.opts)
		if err != nil {
			if !strings.HasPrefix(err.Error(), e.Name+":") {
				err = fmt.Errorf("%s: %w", e.Name, err)
			}
			return nil, err
		}
		s.programs = append(s.programs, p)
	}
	return s, nil
}

// Asks tells by their text whether scripts may ask MongoDB.
func (s *Stage) Asks() bool {
	return slices.ContainsFunc(s.programs, func(p *program) bool {
		return slices.ContainsFunc([]string{"findId", "findOne", "find(", "pipe("}, func(word string) bool { return strings.Contains(p.entry.Code, word) })
	})
}

// of returns the scripts of a namespace in the order in which they run: filters before
// maps, those of all namespaces before its own.
func (s *Stage) of(ns flow.Namespace) []*program {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, known := s.known[ns]
	if known {
		return list
	}
	for _, kind := range []Kind{Filter, Map} {
		for _, want := range []flow.Namespace{{}, ns} {
			for _, p := range s.programs {
				if p.entry.Kind == kind && p.entry.NS == want {
					list = append(list, p)
				}
			}
		}
	}
	s.known[ns] = list
	return list
}

// Apply runs the scripts over what is to be written. A document that leaves becomes a
// delete at its version, Left, or OpSkip where nothing can be there yet; one that a
// script can't do gets a Fault. An error says that MongoDB could not be asked: then
// nothing of b was changed.
func (s *Stage) Apply(ctx context.Context, b flow.Batch) (flow.Batch, error) {
	r := run{stage: s, ctx: ctx}
	defer r.end()
	answers := make([]answer, len(b.Changes))
	for i := range b.Changes {
		c := &b.Changes[i]
		programs := r.of(c.NS)
		if len(programs) == 0 || c.Doc == nil || c.Op != flow.OpWrite && c.Op != flow.OpDelete {
			continue
		}
		var err error
		if answers[i], err = r.document(programs, c); err != nil {
			return b, err
		}
	}
	for i := range b.Changes {
		c := &b.Changes[i]
		if len(r.of(c.NS)) == 0 {
			continue
		}
		if c.Before != nil && len(c.Before.Docs) > 0 {
			c.Before = nil // what the document was is not what was written of it
		}
		if c.Doc != nil && (c.Op == flow.OpWrite || c.Op == flow.OpDelete) {
			s.carryOut(&b, c, &answers[i])
		}
	}
	return b, nil
}

// carryOut puts an answer into its change.
func (s *Stage) carryOut(b *flow.Batch, c *flow.Change, a *answer) {
	switch {
	case a.result == resultKept || a.result == resultChanged:
		c.Doc = a.doc
	case a.result == resultLeft && c.Op == flow.OpWrite && b.Snapshot && !b.Repair && s.Fills(c.NS):
		c.Op, c.Doc = flow.OpSkip, nil
	case a.result == resultLeft:
		c.Op, c.Left, c.Archived, c.Doc = flow.OpDelete, true, nil, nil
	case c.Op == flow.OpDelete: // nothing is kept of it
		c.Doc = nil
	case a.result == resultSkipped:
		c.Op = flow.OpSkip // with its document: it is there
	default:
		c.Fault = &flow.Verdict{Outcome: flow.DeadLetter, Reason: reasonScript, Err: &flow.Error{
			Op: "run a script on a document of", Object: c.NS.String(), Class: flow.Document, Err: a.err,
			Hint: "mend the script or the document; sluice script test runs a script on sample documents",
		}}
		if a.result == resultCut {
			c.Fault.Reason = reasonCut
		}
	}
}

// run is one batch on its way through the scripts.
type run struct {
	stage *Stage
	ctx   context.Context
	held  []held
	// last are the scripts of the namespace that was asked for last.
	ns   flow.Namespace
	last []*program
	some bool
}

// held is a script at work on a batch: its machine, unless it is shared.
type held struct {
	program *program
	machine *machine
	tally   tally
	took    time.Duration
}

func (r *run) of(ns flow.Namespace) []*program {
	if !r.some || r.ns != ns {
		r.ns, r.last, r.some = ns, r.stage.of(ns), true
	}
	return r.last
}

func (r *run) holding(p *program) *held {
	for i := range r.held {
		if r.held[i].program == p {
			return &r.held[i]
		}
	}
	r.held = append(r.held, held{program: p})
	return &r.held[len(r.held)-1]
}

// end gives the machines back and counts.
func (r *run) end() {
	for i := range r.held {
		h := &r.held[i]
		if h.machine != nil {
			h.program.pool.give(h.machine)
		}
		h.program.opts.Metrics.count(h.program.entry.Name, &h.tally, h.took)
	}
}

// document runs one document through its scripts.
func (r *run) document(programs []*program, c *flow.Change) (answer, error) {
	out := answer{result: resultKept, doc: c.Doc}
	for _, p := range programs {
		h := r.holding(p)
		a, err := r.call(h, c, out.doc)
		if err != nil {
			return a, err
		}
		h.tally[a.result]++
		if a.result != resultKept && a.result != resultChanged {
			return a, nil
		}
		if a.result == resultChanged {
			out.result, out.meta = resultChanged, out.meta || a.meta
		}
		out.doc = a.doc
	}
	return settle(programs, out), nil
}

// call runs one script on one document.
func (r *run) call(h *held, c *flow.Change, doc bson.Raw) (a answer, err error) {
	started := time.Now()
	m := h.machine
	if m == nil {
		if m, err = h.program.pool.take(); err != nil {
			return answer{result: resultError, err: &failure{message: err.Error()}}, nil //nolint:nilerr // it is the answer
		}
	}
	a, err = m.call(r.ctx, c.NS, c.ID, doc)
	if a.broken {
		m = nil
	}
	if h.program.entry.Shared || m == nil {
		h.program.pool.give(m)
		m = nil
	}
	h.machine = m
	h.took += time.Since(started)
	return a, err
}

// settle looks at what the last script has left in the document about itself.
func settle(programs []*program, out answer) answer {
	mode := Native
	if slices.ContainsFunc(programs, func(p *program) bool { return p.entry.Mode == Monstache }) {
		mode = Monstache
	}
	if !out.meta && mode == Native {
		return out
	}
	meta, doc, err := takeMeta(out.doc, mode)
	switch {
	case err != nil:
		return answer{result: resultError, err: &failure{message: err.Error()}}
	case meta == nil:
		return out
	case meta.skip:
		return answer{result: resultSkipped}
	}
	out.doc, out.result = doc, resultChanged
	return out
}
