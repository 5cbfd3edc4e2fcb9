package search

import (
	"encoding/json"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// The fields that lead from a document back to MongoDB where places come from
// templates (rule S10): its namespace, and the text of its key.
const (
	nsField = "sluice_ns"
	idField = "sluice_id"
)

// reasonPlace is the reason of a dead letter that has no place.
const reasonPlace = "place"

// Place is where a document lies.
type Place struct {
	// Index is the name of the index; "" is that of the route.
	Index string
	ID    string
	// Routing is "" for none.
	Routing string
	// Field is the value of Placement.Field, as JSON; "" for none.
	Field string
}

// Placement says where documents lie if not all of a namespace are under one name
// with the text of their key as id (rule S14).
type Placement struct {
	// Of returns the place of a document; an error says that it has none. Different
	// keys of a namespace have different ids. Called from several goroutines.
	Of func(ns flow.Namespace, id bson.RawValue, doc bson.Raw) (Place, error)
	// Prefix, if the index depends on the document, returns what the names of all
	// indexes of ns begin with; nil: the index is that of the route.
	Prefix func(ns flow.Namespace) string
	// Shared: the ids of two namespaces are never equal, so they may share an index.
	Shared bool
	// Field is a field that documents get by their place, in the place of one that
	// they may have, and Mapping what indexes know of it; "" for none.
	Field   string
	Mapping json.RawMessage
	// Text is equal where equal documents have equal places.
	Text string
}

// trust is what is known of the documents that a namespace has in the index.
type trust uint8

const (
	// doubtful: a document may lie where nobody knows, so it is looked for.
	doubtful trust = iota
	// filling: the first copy runs, and before it there was nothing.
	filling
	// known: each document lies where its last change, or the copy, has put it.
	known
)

// places is what a sink knows where places come from templates.
type places struct {
	*Placement
	// ready holds prepared targets, by spot.
	ready sync.Map // placeKey to *target
	// looking lets one at a time refresh, so that who comes second sees what the
	// first one has refreshed.
	looking chan struct{}

	mu      sync.Mutex
	loaded  map[flow.Namespace]bool // held is complete for it
	held    map[string]*holding     // by the name of the index
	trusted map[flow.Namespace]trust
}

type placeKey struct {
	ns    flow.Namespace
	index string
}

// holding is one index of the flow.
type holding struct {
	target *target // by its own name
	alias  string
	meta   meta
	// dirty: something was written since the last refresh.
	dirty bool
}

func newPlaces(p *Placement) *places {
	if p == nil {
		return nil
	}
	return &places{
		Placement: p, looking: make(chan struct{}, 1),
		loaded: map[flow.Namespace]bool{}, held: map[string]*holding{}, trusted: map[flow.Namespace]trust{},
	}
}

// strict tells whether nothing of a document stays in the index when it, or its
// collection, is gone: only then its next insert can't meet what an earlier life has left.
func (r *Route) strict() bool {
	return (r.Delete == DeleteRemove || r.Delete == "") && (r.Archive == ArchiveRemove || r.Archive == "") &&
		(r.Drop == DropDocuments || r.Drop == DropIndex)
}

// textOf is what our part of a _meta says of the places in an index.
func (p *places) textOf(r *Route) string {
	if r.strict() {
		return p.Text + "\nstrict"
	}
	return p.Text + "\nloose"
}

func (p *places) trustOf(ns flow.Namespace) trust {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.trusted[ns]
}

func (p *places) setTrust(ns flow.Namespace, t trust) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trusted[ns] = t
}

// soil notes that indexes were written.
func (p *places) soil(names map[string]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name := range names {
		if h := p.held[name]; h != nil {
			h.dirty = true
		}
	}
}

// forget makes what is known of the indexes be looked up again.
func (p *places) forget(t *target) {
	p.ready.Range(func(k, v any) bool {
		if v == t || v.(*target).concrete == t.concrete {
			p.ready.Delete(k)
		}
		return true
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.loaded)
	clear(p.held)
}
