package pack

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"sluice/internal/flow"
)

// Decode writes the BSON stream of a pack to w, without its manifest: documents,
// one after another, as bsondump and mongorestore read them. It holds one frame.
// A pack that was cut or damaged fails, after the frames before that place were
// written; so a w that is kept is of use only if Decode returned nil.
func Decode(w io.Writer, r io.Reader, c Codec) error {
	d := &frames{r: bufio.NewReaderSize(r, 64<<10), w: w}
	var err error
	if c == Gzip {
		err = d.members()
	} else {
		if d.in, err = newInflater(c); err != nil {
			return err
		}
		err = d.zstd()
	}
	if err == nil {
		return nil
	}
	where := fmt.Sprintf("frame %d at byte %d", len(d.seen), d.at)
	var sink *sinkError
	var known *flow.Error
	switch {
	case errors.As(err, &sink):
		return &flow.Error{Op: opRead, Class: flow.ClassOf(sink.error), Err: fmt.Errorf("writing what was read: %w", sink.error)}
	case errors.As(err, &known):
		return &flow.Error{Op: opRead, Class: flow.ClassOf(err), Err: fmt.Errorf("%s: %w", where, err)}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return damaged(opRead, "", "it ends too early, in %s: %w", where, err)
	}
	return damaged(opRead, "", "%s: %w", where, err)
}

// sinkError is a failure of who takes the documents, which says nothing of the pack.
type sinkError struct{ error }

// frames walks over a pack without its manifest.
type frames struct {
	r  *bufio.Reader
	w  io.Writer
	in *inflater
	// seen are the frames so far, at is where the next one begins.
	seen        []Frame
	at          int64
	stored, raw []byte
}

// emit writes a decoded frame.
func (d *frames) emit(stored int64, raw []byte) error {
	if len(raw) == 0 {
		return errors.New("it holds nothing")
	}
	if err := checkDocs(raw); err != nil {
		return err
	}
	if _, err := d.w.Write(raw); err != nil {
		return &sinkError{err}
	}
	d.seen = append(d.seen, Frame{Bytes: stored, RawBytes: int64(len(raw))})
	d.at += stored
	return nil
}

// end fails unless the trailer is the one of the frames seen, and the last.
func (d *frames) end(c Codec) error {
	want := trailer(c, d.seen)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(d.r, got); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("the table at its end does not tell the %d frames before", len(d.seen))
	}
	if _, err := d.r.ReadByte(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = errors.New("bytes follow its end")
		}
		return err
	}
	return nil
}

func (d *frames) zstd() error {
	for {
		peek, err := d.r.Peek(zstd.HeaderMaxSize)
		if err != nil && (len(peek) == 0 || !errors.Is(err, io.EOF)) {
			return err
		}
		if len(peek) >= 4 && binary.LittleEndian.Uint32(peek) == skippableMagic {
			return d.end(Zstd)
		}
		var h zstd.Header
		if err := h.Decode(peek); err != nil {
			return err
		}
		if h.Skippable || !h.HasFCS || h.FrameContentSize > maxFrameRaw || h.DictionaryID != 0 {
			return errors.New("it is not a frame of a pack")
		}
		if err := d.zstdFrame(&h); err != nil {
			return err
		}
		d.raw = room(d.raw, int(h.FrameContentSize))
		if err := d.in.into(d.raw, d.stored); err != nil {
			return err
		}
		if err := d.emit(int64(len(d.stored)), d.raw); err != nil {
			return err
		}
	}
}

// zstdFrame reads a frame, block by block (RFC 8878, 3.1.1).
func (d *frames) zstdFrame(h *zstd.Header) error {
	d.stored = d.stored[:0]
	if err := d.more(h.HeaderSize); err != nil {
		return err
	}
	for last := false; !last; {
		if err := d.more(3); err != nil {
			return err
		}
		b := d.stored[len(d.stored)-3:]
		block := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
		last = block&1 != 0
		size := int(block >> 3)
		if block>>1&3 == 1 { // one byte, repeated
			size = 1
		}
		if err := d.more(size); err != nil {
			return err
		}
	}
	if h.HasCheckSum {
		return d.more(4)
	}
	return nil
}

// more appends n bytes to the frame in hand.
func (d *frames) more(n int) error {
	at := len(d.stored)
	if at+n > maxFrame {
		return fmt.Errorf("it is larger than the %d bytes that a frame may have", maxFrame)
	}
	if cap(d.stored) < at+n {
		d.stored = append(make([]byte, 0, max(at+n, 2*cap(d.stored), 64<<10)), d.stored...)
	}
	d.stored = d.stored[:at+n]
	_, err := io.ReadFull(d.r, d.stored[at:])
	return err
}

// members walks over gzip.
func (d *frames) members() error {
	counted := &byteCounter{r: d.r}
	var gz gzip.Reader
	for {
		// The last member has an extra field.
		peek, err := d.r.Peek(4)
		if err != nil {
			return err
		}
		if peek[3] != 0 {
			return d.end(Gzip)
		}
		if err := gz.Reset(counted); err != nil {
			return err
		}
		gz.Multistream(false)
		if err := d.member(&gz); err != nil {
			return err
		}
		if err := d.emit(counted.n-d.at, d.raw); err != nil {
			return err
		}
	}
}

// member decodes one into raw. Memory grows as bytes really come.
func (d *frames) member(gz io.Reader) error {
	d.raw = d.raw[:0]
	for {
		if len(d.raw) == cap(d.raw) {
			if len(d.raw) > maxFrameRaw {
				return fmt.Errorf("it holds more than the %d bytes that a frame may have", maxFrameRaw)
			}
			d.raw = append(make([]byte, 0, min(max(2*cap(d.raw), DefaultFrameBytes+1), maxFrameRaw+1)), d.raw...)
		}
		n, err := gz.Read(d.raw[len(d.raw):cap(d.raw)])
		d.raw = d.raw[:len(d.raw)+n]
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// byteCounter counts what gzip takes, which is not a byte more than a member.
type byteCounter struct {
	r *bufio.Reader
	n int64
}

// Read reads from r.
func (c *byteCounter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// ReadByte reads one byte from r.
func (c *byteCounter) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}
