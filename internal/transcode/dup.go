package transcode

import "bytes"

// level is one object while it is being written: what is needed to see that a
// name comes twice. The first levelFew names go through a small Bloom filter,
// whose rare hits are settled by looking at the names themselves; an object
// with more names gets a table.
type level struct {
	// start is where the elements begin in the source, end their terminator, at
	// the element in work.
	start, end, at int
	few            [8]uint64
	count          int
	table          *nameTable
	rule           *rule
	root           bool
	repairs        *repairs
	// seen has the bits of adds that the object has already.
	seen uint64
	// odd is where this level's names in scratch.odd begin.
	odd int
}

// levelFew is how many names the filter takes.
const levelFew = 24

// fresh notes a name by its hash and tells that it is new for certain. After
// false, settle has to be asked.
func (lv *level) fresh(h uint64) bool {
	mask := uint64(1)<<(h>>55&63) | 1<<(h>>49&63)
	word := &lv.few[h>>61]
	if *word&mask == mask || lv.count >= levelFew {
		return false
	}
	*word |= mask
	lv.count++
	return true
}

// settle notes a name that fresh was not sure of and tells whether it is new;
// if not, it is counted. at is where the name lies in the source; for an odd
// name, one that differs from what is there, at is negative.
func (e *encoder) settle(lv *level, name []byte, at int, h uint64) bool {
	var isNew bool
	if lv.count < levelFew {
		isNew = !e.isOdd(lv, name) && !e.hasRaw(lv, name, lv.at)
		lv.count++
	} else {
		if lv.table == nil {
			e.fillTable(lv)
		}
		isNew = lv.table.add(e, h, e.refOf(at), name)
	}
	if !isNew {
		e.st.DuplicateKeys++
	}
	return isNew
}

// refOf is how tables refer to names: by place, or by number in scratch.odd.
func (e *encoder) refOf(at int) uint32 {
	if at < 0 {
		return uint32(len(e.scratch.odd))<<1 | 1
	}
	return uint32(at) << 1
}

// fillTable starts a table with the names that went through the filter.
func (e *encoder) fillTable(lv *level) {
	sc := e.scratchOf()
	t := sc.getTable((lv.end - lv.start) / 8)
	lv.table = t
	for j, name := range sc.odd[lv.odd:] {
		t.add(e, hashName(e.seed, []byte(name)), uint32(lv.odd+j)<<1|1, []byte(name))
	}
	var buf [2 * room]byte
	mask := e.maskOf(lv.rule)
	for i := lv.start; i < lv.at; {
		kind := e.src[i]
		i++
		m, k, h := e.plainName(buf[:], 0, i, lv.root)
		if m == 0 {
			k = i + bytes.IndexByte(e.src[i:lv.end], 0) + 1
			h = hashName(e.seed, e.src[i:k-1])
		}
		name := e.src[i : k-1]
		if m != 0 && (!mask.has(h) || !lv.rule.concerns(h)) || e.keepsName(lv, kind, name) {
			t.add(e, h, uint32(i)<<1, name)
		}
		end, err := valueEnd(e.src, kind, k, lv.end)
		if err != nil { // was valid a moment ago
			return
		}
		i = end
	}
}

// note is fresh and settle for the new name that a rule gives.
func (e *encoder) note(lv *level, name string) bool {
	e.scratchOf()
	h := hashName(e.seed, []byte(name))
	if !lv.fresh(h) && !e.settle(lv, []byte(name), -1, h) {
		return false
	}
	e.scratch.odd = append(e.scratch.odd, name)
	return true
}

// isOdd tells whether an odd name of the level is name.
func (e *encoder) isOdd(lv *level, name []byte) bool {
	if e.scratch != nil {
		for _, o := range e.scratch.odd[lv.odd:] {
			if o == string(name) {
				return true
			}
		}
	}
	return false
}

// hasRaw tells whether an element of the level before the index limit is
// written under its own name, and that is name.
func (e *encoder) hasRaw(lv *level, name []byte, limit int) bool {
	for i := lv.start; i < limit; {
		t := e.src[i]
		i++
		size := bytes.IndexByte(e.src[i:lv.end], 0)
		if size < 0 {
			return false
		}
		if size == len(name) && bytes.Equal(e.src[i:i+size], name) && e.keepsName(lv, t, name) {
			return true
		}
		end, err := valueEnd(e.src, t, i+size+1, lv.end)
		if err != nil {
			return false
		}
		i = end
	}
	return false
}

// keepsName tells whether a field is written under its own name.
func (e *encoder) keepsName(lv *level, t byte, name []byte) bool {
	if lv.rule != nil {
		if _, says := lv.rule.find(hashName(e.seed, name), name, t); says != ruleNone {
			return false
		}
	}
	return !e.odd(name, lv.root)
}

// nameTable is a set of the names of a level: open addressing, each slot the
// low half of a hash and a reference to the name, plus one.
type nameTable struct {
	slots []uint64
	used  int
}

// add puts a name in and tells whether it is new.
func (t *nameTable) add(e *encoder, h uint64, ref uint32, name []byte) bool {
	if t.used >= len(t.slots)/2 {
		t.double(e)
	}
	mask := uint64(len(t.slots) - 1)
	p := h >> 32 & mask
	for ; t.slots[p] != 0; p = (p + 1) & mask {
		if s := t.slots[p]; uint32(s>>32) == uint32(h) && e.nameIs(uint32(s)-1, name) {
			return false
		}
	}
	t.slots[p] = h<<32 | uint64(ref+1)
	t.used++
	return true
}

// nameIs compares a name with the one that a slot refers to.
func (e *encoder) nameIs(ref uint32, name []byte) bool {
	at := int(ref >> 1)
	if ref&1 != 0 {
		return e.scratch.odd[at] == string(name)
	}
	return at+len(name) < len(e.src) && bytes.Equal(e.src[at:at+len(name)], name) && e.src[at+len(name)] == 0
}

// double makes the table twice as large. The upper halves of the hashes are
// not kept, so they are made again from the names.
func (t *nameTable) double(e *encoder) {
	old := t.slots
	t.slots = make([]uint64, 2*len(old))
	mask := uint64(len(t.slots) - 1)
	for _, s := range old {
		if s == 0 {
			continue
		}
		p := hashName(e.seed, e.nameOf(uint32(s)-1)) >> 32 & mask
		for t.slots[p] != 0 {
			p = (p + 1) & mask
		}
		t.slots[p] = s
	}
}

// nameOf is the name that a slot refers to.
func (e *encoder) nameOf(ref uint32) []byte {
	at := int(ref >> 1)
	if ref&1 != 0 {
		return []byte(e.scratch.odd[at])
	}
	return e.src[at : at+bytes.IndexByte(e.src[at:], 0)]
}
