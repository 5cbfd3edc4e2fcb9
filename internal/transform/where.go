package transform

import (
	"context"
	"fmt"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/mql"
)

// Condition is one entry of where.
type Condition struct {
	// Name is how messages call it.
	Name string
	// Fits tells whether the condition is about a namespace.
	Fits func(flow.Namespace) bool
	// Query is what documents have to match; it must not change.
	Query bson.Raw
}

// Where is a stage that lets pass what matches the conditions of its namespace:
// the first one that fits it counts, and none lets all pass. Apply may be
// called from several goroutines.
type Where struct {
	Filling
	conditions []compiled

	mu sync.Mutex
	// known are the conditions of the namespaces met so far; nil for none.
	known map[flow.Namespace]*mql.Matcher
}

type compiled struct {
	fits  func(flow.Namespace) bool
	match *mql.Matcher
}

// Compile reads conditions. An error names the one at fault.
func Compile(conditions []Condition) (*Where, error) {
	w := &Where{known: map[flow.Namespace]*mql.Matcher{}}
	for _, c := range conditions {
		m, err := mql.Compile(c.Query)
		if err != nil {
			return nil, fmt.Errorf("where[%s]: %w", c.Name, err)
		}
		w.conditions = append(w.conditions, compiled{c.Fits, m})
	}
	return w, nil
}

// Apply turns each write of a document that does not match into a delete at its
// version, Left, or into OpSkip where nothing can be there yet; of deletes it
// takes away the document that was merged into them, if that does not match.
// It never fails.
func (w *Where) Apply(_ context.Context, b flow.Batch) (flow.Batch, error) {
	var last *flow.Namespace
	var match *mql.Matcher
	for i := range b.Changes {
		c := &b.Changes[i]
		if last == nil || *last != c.NS {
			last, match = &c.NS, w.matcher(c.NS)
		}
		if match == nil || c.Doc == nil || c.Op == flow.OpSkip || match.Match(c.Doc) {
			continue
		}
		switch {
		case c.Op == flow.OpWrite && b.Snapshot && !b.Repair && w.Fills(c.NS):
			c.Op = flow.OpSkip
		default:
			c.Op, c.Left, c.Archived = flow.OpDelete, true, nil
		}
		c.Doc = nil
	}
	return b, nil
}

// matcher returns the condition of a namespace, nil for none.
func (w *Where) matcher(ns flow.Namespace) *mql.Matcher {
	w.mu.Lock()
	defer w.mu.Unlock()
	m, known := w.known[ns]
	if known {
		return m
	}
	for _, c := range w.conditions {
		if c.fits(ns) {
			m = c.match
			break
		}
	}
	w.known[ns] = m
	return m
}
