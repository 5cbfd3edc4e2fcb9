package pack

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"sluice/internal/cold"
)

// DeleteOrder returns the numbers of the entries in the order of their _id, as
// MongoDB compares them: documents that are deleted together lie close together
// in the index on _id. Every number is in it once.
func DeleteOrder(entries []cold.Entry) []int32 {
	// Sixteen bytes of each key decide nearly always.
	type head struct {
		high, low uint64
		n         int32
	}
	heads := make([]head, len(entries))
	var key, other []byte
	for i, e := range entries {
		key = append(appendKey(key[:0], e.ID.Type, e.ID.Value, 0), make([]byte, 16)...)
		heads[i] = head{binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(key[8:]), int32(i)}
	}
	slices.SortFunc(heads, func(a, b head) int {
		if c := cmp.Or(cmp.Compare(a.high, b.high), cmp.Compare(a.low, b.low)); c != 0 {
			return c
		}
		x, y := entries[a.n].ID, entries[b.n].ID
		key = appendKey(key[:0], x.Type, x.Value, 0)
		other = appendKey(other[:0], y.Type, y.Value, 0)
		return cmp.Or(bytes.Compare(key, other), cmp.Compare(a.n, b.n))
	})
	order := make([]int32, len(heads))
	for i, h := range heads {
		order[i] = h.n
	}
	return order
}
