package pipeline

import (
	"sync"
	"sync/atomic"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

const minSweep = 1024

// tombstones remember the deletes of the stream while snapshot chunks are in
// flight (rule S5): the engine forgets the version of a deleted document after
// a while, and a late document of a chunk would bring it back.
//
// Where documents move between places, writes are remembered too: the engine
// keeps versions by place (rule S14).
//
// A delete is remembered before it is sent, and a snapshot document is checked
// just before it is sent; if both are on their way at once, the engine still
// knows both versions.
type tombstones struct {
	oldest func() (bson.Timestamp, bool)
	// places: documents may move, so every change is remembered.
	places bool
	// unversioned: so is it where the engine keeps no versions at all (rule S2).
	unversioned bool
	n           atomic.Int64
	mu          sync.RWMutex
	gone        map[key]int64
	sweep       int // prune when gone is this large
}

func newTombstones(oldest func() (bson.Timestamp, bool)) *tombstones {
	return &tombstones{oldest: oldest, gone: make(map[key]int64), sweep: minSweep}
}

// remember puts down the deletes among changes that a chunk in flight may not
// know of: those above the oldest read time.
func (t *tombstones) remember(changes []flow.Change, h *hasher) {
	first := 0
	if !t.everything() {
		first = firstDelete(changes)
	}
	if first < 0 || t.oldest == nil {
		return
	}
	// The oldest time is asked for under the lock: a stale answer must not
	// wipe what another lane remembers for a chunk that opened since.
	t.mu.Lock()
	defer t.mu.Unlock()
	floor, open := t.floor()
	if !open {
		t.reset()
		return
	}
	for i := first; i < len(changes); i++ {
		c := &changes[i]
		if c.Op != flow.OpDelete && !t.everything() || c.Version <= floor {
			continue
		}
		k := h.of(c)
		if old, ok := t.gone[k]; !ok || old < c.Version {
			t.gone[k] = c.Version
		}
	}
	if len(t.gone) >= t.sweep {
		t.prune(floor)
	}
	t.n.Store(int64(len(t.gone)))
}

// everything tells whether writes are remembered too.
func (t *tombstones) everything() bool { return t.places || t.unversioned }

// filter turns the writes among changes whose document was deleted later (with
// places: changed later) into OpSkip (into deletes that are as old as they are).
// Without versions, whatever was overtaken is skipped.
func (t *tombstones) filter(changes []flow.Change, h *hasher) {
	if t.n.Load() == 0 {
		return
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	for i := range changes {
		c := &changes[i]
		if c.Op != flow.OpWrite && (!t.unversioned || c.Op != flow.OpDelete) {
			continue
		}
		if v, ok := t.gone[h.of(c)]; ok && c.Version < v {
			c.Op = flow.OpSkip
			if t.places {
				c.Op, c.Doc, c.Left = flow.OpDelete, nil, true
			}
		}
	}
}

// tidy forgets everything when no chunk is in flight.
func (t *tombstones) tidy() {
	if t.n.Load() == 0 || t.oldest == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, open := t.floor(); !open {
		t.reset()
	}
}

// floor returns the version of the oldest read time in flight.
func (t *tombstones) floor() (version int64, open bool) {
	ts, open := t.oldest()
	if !open {
		return 0, false
	}
	v, err := flow.VersionOf(ts)
	if err != nil { // a time before all versions: remember every delete
		return 0, true
	}
	return v, true
}

func (t *tombstones) prune(floor int64) {
	for k, v := range t.gone {
		if v <= floor {
			delete(t.gone, k)
		}
	}
	t.sweep = max(minSweep, 2*len(t.gone))
}

func (t *tombstones) reset() {
	if len(t.gone) > 0 {
		t.gone = make(map[key]int64) // a new map: clear would keep its memory
	}
	t.sweep = minSweep
	t.n.Store(0)
}

func firstDelete(changes []flow.Change) int {
	for i := range changes {
		if changes[i].Op == flow.OpDelete {
			return i
		}
	}
	return -1
}
