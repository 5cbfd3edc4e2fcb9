package catalogue

import (
	"crypto/sha256"
	"encoding/binary"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/mql"
)

// IDSet holds the keys that were seen, by 16 bytes of a SHA-256 of namespace and
// value: two keys share them with a chance below 2⁻⁷⁰ in a hundred million. It
// takes 21 to 43 bytes for a key: 10 million are 430 MB at most. The zero value
// is empty. It belongs to one goroutine.
type IDSet struct {
	parts [256]idTable
	key   []byte
	n     int
}

// idTable is a hash table with open addressing; the zero hash is no entry.
type idTable struct {
	slots [][2]uint64
	n     int
}

// Len is how many keys it holds.
func (s *IDSet) Len() int { return s.n }

// Add adds a key; false says that it was there already. Values that MongoDB
// takes for one key are one.
func (s *IDSet) Add(ns string, id bson.RawValue) bool {
	s.key = append(append(s.key[:0], ns...), 0)
	s.key = mql.AppendKey(s.key, id)
	sum := sha256.Sum256(s.key)
	h := [2]uint64{binary.LittleEndian.Uint64(sum[:]) | 1, binary.LittleEndian.Uint64(sum[8:])}
	if !s.parts[sum[16]].add(h) {
		return false
	}
	s.n++
	return true
}

func (t *idTable) add(h [2]uint64) bool {
	if 4*(t.n+1) > 3*len(t.slots) {
		old := t.slots
		t.slots = make([][2]uint64, max(8, 2*len(old)))
		for _, o := range old {
			if o != [2]uint64{} {
				t.slots[t.place(o)] = o
			}
		}
	}
	i := t.place(h)
	if t.slots[i] == h {
		return false
	}
	t.slots[i] = h
	t.n++
	return true
}

// place is where h is, or would be put.
func (t *idTable) place(h [2]uint64) uint64 {
	mask := uint64(len(t.slots) - 1)
	i := h[1] & mask
	for t.slots[i] != h && t.slots[i] != [2]uint64{} {
		i = (i + 1) & mask
	}
	return i
}
