package foreign

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// maxDocument is what one document may take: the server's own limit.
const maxDocument = 16<<20 + 16<<10

// batch walks the document {docs: [ … ]} of a member, element by element.
type batch struct {
	r *bufio.Reader
	// pos is the next byte, size the member's, end that behind the array.
	pos, size, end int64
}

func (b *batch) misfit(at int64, format string, args ...any) error {
	return &misfit{at: at, reason: fmt.Sprintf(format, args...)}
}

// fill reads p. That the stream ends is not the end of the batch.
func (b *batch) fill(p []byte) error {
	n, err := io.ReadFull(b.r, p)
	b.pos += int64(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (b *batch) length() (int64, error) {
	var p [4]byte
	err := b.fill(p[:])
	return int64(int32(binary.LittleEndian.Uint32(p[:]))), err //nolint:gosec // BSON's lengths have a sign
}

// name reads a field's name; one longer than a few bytes is none of go-chive's.
func (b *batch) name() (string, error) {
	const most = 64
	var name []byte
	for {
		c, err := b.byte()
		if err != nil || c == 0 {
			return string(name), err
		}
		if name = append(name, c); len(name) > most {
			return "", b.misfit(b.pos-int64(len(name)), "a field's name begins with %q and does not end", name)
		}
	}
}

func (b *batch) byte() (byte, error) {
	var p [1]byte
	err := b.fill(p[:])
	return p[0], err
}

// open reads up to the first element.
func (b *batch) open() error {
	if b.size < 5 {
		return b.misfit(0, "it is no BSON: it has %d bytes", b.size)
	}
	if text, err := b.r.Peek(2); err == nil && strings.IndexByte("[{", text[0]) >= 0 && strings.IndexByte("[]{}\"\n", text[1]) >= 0 {
		return b.misfit(0, "it is JSON, as early versions of go-chive wrote it, without the types of values; it can't be restored as it was")
	}
	n, err := b.length()
	switch {
	case err != nil:
		return err
	case n >= 5 && n < b.size:
		return b.misfit(0, "its first BSON document ends at byte %d of %d; go-chive writes one of all its bytes", n, b.size)
	case n != b.size:
		return b.misfit(0, "it is no BSON: its length would be %d, and it has %d bytes", n, b.size)
	}
	at := b.pos
	kind, err := b.byte()
	if err != nil {
		return err
	}
	if kind == 0 {
		return b.misfit(at, "the field docs is missing: the document is empty")
	}
	name, err := b.name()
	switch {
	case err != nil:
		return err
	case name != "docs":
		return b.misfit(at, "the field docs is missing: the first is %q", name)
	case bson.Type(kind) != bson.TypeArray:
		return b.misfit(at, "the field docs is of type %s, no array", bson.Type(kind))
	}
	at = b.pos
	if n, err = b.length(); err != nil {
		return err
	}
	if b.end = at + n; b.end != b.size-1 {
		return b.misfit(at, "docs would end at byte %d, and the document has %d", b.end, b.size)
	}
	return nil
}

// next reads a document, and tells where it begins. io.EOF is the end of the
// batch, and nothing else is.
func (b *batch) next() (doc bson.Raw, at int64, err error) {
	at = b.pos
	kind, err := b.byte()
	if err != nil {
		return nil, at, err
	}
	if kind == 0 {
		return nil, at, b.close()
	}
	name, err := b.name()
	if err != nil {
		return nil, at, err
	}
	if bson.Type(kind) != bson.TypeEmbeddedDocument {
		return nil, at, b.misfit(at, "element %q of docs is of type %s, no document", name, bson.Type(kind))
	}
	at = b.pos
	n, err := b.length()
	switch {
	case err != nil:
		return nil, at, err
	case n < 5 || n > maxDocument || at+n > b.end-1:
		return nil, at, b.misfit(at, "element %q of docs would have %d bytes", name, n)
	}
	doc = make(bson.Raw, n)
	binary.LittleEndian.PutUint32(doc, uint32(n)) //nolint:gosec // at most maxDocument
	if err := b.fill(doc[4:]); err != nil {
		return nil, at, err
	}
	if err := doc.Validate(); err != nil {
		return nil, at, b.misfit(at, "element %q of docs is a broken document: %v", name, err)
	}
	return doc, at, nil
}

// close reads the end of the outer document.
func (b *batch) close() error {
	if b.pos != b.end {
		return b.misfit(b.pos-1, "docs ends there, and should at byte %d", b.end)
	}
	last, err := b.byte()
	if err != nil {
		return err
	}
	if last != 0 {
		return b.misfit(b.pos-1, "the document does not end with a zero byte")
	}
	return io.EOF
}
