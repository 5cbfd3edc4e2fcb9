package transcode

import "math/bits"

// scratch is what an Append needs for documents out of the ordinary: wide
// ones, ones with odd names. Plans keep used ones in a pool.
type scratch struct {
	// odd are the names that were written other than they are in the source, of
	// all levels that are open.
	odd    []string
	tables []*nameTable
	// anchors are the objects that copies are made in, by number.
	anchors []anchor
	// fields are the elements of all objects that are open, where names are sorted.
	fields []goField
}

// The sizes of tables in slots: what a table starts with, and up to which size
// one is kept.
const (
	minTable  = 64
	maxStart  = 4096
	keepTable = 1 << 16
)

// scratchOf returns e's scratch, taking one first if need be.
func (e *encoder) scratchOf() *scratch {
	if e.scratch == nil {
		e.scratch = e.plan.take()
	}
	return e.scratch
}

func (p *Plan) take() *scratch {
	if s, ok := p.pool.Get().(*scratch); ok {
		return s
	}
	return new(scratch)
}

func (p *Plan) release(s *scratch) {
	clear(s.odd)
	s.odd, s.fields = s.odd[:0], s.fields[:0]
	p.pool.Put(s)
}

// getTable returns an empty table for about want names.
func (s *scratch) getTable(want int) *nameTable {
	slots := min(max(minTable, 1<<bits.Len(uint(want))), maxStart)
	if k := len(s.tables); k > 0 {
		t := s.tables[k-1]
		s.tables = s.tables[:k-1]
		if cap(t.slots) >= slots {
			t.slots, t.used = t.slots[:slots], 0
			clear(t.slots)
			return t
		}
	}
	return &nameTable{slots: make([]uint64, slots)}
}

// leave takes back what a level has used.
func (s *scratch) leave(lv *level) {
	s.odd = s.odd[:lv.odd]
	if lv.table != nil {
		s.putTable(lv.table)
	}
	if lv.repairs != nil {
		s.putTable(lv.repairs.taken)
		s.putTable(lv.repairs.sources)
	}
}

func (s *scratch) putTable(t *nameTable) {
	if cap(t.slots) <= keepTable {
		s.tables = append(s.tables, t)
	}
}
