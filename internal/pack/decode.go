package pack

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
)

// HeaderBytes is what a ranged read of a header begins with: enough for a pack
// of some 100,000 documents. Where it was not, DecodeHeader fails with
// io.ErrUnexpectedEOF, and the whole is to be read.
const HeaderBytes = 160 << 10

// DecodeHeader reads the header of a manifest, with its filter over the keys,
// and nothing behind it. It has a checksum of its own.
func DecodeHeader(r io.Reader) (Header, error) { return readHeader(r) }

// DecodeManifest reads a whole manifest, to the end of r. Its checksum is
// compared, what it tells is checked against itself, and no more memory is taken
// than its bytes allow.
func DecodeManifest(r io.Reader) (*Manifest, error) {
	in := &hashed{r: bufio.NewReaderSize(r, 64<<10), sum: sha256.New()}
	h, err := readHeader(in)
	if err != nil {
		return nil, err
	}
	m := &Manifest{Header: h}
	if err := m.readColumns(in); err != nil {
		return nil, unreadable(m.label(), err)
	}
	if err := in.finish(); err != nil {
		return nil, unreadable(m.label(), err)
	}
	if err := m.check(); err != nil {
		return nil, damaged(opManifest, m.label(), "it contradicts itself: %w", err)
	}
	return m, nil
}

// unreadable makes the error of a manifest of err, with the cure if it is not
// one of the reader underneath, which brings its own.
func unreadable(object string, err error) error {
	var known *flow.Error
	if errors.As(err, &known) {
		return &flow.Error{Op: opManifest, Object: object, Class: flow.ClassOf(err), Err: err}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged(opManifest, object, "it ends too early, %w", err)
	}
	return damaged(opManifest, object, "%w", err)
}

// hashed hashes what is read through it.
type hashed struct {
	r   *bufio.Reader
	sum hash.Hash
}

// Read reads from r.
func (h *hashed) Read(b []byte) (int, error) {
	n, err := h.r.Read(b)
	h.sum.Write(b[:n])
	return n, err
}

// finish compares the checksum at the end, and fails if more follows.
func (h *hashed) finish() error {
	var want [sha256.Size]byte
	if _, err := io.ReadFull(h.r, want[:]); err != nil {
		return fmt.Errorf("in its SHA-256: %w", err)
	}
	if !bytes.Equal(h.sum.Sum(nil), want[:]) {
		return errors.New("its SHA-256 differs from the one at its end")
	}
	switch _, err := h.r.ReadByte(); {
	case err == nil:
		return errors.New("bytes follow its end")
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// readHeader reads up to the columns.
func readHeader(r io.Reader) (Header, error) {
	var b [prologue]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return Header{}, unreadable("", fmt.Errorf("in its first %d bytes: %w", prologue, err))
	}
	if string(b[:len(manifestMagic)]) != manifestMagic {
		return Header{}, damaged(opManifest, "", "it is no manifest: it begins with %q", b[:len(manifestMagic)])
	}
	format, zero := binary.LittleEndian.Uint16(b[8:]), binary.LittleEndian.Uint16(b[10:])
	text, filter := binary.LittleEndian.Uint32(b[12:]), binary.LittleEndian.Uint32(b[16:])
	switch {
	case format > Format:
		return Header{}, newer(opManifest, "", int(format), Format)
	case format == 0 || zero != 0 || text > maxHeader || filter > maxBloom:
		return Header{}, damaged(opManifest, "", "its first %d bytes make no sense: format %d, flags %d, header of %d bytes, filter of %d",
			prologue, format, zero, text, filter)
	}
	rest, err := readAll(r, int(text)+int(filter))
	if err != nil {
		return Header{}, unreadable("", fmt.Errorf("in its header: %w", err))
	}
	sum := crc32.Update(crc32.Checksum(b[:20], castagnoli()), castagnoli(), rest)
	if sum != binary.LittleEndian.Uint32(b[20:]) {
		return Header{}, damaged(opManifest, "", "the CRC32C of its header differs")
	}
	var h Header
	if err := json.Unmarshal(rest[:text], &h); err != nil {
		return Header{}, damaged(opManifest, "", "its header can't be read: %w", err)
	}
	if h.Bloom, err = parseBloom(rest[text:]); err != nil {
		return Header{}, damaged(opManifest, h.Object, "%w", err)
	}
	if h.Format != int(format) || h.Docs < 0 || h.Docs > maxDocs || h.RawBytes < 0 {
		return Header{}, damaged(opManifest, h.Object, "its header makes no sense: format %d, %d documents, %d bytes", h.Format, h.Docs, h.RawBytes)
	}
	return h, nil
}

// readAll reads n bytes. Memory grows as bytes really come.
func readAll(r io.Reader, n int) ([]byte, error) {
	buf := make([]byte, 0, min(n, 1<<20))
	for len(buf) < n {
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, min(n, 4*cap(buf))), buf...)
		}
		got, err := io.ReadFull(r, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+got]
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return buf, nil
}

