package objstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash/crc32"
	"io"
	"os"

	"sluice/internal/flow"
)

// BytesBody is a body in memory. b must not change while it is used.
func BytesBody(b []byte) Body { return bytes.NewReader(b) }

// FileBody is the body that f holds now. The caller keeps f open until the Put
// has returned, and closes it.
func FileBody(f *os.File) (Body, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, &flow.Error{Op: "read", Object: f.Name(), Class: flow.Fatal, Err: err}
	}
	return io.NewSectionReader(f, 0, info.Size()), nil
}

// digest is what one pass over a body tells: it is compared with what the caller
// promised before anything is sent, and the checksums that are sent are those of
// the very bytes that were compared.
type digest struct {
	sha   [32]byte
	crc   uint32
	parts []uint32 // CRC of each part
}

func (d digest) hex() string { return hex.EncodeToString(d.sha[:]) }

// readDigest reads b once, in parts of partBytes.
func readDigest(ctx context.Context, b Body, partBytes int64) (digest, error) {
	sha, whole, table := sha256.New(), crc32.New(castagnoli()), castagnoli()
	var d digest
	for off := int64(0); off < b.Size(); off += partBytes {
		n := min(partBytes, b.Size()-off)
		part := crc32.New(table)
		w := io.MultiWriter(sha, whole, part)
		if err := copyAll(w, ctxReader{ctx, io.NewSectionReader(b, off, n)}, n); err != nil {
			return d, err
		}
		d.parts = append(d.parts, part.Sum32())
	}
	copy(d.sha[:], sha.Sum(nil))
	d.crc = whole.Sum32()
	return d, nil
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// copyAll copies exactly n bytes; a source that ends before is an error.
func copyAll(w io.Writer, r io.Reader, n int64) error {
	got, err := io.Copy(w, r)
	if err == nil && got != n {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// ctxReader ends with its context.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}
