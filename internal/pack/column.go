package pack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// The columns of a manifest, in the order in which they are written. Hashes come
// first: they can't be compressed, so whoever tells a number of documents has to
// bring bytes for it.
const (
	colHashes = "HASH"
	colSizes  = "SIZE"
	colFrames = "FRAM"
	colAges   = "AGES"
	colIDs    = "IDS "
	colKeys   = "KEYS"
	colEnd    = "END "
)

// columnHead is a tag of 4 bytes, the length of the column, and how many bytes
// it has in the file: as many, if it is not compressed.
const columnHead = 4 + 8 + 8

// maxGain is how much smaller zstd may have made a column. Keys never repeat so
// much; what claims more is not taken for one.
const maxGain = 1024

// columnWriter writes columns.
type columnWriter struct {
	w   io.Writer
	enc *zstd.Encoder
	out []byte
}

func newColumnWriter(w io.Writer) (*columnWriter, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
	return &columnWriter{w: w, enc: enc}, err
}

func (c *columnWriter) head(tag string, raw, stored int) error {
	b := append(make([]byte, 0, columnHead), tag...)
	b = binary.LittleEndian.AppendUint64(b, uint64(raw))
	b = binary.LittleEndian.AppendUint64(b, uint64(stored))
	_, err := c.w.Write(b)
	return err
}

// column writes raw, compressed if that is smaller.
func (c *columnWriter) column(tag string, raw []byte) error {
	c.out = c.enc.EncodeAll(raw, c.out[:0])
	stored := c.out
	if len(stored) >= len(raw) || len(raw) > maxGain*len(stored) {
		stored = raw
	}
	if err := c.head(tag, len(raw), len(stored)); err != nil {
		return err
	}
	_, err := c.w.Write(stored)
	return err
}

// columnReader reads the columns of a manifest, one after the other.
type columnReader struct {
	r   io.Reader
	dec *zstd.Decoder
	// tag and raw are those of the column in hand, in is what is left of it.
	tag    string
	raw    int64
	stored io.LimitedReader
	in     io.Reader
}

// next goes to the next column. It returns its tag.
func (c *columnReader) next() (string, error) {
	var b [columnHead]byte
	if _, err := io.ReadFull(c.r, b[:]); err != nil {
		return "", fmt.Errorf("in the head of a column: %w", err)
	}
	c.tag = string(b[:4])
	raw, stored := binary.LittleEndian.Uint64(b[4:]), binary.LittleEndian.Uint64(b[12:])
	if raw > maxColumn || stored > raw || raw > maxGain*stored {
		return "", fmt.Errorf("column %q of %d bytes from %d is none", c.tag, raw, stored)
	}
	c.raw, c.stored = int64(raw), io.LimitedReader{R: c.r, N: int64(stored)}
	if stored == raw {
		c.in = &c.stored
		return c.tag, nil
	}
	if c.dec == nil {
		dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			return "", err
		}
		c.dec = dec
	}
	c.in = c.dec
	return c.tag, c.dec.Reset(&c.stored)
}

// bytes returns the whole column. Memory grows as bytes really come.
func (c *columnReader) bytes() ([]byte, error) {
	b, err := readAll(c.in, int(c.raw))
	if err != nil {
		return nil, c.bad(err)
	}
	return b, c.end()
}

// close gives up what the decoder holds.
func (c *columnReader) close() {
	if c.dec != nil {
		c.dec.Close()
	}
}

// end fails if the column goes on.
func (c *columnReader) end() error {
	var one [1]byte
	switch n, err := io.ReadFull(c.in, one[:]); {
	case n != 0:
		return c.bad(fmt.Errorf("it has more than %d bytes", c.raw))
	case !errors.Is(err, io.EOF):
		return c.bad(err)
	case c.stored.N != 0:
		return c.bad(fmt.Errorf("%d bytes of it are left over", c.stored.N))
	}
	return nil
}

// pass reads over a column that is not known.
func (c *columnReader) pass() error {
	_, err := io.Copy(io.Discard, &c.stored)
	if err == nil && c.stored.N > 0 {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (c *columnReader) bad(err error) error { return fmt.Errorf("in column %q: %w", c.tag, err) }

// varints reads numbers off a column.
type varints struct{ *bytes.Reader }

func (v varints) unsigned(most int64) (int64, error) {
	n, err := binary.ReadUvarint(v)
	if err == nil && n > uint64(most) {
		err = fmt.Errorf("%d is more than %d", n, most)
	}
	return int64(n), err
}
