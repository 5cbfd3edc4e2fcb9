package pipeline

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/transcode"
)

// key identifies one document of one namespace by 128 bits of hash, seeded per
// pump. With a billion keys at once the odds of one collision are about one in
// 10^20, so two equal keys are taken for the same document.
type key struct{ hi, lo uint64 }

// seeds make the hashes of one pump unguessable, so that nobody can choose
// _id values that all meet in one lane.
type seeds struct{ hi, lo, nsHi, nsLo maphash.Seed }

func newSeeds() *seeds {
	return &seeds{maphash.MakeSeed(), maphash.MakeSeed(), maphash.MakeSeed(), maphash.MakeSeed()}
}

// hasher makes keys; each goroutine has its own, all with the same seeds.
type hasher struct {
	seeds *seeds
	last  flow.Namespace
	ns    key
	known map[flow.Namespace]key
	buf   []byte
}

func newHasher(s *seeds) *hasher {
	return &hasher{seeds: s, known: make(map[flow.Namespace]key)}
}

// of returns the key of c. Values that MongoDB takes for one key (1, 1.0,
// NumberLong(1), NumberDecimal("1")) have one key here too.
func (h *hasher) of(c *flow.Change) key {
	if c.NS != h.last {
		h.enter(c.NS)
	}
	k := h.value(c.ID)
	return key{k.hi ^ h.ns.hi, k.lo ^ h.ns.lo}
}

// enter makes ns the namespace of the next keys.
func (h *hasher) enter(ns flow.Namespace) {
	k, ok := h.known[ns]
	if !ok {
		name := ns.String()
		k = key{maphash.String(h.seeds.nsHi, name), maphash.String(h.seeds.nsLo, name)}
		h.known[ns] = k
	}
	h.last, h.ns = ns, k
}

// Tags of key values, beside the BSON types, whose bytes need a rewrite first.
const (
	tagText = 0xf0
	tagNum  = 0xf1
)

// value hashes an _id. The usual types are hashed as they are; what may have
// an equal value of another type goes through its canonical form.
func (h *hasher) value(v bson.RawValue) key {
	switch v.Type {
	case bson.TypeObjectID, bson.TypeString, bson.TypeBinary, bson.TypeDateTime, bson.TypeBoolean, bson.TypeNull:
		return h.bytes(byte(v.Type), v.Value)
	case bson.TypeSymbol: // equal to the string of the same text
		return h.bytes(byte(bson.TypeString), v.Value)
	case bson.TypeInt32:
		if n, ok := v.Int32OK(); ok {
			return h.int(int64(n))
		}
	case bson.TypeInt64:
		if n, ok := v.Int64OK(); ok {
			return h.int(n)
		}
	case bson.TypeDouble:
		if f, ok := v.DoubleOK(); ok && f == math.Trunc(f) && f >= -(1<<63) && f < 1<<63 {
			return h.int(int64(f))
		}
		return h.number(v)
	case bson.TypeDecimal128:
		return h.number(v)
	}
	h.buf = transcode.AppendID(h.buf[:0], v)
	return h.bytes(tagText, h.buf)
}

// number hashes a rare number by its canonical text, integers as integers.
func (h *hasher) number(v bson.RawValue) key {
	h.buf = transcode.AppendID(h.buf[:0], v)
	if len(h.buf) <= 20 {
		if n, err := strconv.ParseInt(string(h.buf), 10, 64); err == nil {
			return h.int(n)
		}
	}
	return h.bytes(tagText, h.buf)
}

func (h *hasher) int(n int64) key {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(n))
	return h.bytes(tagNum, b[:])
}

// bytes hashes b; tag keeps equal bytes of different types apart. The tag is
// spread by odd constants so that it touches every bit of both halves.
func (h *hasher) bytes(tag byte, b []byte) key {
	t := uint64(tag) + 1
	return key{
		hi: maphash.Bytes(h.seeds.hi, b) ^ t*0x9e3779b97f4a7c15,
		lo: maphash.Bytes(h.seeds.lo, b) ^ t*0xc2b2ae3d27d4eb4f,
	}
}
