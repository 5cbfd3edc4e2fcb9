package pipeline

import "sluice/internal/flow"

// folder maps the keys of one merged batch to their place in it. It is an open
// hash table whose slots carry the generation that wrote them, so that the
// next batch starts without clearing anything.
type folder struct {
	slots []foldSlot
	used  int
	gen   uint32
}

type foldSlot struct {
	k   key
	at  uint32
	gen uint32
}

const minFoldSlots = 256

// begin forgets all keys.
func (f *folder) begin() {
	f.used = 0
	f.gen++
	if f.slots == nil {
		f.slots = make([]foldSlot, minFoldSlots)
	}
	if f.gen == 0 { // after 2^32 batches: old marks would come alive again
		clear(f.slots)
		f.gen = 1
	}
}

// find returns the slot that holds k, or the free one where it belongs. It is
// good until the next put.
func (f *folder) find(k key) *foldSlot {
	mask := uint64(len(f.slots) - 1)
	for i := k.hi & mask; ; i = (i + 1) & mask {
		s := &f.slots[i]
		if s.gen != f.gen || s.k == k {
			return s
		}
	}
}

// has tells whether a slot that find returned holds its key.
func (f *folder) has(s *foldSlot) bool { return s.gen == f.gen }

// put writes k's place into the free slot that find returned.
func (f *folder) put(s *foldSlot, k key, at int) {
	*s = foldSlot{k: k, at: uint32(at), gen: f.gen}
	f.used++
	if f.used*2 > len(f.slots) {
		f.grow()
	}
}

func (f *folder) grow() {
	old := f.slots
	f.slots = make([]foldSlot, 2*len(old))
	for i := range old {
		if old[i].gen == f.gen {
			*f.find(old[i].k) = old[i]
		}
	}
}

// combined returns c as it stands for old too: the last change of a key stands for
// all of them, in the place of the first (rules S1, S2). What old knew that c
// does not is handed on: that the index may not go on holding what it holds, and
// the document that it should hold (rule A5: an archive's delete may leave it
// there, or marked, so it makes a difference what was there before).
func combined(old, c *flow.Change) flow.Change {
	m := *c
	if m.Before = nil; old.Before != nil {
		m.Before = old.Before.With(c.Before)
	}
	if c.Op == flow.OpWrite {
		return m // nothing is left to be known
	}
	again := old.Op == flow.OpDelete && old.Version == c.Version && old.Archived == c.Archived
	usersDelete := old.Op == flow.OpDelete && old.Archived == nil && !again
	m.MissingIsDelete = c.MissingIsDelete || old.MissingIsDelete || usersDelete
	m.Left = c.Left || old.Left
	if old.Op != flow.OpDelete || again {
		m.Doc = old.Doc
	}
	return m
}
