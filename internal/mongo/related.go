package mongo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/relate"
)

// DefaultRelatedBytes is what the keys of one relation may take.
const DefaultRelatedBytes = 256 << 10

// relatedWorkers is how many laps of a relation are walked at one time.
const relatedWorkers = 2

// Relation says that documents of Rewrite show documents of When: when one of
// When changes, is written or is deleted, the documents of Rewrite whose Field
// holds its _id are written again; and so are, further on, those that show them.
type Relation struct {
	// When need not be followed. Rewrite must be.
	When, Rewrite flow.Namespace
	// Field is a dotted path in Rewrite; it may hold an array of keys.
	Field string
}

// String names the relation in messages.
func (r Relation) String() string { return r.When.String() + " to " + r.Rewrite.String() }

// relation is a Relation with what it owes. Source.mu guards it.
type relation struct {
	Relation
	queue *relate.Queue
	// hint names the index that finds dependants, nil until it was looked for.
	hint any
	// majority: reads at a cluster time don't work here.
	majority bool
	// size is about how large a dependant is, in bytes; 0 before any is known.
	size float64
	// rewritten counts documents of this run.
	rewritten int64
}

// relations are those of one source. Nothing of it changes after Open but what
// Source.mu guards.
type relations struct {
	s    *Source
	all  []*relation
	when map[flow.Namespace][]*relation
	// barred are namespaces whose drop is on its way through the pump: nothing of
	// them is read before it was carried out (rule S15).
	barred map[flow.Namespace]bool
}

func newRelations(s *Source) (*relations, error) {
	g := &relations{s: s, when: map[flow.Namespace][]*relation{}, barred: map[flow.Namespace]bool{}}
	budget := s.opts.RelatedBytes
	if budget <= 0 {
		budget = DefaultRelatedBytes
	}
	for _, r := range s.opts.Related {
		if !s.sel.follows(r.Rewrite) {
			return nil, configError(r.String(), fmt.Errorf("the flow does not follow %s", r.Rewrite))
		}
		one := &relation{Relation: r, queue: relate.New(budget)}
		g.all = append(g.all, one)
		g.when[r.When] = append(g.when[r.When], one)
	}
	for _, r := range g.all {
		if slices.Contains(g.reached(r.When), r.When) {
			return nil, configError(r.String(), errors.New("related documents go round in a circle"))
		}
	}
	return g, nil
}

// owing is a key whose dependants are to be written again.
type owing struct {
	rel *relation
	id  bson.RawValue
}

// admit returns what puts owed into the queues, which waits for room: so a full
// queue holds up the reading, and nothing is dropped (rule S9). It may be called
// again after an error, and goes on where it was.
func (g *relations) admit(owed []owing) func(context.Context) error {
	var name []byte
	return func(ctx context.Context) error {
		for {
			g.s.mu.Lock()
			had := len(owed)
			for len(owed) > 0 {
				o := owed[0]
				name = appendKey(name[:0], o.id.Type, o.id.Value)
				if !g.add(o.rel, name, o.id) {
					break
				}
				owed = owed[1:]
			}
			if len(owed) < had {
				g.s.poke()
			}
			changed := g.s.changed
			g.s.mu.Unlock()
			if len(owed) == 0 {
				return nil
			}
			if err := g.s.wait(ctx, changed); err != nil {
				return err
			}
		}
	}
}

// add puts one key into a queue; mu is held.
func (g *relations) add(r *relation, name []byte, id bson.RawValue) bool {
	was := r.queue.Used()
	ok := r.queue.Add(name, id)
	g.s.opts.Metrics.relatedQueue(r.queue.Used() - was)
	return ok
}

// owes returns what documents of ns that have changed, or were written again, owe.
func (g *relations) owes(ns flow.Namespace, changes []flow.Change) []owing {
	var owed []owing
	for _, r := range g.when[ns] {
		for i := range changes {
			owed = append(owed, owing{r, changes[i].ID})
		}
	}
	return owed
}

// open tells whether anything is owed; mu is held.
func (g *relations) open() bool {
	return slices.ContainsFunc(g.all, func(r *relation) bool { return r.queue.Keys() > 0 })
}

// close takes what is left out of the metric: the position has it.
func (g *relations) close() {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	for _, r := range g.all {
		g.s.opts.Metrics.relatedQueue(-r.queue.Used())
	}
}

// bar holds the reading of ns back until unbar.
func (g *relations) bar(ns flow.Namespace) {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	g.barred[ns] = true
}

// unbar ends bar; mu is held.
func (g *relations) unbar(ns flow.Namespace) { delete(g.barred, ns) }

// reached returns the namespaces whose documents show, directly or through
// others, those of ns, each once.
func (g *relations) reached(ns flow.Namespace) []flow.Namespace {
	var out []flow.Namespace
	for next := []flow.Namespace{ns}; len(next) > 0; next = next[1:] {
		for _, r := range g.when[next[0]] {
			if !slices.Contains(out, r.Rewrite) {
				out = append(out, r.Rewrite)
				next = append(next, r.Rewrite)
			}
		}
	}
	return out
}

// replaced copies again what shows documents of ns, all of which are gone or have
// become others: there are no events for each; mu is held.
func (g *relations) replaced(ns flow.Namespace) {
	for _, to := range g.reached(ns) {
		if _, bound := g.s.bound[to]; !bound {
			continue
		}
		if err := g.s.mayCopy(to); err != nil {
			g.s.log.Warn("related documents were dropped or replaced; what shows them is not written again",
				slog.String(flow.LogNS, to.String()), slog.Any(flow.LogErr, err))
			continue
		}
		g.s.copies.schedule(to, true)
	}
}
