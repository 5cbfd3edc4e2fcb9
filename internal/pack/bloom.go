package pack

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"iter"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Bloom is a Bloom filter over the keys of a pack: it may hold a key for present
// that is not (about one in a hundred), and never one for absent that is. Keys
// that MongoDB holds for equal are one key. The zero value knows nothing.
type Bloom struct {
	// Hashes is how many bits a key sets.
	Hashes int
	// Bits are the bits, the lowest of each byte first.
	Bits []byte
}

// Ten bits and seven hashes a key let 0.8 % pass.
const (
	bloomBits   = 10
	bloomHashes = 7
	maxHashes   = 32
)

// NewBloom returns the filter of n keys.
func NewBloom(n int, ids iter.Seq[bson.RawValue]) Bloom {
	b := Bloom{Hashes: bloomHashes, Bits: make([]byte, max(8, (n*bloomBits+7)/8))}
	var key []byte
	for id := range ids {
		key = appendKey(key[:0], id.Type, id.Value, 0)
		at, step := bloomPlaces(key)
		m := uint64(len(b.Bits)) * 8
		for range b.Hashes {
			b.Bits[at%m/8] |= 1 << (at % m % 8)
			at += step
		}
	}
	return b
}

// MayHold is false only if no key of the pack equals id.
func (b Bloom) MayHold(id bson.RawValue) bool {
	if len(b.Bits) == 0 {
		return true
	}
	at, step := bloomPlaces(appendKey(nil, id.Type, id.Value, 0))
	m := uint64(len(b.Bits)) * 8
	for range b.Hashes {
		if b.Bits[at%m/8]&(1<<(at%m%8)) == 0 {
			return false
		}
		at += step
	}
	return true
}

// bloomPlaces returns where the bits of a key begin and how far apart they are.
func bloomPlaces(key []byte) (at, step uint64) {
	sum := sha256.Sum256(key)
	return binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:]) | 1
}

func (b Bloom) append(dst []byte) []byte { return append(append(dst, byte(b.Hashes)), b.Bits...) }

func parseBloom(b []byte) (Bloom, error) {
	if len(b) == 0 {
		return Bloom{}, nil
	}
	f := Bloom{Hashes: int(b[0]), Bits: b[1:]}
	if f.Hashes < 1 || f.Hashes > maxHashes || len(f.Bits) == 0 {
		return Bloom{}, errors.New("the filter over the keys can't be read")
	}
	return f, nil
}
