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
	conditions []compiled

	mu sync.Mutex
	// known are the conditions of the namespaces met so far; nil for none.
	known map[flow.Namespace]*mql.Matcher
	empty map[flow.Namespace]copyState
}

type compiled struct {
	fits  func(flow.Namespace) bool
	match *mql.Matcher
}

// copyState is how far the first copy into an empty index is.
type copyState uint8

const (
	copyAhead copyState = iota + 1
	copyRuns
)

// Compile reads conditions. An error names the one at fault.
func Compile(conditions []Condition) (*Where, error) {
	w := &Where{known: map[flow.Namespace]*mql.Matcher{}, empty: map[flow.Namespace]copyState{}}
	for _, c := range conditions {
		m, err := mql.Compile(c.Query)
		if err != nil {
			return nil, fmt.Errorf("where[%s]: %w", c.Name, err)
		}
		w.conditions = append(w.conditions, compiled{c.Fits, m})
	}
	return w, nil
}

// Empty says that the index of ns holds nothing, and that the next copy of ns
// is the one that fills it: what that copy leaves out need not be deleted. (What
// the stream writes meanwhile, it also takes back.) Without this, every
// document that is left out is deleted.
func (w *Where) Empty(ns flow.Namespace) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.empty[ns] = copyAhead
}

// Hear takes note of what happens to a namespace as a whole; call it before the
// control is carried out. Anything but the beginning of its first copy ends what
// Empty said.
func (w *Where) Hear(c flow.Control) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Kind == flow.ControlSnapshotBegin && w.empty[c.NS] == copyAhead {
		w.empty[c.NS] = copyRuns
		return
	}
	delete(w.empty, c.NS)
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
		case c.Op == flow.OpWrite && b.Snapshot && !b.Repair && w.isEmpty(c.NS):
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

func (w *Where) isEmpty(ns flow.Namespace) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.empty[ns] == copyRuns
}
