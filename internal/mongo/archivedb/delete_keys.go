package archivedb

import (
	"encoding/binary"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
)

func hintID() bson.D { return bson.D{{Key: "_id", Value: 1}} }

// byID finds a document by its key, whatever is in the key.
func byID(id bson.RawValue) bson.D {
	return bson.D{{Key: "_id", Value: bson.D{{Key: "$eq", Value: id}}}}
}

// byKey finds a document by its whole key: shard key and _id.
func byKey(d cold.Doomed) bson.D {
	filter := byID(d.ID)
	elems, _ := d.Key.Elements() // the key comes out of a manifest that was read; a broken one finds fewer, which is refused
	for _, e := range elems {
		if e.Key() != "_id" {
			filter = append(filter, bson.E{Key: e.Key(), Value: bson.D{{Key: "$eq", Value: e.Value()}}})
		}
	}
	return filter
}

// anyOf is {$in: [...]} over n values.
func anyOf(n int, value func(i int) bson.RawValue) bson.D {
	return bson.D{{Key: "$in", Value: rawArray(n, value)}}
}

func doomedIDs(batch []cold.Doomed) (int, func(i int) bson.RawValue) {
	return len(batch), func(i int) bson.RawValue { return batch[i].ID }
}

// rawArray builds an array of BSON without the driver's encoder, which costs
// more than what it encodes here.
func rawArray(n int, value func(i int) bson.RawValue) bson.RawValue {
	size := 5
	for i := range n {
		size += len(value(i).Value) + 12
	}
	b := make([]byte, 4, size)
	for i := range n {
		v := value(i)
		b = append(b, byte(v.Type))
		b = strconv.AppendInt(b, int64(i), 10)
		b = append(b, 0)
		b = append(b, v.Value...)
	}
	b = append(b, 0)
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	return bson.RawValue{Type: bson.TypeArray, Value: b}
}

// places finds the number of a key. Replies come in about the order of the
// keys, so the next one is looked at first; the map is made when that fails.
type places struct {
	n    int
	key  func(i int) bson.RawValue
	next int
	all  map[string]int
}

func newPlaces(n int, key func(i int) bson.RawValue) *places { return &places{n: n, key: key} }

// find returns the number of the key that is the same, bit for bit; of two the
// first one.
func (p *places) find(id bson.RawValue) (int, bool) {
	if p.all == nil && p.next < p.n && same(p.key(p.next), id) {
		p.next++
		return p.next - 1, true
	}
	return p.first(id)
}

func (p *places) first(id bson.RawValue) (int, bool) {
	if p.all == nil {
		p.all = make(map[string]int, p.n)
		for i := p.n - 1; i >= 0; i-- {
			p.all[keyText(p.key(i))] = i
		}
	}
	i, ok := p.all[keyText(id)]
	return i, ok
}

func same(a, b bson.RawValue) bool { return a.Type == b.Type && string(a.Value) == string(b.Value) }

func keyText(id bson.RawValue) string { return string(append([]byte{byte(id.Type)}, id.Value...)) }

func int64Bytes(n int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(n)) }
