package transform

import (
	"sync"

	"sluice/internal/flow"
)

// Filling knows which namespaces are copied for the first time into an index that
// held nothing: what such a copy leaves out need not be deleted. Its zero value is ready;
// safe from several goroutines.
type Filling struct {
	mu    sync.Mutex
	empty map[flow.Namespace]copyState
}

// copyState is how far the first copy into an empty index is.
type copyState uint8

const (
	copyAhead copyState = iota + 1
	copyRuns
)

// Empty says that the index of ns holds nothing, and that the next copy of ns
// is the one that fills it: what that copy leaves out need not be deleted. (What
// the stream writes meanwhile, it also takes back.) Without this, every
// document that is left out is deleted.
func (f *Filling) Empty(ns flow.Namespace) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.empty == nil {
		f.empty = map[flow.Namespace]copyState{}
	}
	f.empty[ns] = copyAhead
}

// Hear takes note of what happens to a namespace as a whole; call it before the
// control is carried out. Anything but the beginning of its first copy ends what
// Empty said.
func (f *Filling) Hear(c flow.Control) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.Kind == flow.ControlSnapshotBegin && f.empty[c.NS] == copyAhead {
		f.empty[c.NS] = copyRuns
		return
	}
	delete(f.empty, c.NS)
}

// Fills tells whether the copy of ns that runs is such a one.
func (f *Filling) Fills(ns flow.Namespace) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.empty[ns] == copyRuns
}