func (m *Manifest) readColumns(r io.Reader) error {
	c := &columnReader{r: r}
	defer c.close()
	read := map[string]func(*columnReader) error{
		colHashes: m.readHashes, colSizes: m.readSizes, colFrames: m.readFrames,
		colAges: m.readAges, colIDs: m.readIDs, colKeys: m.readKeys,
	}
	order := []string{colHashes, colSizes, colFrames, colAges, colIDs, colKeys}
	for {
		tag, err := c.next()
		if err != nil {
			return err
		}
		if tag == colEnd {
			break
		}
		if read[tag] == nil { // of a later sluice, which says that it may be passed over
			if err := c.pass(); err != nil {
				return c.bad(err)
			}
			continue
		}
		for len(order) > 0 && order[0] != tag {
			order = order[1:]
		}
		if len(order) == 0 {
			return fmt.Errorf("column %q comes twice or too late", tag)
		}
		order = order[1:]
		if err := read[tag](c); err != nil {
			return err
		}
	}
	// What is missing shows: hashes and keys here, the rest in check.
	if len(m.Entries) != m.Header.Docs || len(m.Entries) > 0 && m.Entries[0].ID.Type == 0 {
		return errors.New("hashes or keys are missing")
	}
	return nil
}

// readHashes makes the entries.
func (m *Manifest) readHashes(c *columnReader) error {
	docs := m.Header.Docs
	if c.raw != 32*int64(docs) {
		return c.bad(fmt.Errorf("it has %d bytes for %d documents", c.raw, docs))
	}
	m.Entries = make([]cold.Entry, 0, min(docs, 32<<10))
	for len(m.Entries) < docs {
		if len(m.Entries) == cap(m.Entries) {
			m.Entries = append(make([]cold.Entry, 0, min(docs, 4*cap(m.Entries))), m.Entries...)
		}
		m.Entries = append(m.Entries, cold.Entry{})
		if _, err := io.ReadFull(c.in, m.Entries[len(m.Entries)-1].Hash[:]); err != nil {
			return c.bad(err)
		}
	}
	return c.end()
}

// numbers returns the column as a stream of numbers, of at most ten bytes each.
func (c *columnReader) numbers(n int) (varints, error) {
	if c.raw > 10*int64(n) {
		return varints{}, c.bad(fmt.Errorf("it has %d bytes for %d numbers", c.raw, n))
	}
	b, err := c.bytes()
	return varints{bytes.NewReader(b)}, err
}

func (c *columnReader) used(v varints) error {
	if v.Len() != 0 {
		return c.bad(fmt.Errorf("%d bytes of it are left over", v.Len()))
	}
	return nil
}

func (m *Manifest) readSizes(c *columnReader) error {
	v, err := c.numbers(len(m.Entries))
	if err != nil {
		return err
	}
	at := int64(0)
	for i := range m.Entries {
		n, err := v.unsigned(maxDoc)
		if err != nil {
			return c.bad(err)
		}
		m.Entries[i].Size, m.Entries[i].Offset = int32(n), at
		at += n
	}
	return c.used(v)
}

func (m *Manifest) readFrames(c *columnReader) error {
	// A frame holds one document at least.
	v, err := c.numbers(2 * len(m.Entries))
	if err != nil {
		return err
	}
	var f Frame
	for v.Len() > 0 {
		f.Offset, f.RawOffset = f.Offset+f.Bytes, f.RawOffset+f.RawBytes
		if f.Bytes, err = v.unsigned(maxFrame); err != nil {
			return c.bad(err)
		}
		if f.RawBytes, err = v.unsigned(maxFrameRaw); err != nil {
			return c.bad(err)
		}
		m.Frames = append(m.Frames, f)
	}
	return nil
}

func (m *Manifest) readAges(c *columnReader) error {
	v, err := c.numbers(len(m.Entries))
	if err != nil {
		return err
	}
	age := int64(0)
	for i := range m.Entries {
		d, err := binary.ReadVarint(v)
		if err != nil {
			return c.bad(err)
		}
		age += d
		m.Entries[i].Age = age
	}
	return c.used(v)
}

// readIDs leaves the keys in the bytes of the column, which they share.
func (m *Manifest) readIDs(c *columnReader) error {
	b, err := c.bytes()
	if err != nil {
		return err
	}
	for i := range m.Entries {
		size, n := binary.Uvarint(b)
		if n <= 0 || len(b) < n+1 || size > uint64(len(b)-n-1) {
			return c.bad(fmt.Errorf("key %d does not end", i))
		}
		t, v := bson.Type(b[n]), b[n+1:n+1+int(size):n+1+int(size)]
		if got, ok := valueLen(t, v); !ok || got != len(v) {
			return c.bad(fmt.Errorf("key %d of type 0x%02x in %d bytes can't be read", i, byte(t), len(v)))
		}
		m.Entries[i].ID = bson.RawValue{Type: t, Value: v}
		b = b[n+1+int(size):]
	}
	if len(b) != 0 {
		return c.bad(fmt.Errorf("%d bytes of it are left over", len(b)))
	}
	return nil
}

func (m *Manifest) readKeys(c *columnReader) error {
	b, err := c.bytes()
	if err != nil {
		return err
	}
	for i := range m.Entries {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return c.bad(fmt.Errorf("document key %d does not end", i))
		}
		end := n + int(size)
		if size > 0 {
			key := b[n:end:end]
			if got, err := docLen(key); err != nil || got != len(key) {
				return c.bad(fmt.Errorf("document key %d is not a BSON document", i))
			}
			m.Entries[i].Key = key
		}
		b = b[end:]
	}
	if len(b) != 0 {
		return c.bad(fmt.Errorf("%d bytes of it are left over", len(b)))
	}
	return nil
}
