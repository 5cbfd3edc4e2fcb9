package pack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
)

// Verify reads an object once, to its end, and fails unless it is the pack that
// the manifest tells: its size, SHA-256 and CRC32C, every frame, every document
// with its place, size, hash and _id; nothing more, and nothing less (rule A4).
// It holds one frame.
func Verify(ctx context.Context, r io.Reader, m *Manifest) error {
	if err := m.check(); err != nil {
		return damaged(opVerify, m.label(), "its manifest contradicts itself: %w", err)
	}
	in, err := newInflater(m.Header.Codec)
	if err != nil {
		return err
	}
	v := &verifier{m: m, in: in, sum: sums{w: io.Discard, sha: sha256.New(), table: castagnoli()}, r: r}
	doc := 0
	for i := range m.Frames {
		if err := ctx.Err(); err != nil {
			return err
		}
		if doc, err = v.frame(i, doc); err != nil {
			return err
		}
	}
	return v.end()
}

type verifier struct {
	m   *Manifest
	in  *inflater
	sum sums
	r   io.Reader
	// stored and raw are the frame in hand.
	stored, raw []byte
}

// frame checks frame number i, whose first document is number doc, and returns
// the number of the next one.
func (v *verifier) frame(i, doc int) (int, error) {
	f, object := v.m.Frames[i], v.m.label()
	var err error
	if v.stored, err = v.take(v.stored, int(f.Bytes)); err != nil {
		return doc, cut(opVerify, object, err, "in frame %d at byte %d", i, v.sum.n)
	}
	v.raw = room(v.raw, int(f.RawBytes))
	if err := v.in.into(v.raw, v.stored); err != nil {
		return doc, damaged(opVerify, object, "frame %d at byte %d can't be decoded: %w", i, f.Offset, err)
	}
	for rest := v.raw; len(rest) > 0; doc++ {
		e := &v.m.Entries[doc]
		if err := same(rest[:e.Size], e); err != nil {
			return doc, damaged(opVerify, object, "document %d (%s) in frame %d at byte %d: %w", doc, idText(e.ID), i, f.Offset, err)
		}
		id, err := idOf(bson.Raw(rest[:e.Size]))
		if err != nil || !id.Equal(e.ID) {
			return doc, damaged(opVerify, object, "document %d (%s) in frame %d at byte %d has another _id", doc, idText(e.ID), i, f.Offset)
		}
		rest = rest[e.Size:]
	}
	return doc, nil
}

// end checks what follows the frames, and the sums over all.
func (v *verifier) end() error {
	object, want := v.m.label(), trailer(v.m.Header.Codec, v.m.Frames)
	at := v.sum.n
	var err error
	if v.stored, err = v.take(v.stored, len(want)); err != nil {
		return cut(opVerify, object, err, "in its end at byte %d", at)
	}
	if !bytes.Equal(v.stored, want) {
		return damaged(opVerify, object, "what follows the frames at byte %d is not the table of its frames", at)
	}
	switch n, err := io.ReadFull(v.r, make([]byte, 1)); {
	case n != 0:
		return damaged(opVerify, object, "bytes follow its end at byte %d", v.sum.n)
	case !errors.Is(err, io.EOF):
		return cut(opVerify, object, err, "after its end at byte %d", v.sum.n)
	}
	if got := hex.EncodeToString(v.sum.sha.Sum(nil)); got != v.m.Header.SHA256 {
		return damaged(opVerify, object, "its SHA-256 is %s, not %s", got, v.m.Header.SHA256)
	}
	if v.sum.crc != v.m.Header.CRC32C {
		return damaged(opVerify, object, "its CRC32C is %08x, not %08x", v.sum.crc, v.m.Header.CRC32C)
	}
	return nil
}

// take reads n bytes into buf, and sums them.
func (v *verifier) take(buf []byte, n int) ([]byte, error) {
	buf = room(buf, n)
	got, err := io.ReadFull(v.r, buf)
	v.sum.n += int64(got)
	v.sum.sha.Write(buf[:got])
	v.sum.crc = crc32.Update(v.sum.crc, v.sum.table, buf[:got])
	return buf, err
}

// room returns n bytes, those of buf if it has as many.
func room(buf []byte, n int) []byte {
	if cap(buf) < n {
		return make([]byte, n)
	}
	return buf[:n]
}

// same fails unless doc is the document of the entry: its own length and its
// hash say so.
func same(doc []byte, e *cold.Entry) error {
	if n, err := docLen(doc); err != nil || n != len(doc) {
		return fmt.Errorf("it is not a BSON document of %d bytes", len(doc))
	}
	if got := sha256.Sum256(doc); got != e.Hash {
		return fmt.Errorf("its SHA-256 is %x, not %x", got, e.Hash)
	}
	return nil
}
