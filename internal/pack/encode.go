package pack

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"

	"sluice/internal/cold"
	"sluice/internal/flow"
)

// A manifest begins with a text that no text file begins with, the format, and
// the lengths of the JSON and of the filter, and a CRC32C of all that and both.
const (
	manifestMagic = "\x8bSLUICE\n"
	prologue      = 8 + 2 + 2 + 4 + 4 + 4
)

// Encode writes the manifest. It fails if the manifest contradicts itself, and
// with what w fails with. The same manifest gives the same bytes as long as the
// zstd library is the same.
func (m *Manifest) Encode(w io.Writer) error {
	head, err := m.prologue()
	if err != nil {
		return &flow.Error{Op: opEncode, Object: m.label(), Class: flow.Fatal, Err: err}
	}
	sum := sha256.New()
	buf := bufio.NewWriterSize(w, 64<<10)
	out := io.MultiWriter(buf, sum)
	if _, err = out.Write(head); err == nil {
		err = m.columns(out)
	}
	if err == nil {
		_, err = buf.Write(sum.Sum(nil))
	}
	if err == nil {
		err = buf.Flush()
	}
	if err != nil {
		return &flow.Error{Op: opEncode, Object: m.label(), Class: flow.ClassOf(err), Err: err}
	}
	return nil
}

// prologue returns all up to the columns.
func (m *Manifest) prologue() ([]byte, error) {
	if m.Header.Format != Format {
		return nil, fmt.Errorf("format %d can't be written", m.Header.Format)
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(m.Header)
	if err != nil {
		return nil, err
	}
	bloom := m.Header.Bloom.append(nil)
	if len(m.Header.Bloom.Bits) == 0 {
		bloom = nil
	}
	if len(text) > maxHeader || len(bloom) > maxBloom {
		return nil, fmt.Errorf("a header of %d bytes and a filter of %d are too large", len(text), len(bloom))
	}
	b := append(make([]byte, 0, prologue+len(text)+len(bloom)), manifestMagic...)
	b = binary.LittleEndian.AppendUint16(b, Format)
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(bloom)))
	sum := crc32.Checksum(b, castagnoli())
	sum = crc32.Update(sum, castagnoli(), text)
	sum = crc32.Update(sum, castagnoli(), bloom)
	b = binary.LittleEndian.AppendUint32(b, sum)
	return append(append(b, text...), bloom...), nil
}

func (m *Manifest) columns(w io.Writer) error {
	c, err := newColumnWriter(w)
	if err != nil {
		return err
	}
	if err := c.head(colHashes, 32*len(m.Entries), 32*len(m.Entries)); err != nil {
		return err
	}
	for i := range m.Entries {
		if _, err := w.Write(m.Entries[i].Hash[:]); err != nil {
			return err
		}
	}
	var raw []byte
	for _, col := range []struct {
		tag    string
		append func([]byte) []byte
	}{
		{colSizes, m.appendSizes},
		{colFrames, m.appendFrames},
		{colAges, m.appendAges},
		{colIDs, m.appendIDs},
		{colKeys, m.appendKeys},
	} {
		raw = col.append(raw[:0])
		if len(raw) == 0 {
			continue
		}
		if len(raw) > maxColumn {
			return fmt.Errorf("the keys of the documents are %d bytes, more than a manifest takes", len(raw))
		}
		if err := c.column(col.tag, raw); err != nil {
			return err
		}
	}
	return c.head(colEnd, 0, 0)
}

func (m *Manifest) appendSizes(b []byte) []byte {
	for i := range m.Entries {
		b = binary.AppendUvarint(b, uint64(m.Entries[i].Size))
	}
	return b
}

func (m *Manifest) appendFrames(b []byte) []byte {
	for _, f := range m.Frames {
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(f.Bytes)), uint64(f.RawBytes))
	}
	return b
}

func (m *Manifest) appendAges(b []byte) []byte {
	last := int64(0)
	for i := range m.Entries {
		b = binary.AppendVarint(b, m.Entries[i].Age-last)
		last = m.Entries[i].Age
	}
	return b
}

func (m *Manifest) appendIDs(b []byte) []byte {
	for i := range m.Entries {
		id := m.Entries[i].ID
		b = binary.AppendUvarint(b, uint64(len(id.Value)))
		b = append(append(b, byte(id.Type)), id.Value...)
	}
	return b
}

// appendKeys appends nothing if no entry has a document key.
func (m *Manifest) appendKeys(b []byte) []byte {
	if !keyed(m.Entries) {
		return b
	}
	for i := range m.Entries {
		b = binary.AppendUvarint(b, uint64(len(m.Entries[i].Key)))
		b = append(b, m.Entries[i].Key...)
	}
	return b
}

func keyed(entries []cold.Entry) bool {
	for i := range entries {
		if entries[i].Key != nil {
			return true
		}
	}
	return false
}
