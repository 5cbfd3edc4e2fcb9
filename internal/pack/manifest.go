package pack

import (
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
)

// Manifest tells all of a pack: what it is, where its frames lie, and each of
// its documents. It is immutable once made; its entries share memory.
type Manifest struct {
	Header  Header
	Frames  []Frame
	Entries []cold.Entry
}

// NewManifest makes the manifest of a pack that was written. h tells where it
// comes from and its key; what the body tells (Format, Codec, Docs, sizes, sums,
// ages, Bloom) is filled in. Created is kept, or now. The entries are shared.
func NewManifest(h Header, b Body) *Manifest {
	h.Format, h.Codec, h.Docs = Format, b.Codec, len(b.Entries)
	h.RawBytes, h.Bytes, h.SHA256, h.CRC32C = b.RawBytes, b.Bytes, hex.EncodeToString(b.SHA256[:]), b.CRC32C
	if h.Created.IsZero() {
		h.Created = time.Now().UTC().Truncate(time.Millisecond)
	}
	h.MinAge, h.MaxAge = time.Time{}, time.Time{}
	if len(b.Entries) > 0 {
		least, most := b.Entries[0].Age, b.Entries[0].Age
		for _, e := range b.Entries {
			least, most = min(least, e.Age), max(most, e.Age)
		}
		h.MinAge, h.MaxAge = ageTime(least), ageTime(most)
	}
	h.Bloom = NewBloom(len(b.Entries), keysOf(b.Entries))
	return &Manifest{Header: h, Frames: b.Frames, Entries: b.Entries}
}

func keysOf(entries []cold.Entry) iter.Seq[bson.RawValue] {
	return func(yield func(bson.RawValue) bool) {
		for _, e := range entries {
			if !yield(e.ID) {
				return
			}
		}
	}
}

// ageTime is an age as JSON can tell it: years 1 to 9999.
func ageTime(ms int64) time.Time {
	const first, last = -62135596800000, 253402300799999
	return time.UnixMilli(min(max(ms, first+1), last)).UTC()
}

// check fails unless header, frames
// and entries tell the same, without gap or overlap and within the limits.
// Readers rely on it.
func (m *Manifest) check() error {
	h := m.Header
	sha, err := hex.DecodeString(h.SHA256)
	switch {
	case !h.Codec.known():
		return fmt.Errorf("codec %q is not known", string(h.Codec))
	case err != nil || len(sha) != 32:
		return errors.New("the SHA-256 of the object is not one")
	case h.Docs != len(m.Entries):
		return fmt.Errorf("%d documents are told, and %d entries are there", h.Docs, len(m.Entries))
	case h.Bytes < 0 || h.Bytes > maxObject:
		return fmt.Errorf("an object of %d bytes is told", h.Bytes)
	}
	stored, err := m.checkFrames()
	if err != nil {
		return err
	}
	if end := stored + int64(len(trailer(h.Codec, m.Frames))); end != h.Bytes {
		return fmt.Errorf("frames and end are %d bytes, and the object has %d", end, h.Bytes)
	}
	return nil
}

// checkFrames fails unless the documents fill the frames to the byte, and these
// follow each other. It returns where the last one ends in the object.
func (m *Manifest) checkFrames() (stored int64, err error) {
	raw, n := int64(0), 0
	for i, f := range m.Frames {
		switch {
		case f.Offset != stored || f.RawOffset != raw:
			return 0, fmt.Errorf("frame %d lies at %d (BSON at %d), not at %d (%d)", i, f.Offset, f.RawOffset, stored, raw)
		case f.Bytes < 1 || f.Bytes > maxFrame || f.RawBytes < minDoc || f.RawBytes > maxFrameRaw:
			return 0, fmt.Errorf("frame %d of %d bytes with %d of BSON is none", i, f.Bytes, f.RawBytes)
		}
		stored += f.Bytes
		for end := raw + f.RawBytes; raw < end; n++ {
			if n >= len(m.Entries) {
				return 0, fmt.Errorf("frame %d has no entries for its last %d bytes", i, end-raw)
			}
			e := m.Entries[n]
			if e.Offset != raw || e.Size < minDoc || raw+int64(e.Size) > end {
				return 0, fmt.Errorf("document %d of %d bytes at %d does not fit frame %d", n, e.Size, e.Offset, i)
			}
			raw += int64(e.Size)
		}
	}
	if n != len(m.Entries) || raw != m.Header.RawBytes {
		return 0, fmt.Errorf("the frames hold %d documents and %d bytes of BSON, not %d and %d", n, raw, m.Header.Docs, m.Header.RawBytes)
	}
	return stored, nil
}

// frameOf returns the number of the frame that holds document i.
func (m *Manifest) frameOf(i int) int {
	at := m.Entries[i].Offset
	n, found := slices.BinarySearchFunc(m.Frames, at, func(f Frame, at int64) int {
		switch {
		case f.RawOffset > at:
			return 1
		case f.RawOffset+f.RawBytes <= at:
			return -1
		}
		return 0
	})
	if !found { // check has seen to it
		return -1
	}
	return n
}

// label names the pack of a manifest in errors.
func (m *Manifest) label() string {
	if m.Header.Object != "" {
		return m.Header.Object
	}
	return m.Header.ID
}
