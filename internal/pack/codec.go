package pack

import (
	"bytes"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"sluice/internal/flow"
)

// Codec is how the frames of a pack are compressed.
type Codec string

// The codecs.
const (
	// Zstd is the Zstandard seekable format: independent frames and a seek table
	// at the end. `zstd -d` gives the BSON.
	Zstd Codec = "zstd"
	// Gzip is independent members (RFC 1952) and an empty one at the end.
	// `gzip -d` gives the BSON.
	Gzip Codec = "gzip"
)

// Ext is the end of the names of packs of this codec: ".bson.zst", ".bson.gz".
func (c Codec) Ext() string {
	if c == Gzip {
		return ".bson.gz"
	}
	return ".bson.zst"
}

func (c Codec) known() bool { return c == Zstd || c == Gzip }

func unknownCodec(op, object string, c Codec) error {
	return &flow.Error{
		Op: op, Object: object, Class: flow.Config, Err: fmt.Errorf("codec %q is not known", string(c)),
		Hint: `Packs are compressed by "zstd" or "gzip".`,
	}
}

// deflater writes frames. It belongs to one goroutine and starts none.
type deflater interface {
	// frame writes raw as one independent frame.
	frame(w io.Writer, raw []byte) error
}

// streamFrom is the size of a frame from which it is written as it is
// compressed: the buffer for the whole would be as large as the document.
const streamFrom = 2 << 20

type zstdDeflater struct {
	enc *zstd.Encoder
	out []byte
}

func newDeflater(c Codec, level int) (deflater, error) {
	switch c {
	case Zstd:
		speed := zstd.SpeedFastest
		if level > 0 {
			speed = zstd.EncoderLevelFromZstd(level)
		}
		// One at a time, and no window beyond a frame of the usual size: what it
		// holds is some 3 MiB.
		enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(speed), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(true), zstd.WithSingleSegment(true), zstd.WithAllLitEntropyCompression(true))
		if err != nil {
			return nil, err
		}
		return &zstdDeflater{enc: enc}, nil
	case Gzip:
		if level == 0 {
			level = gzip.BestSpeed
		}
		gz, err := gzip.NewWriterLevel(nil, level)
		if err != nil {
			return nil, err
		}
		return &gzipDeflater{gz}, nil
	}
	return nil, unknownCodec(opWrite, "", c)
}

func (d *zstdDeflater) frame(w io.Writer, raw []byte) error {
	if len(raw) <= streamFrom {
		d.out = d.enc.EncodeAll(raw, d.out[:0])
		_, err := w.Write(d.out)
		return err
	}
	d.enc.ResetContentSize(w, int64(len(raw)))
	if _, err := d.enc.Write(raw); err != nil {
		return err
	}
	return d.enc.Close()
}

type gzipDeflater struct{ gz *gzip.Writer }

func (d *gzipDeflater) frame(w io.Writer, raw []byte) error {
	d.gz.Reset(w)
	if _, err := d.gz.Write(raw); err != nil {
		return err
	}
	return d.gz.Close()
}

// inflater reads frames. It belongs to one goroutine and starts none.
type inflater struct {
	codec Codec
	dec   *zstd.Decoder
	gz    *gzip.Reader
	in    bytes.Reader
}

func newInflater(c Codec) (*inflater, error) {
	i := &inflater{codec: c}
	switch c {
	case Zstd:
		dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxMemory(maxFrameRaw), zstd.WithDecoderMaxWindow(32<<20), zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			return nil, err
		}
		i.dec = dec
	case Gzip:
		i.gz = new(gzip.Reader)
	default:
		return nil, unknownCodec(opRead, "", c)
	}
	return i, nil
}

// into decodes one whole frame, which is all of stored, into raw, which it has
// to fill to the byte.
func (i *inflater) into(raw, stored []byte) error {
	if i.codec == Zstd {
		got, err := i.dec.DecodeAll(stored, raw[:0:len(raw)])
		if err != nil {
			return err
		}
		if len(got) != len(raw) {
			return fmt.Errorf("it holds %d bytes, not %d", len(got), len(raw))
		}
		return nil
	}
	i.in.Reset(stored)
	if err := i.gz.Reset(&i.in); err != nil {
		return err
	}
	i.gz.Multistream(false)
	if n, err := io.ReadFull(i.gz, raw); err != nil {
		return fmt.Errorf("after %d of %d bytes: %w", n, len(raw), err)
	}
	// The end of the member, with its checksum.
	var one [1]byte
	if n, err := i.gz.Read(one[:]); n != 0 || err != io.EOF { //nolint:errorlint // a reader's end is io.EOF itself
		if err == nil || n != 0 {
			err = fmt.Errorf("it holds more than %d bytes", len(raw))
		}
		return err
	}
	if i.in.Len() != 0 {
		return fmt.Errorf("%d bytes follow its end", i.in.Len())
	}
	return nil
}
