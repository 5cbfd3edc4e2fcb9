package pack

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
)

// WriterOptions shape a pack. The zero value is good.
type WriterOptions struct {
	// Codec is Zstd unless told otherwise.
	Codec Codec
	// Level is that of the codec: 1 to 22 for Zstd, 1 to 9 for Gzip; 0 is the
	// fastest.
	Level int
	// FrameBytes is how much BSON a frame holds (DefaultFrameBytes unless told
	// otherwise, at least 4 KiB, at most 16 MiB). A larger document has a frame
	// of its own.
	FrameBytes int
	// Docs is how many documents are expected, 0 if that is not known; it saves
	// memory.
	Docs int
}

// Body is a pack as it was written: what its manifest is made of.
type Body struct {
	Codec Codec
	Docs  int
	// RawBytes is the size of the BSON, Bytes that of the object.
	RawBytes, Bytes int64
	// SHA256 and CRC32C are of the whole object.
	SHA256 cold.Hash
	CRC32C uint32
	Frames []Frame
	// Entries are the documents in the order they were appended.
	Entries []cold.Entry
}

// Writer writes a pack. It holds one frame of documents and their entries,
// never more of the documents. It belongs to one goroutine and starts none.
type Writer struct {
	out   sums
	codec deflater
	kind  Codec
	frame []byte
	size  int
	ids   arena
	body  Body
	// err is the first failure of the codec or of w: nothing goes on after it.
	err error
}

// NewWriter returns a Writer to w. What w is to hold is complete when Close has
// returned without an error; w itself is not closed.
func NewWriter(w io.Writer, o WriterOptions) (*Writer, error) {
	if o.Codec == "" {
		o.Codec = Zstd
	}
	if o.FrameBytes == 0 {
		o.FrameBytes = DefaultFrameBytes
	}
	o.FrameBytes = min(max(o.FrameBytes, 4<<10), 16<<20)
	codec, err := newDeflater(o.Codec, o.Level)
	if err != nil {
		var known *flow.Error
		if errors.As(err, &known) {
			return nil, err
		}
		return nil, &flow.Error{
			Op: opWrite, Class: flow.Config, Err: err,
			Hint: "The level of zstd is 1 to 22, of gzip 1 to 9; 0 is the fastest.",
		}
	}
	return &Writer{
		out: sums{w: w, sha: sha256.New(), table: castagnoli()}, codec: codec, kind: o.Codec, size: o.FrameBytes,
		frame: make([]byte, 0, o.FrameBytes),
		body:  Body{Codec: o.Codec, Entries: make([]cold.Entry, 0, min(max(o.Docs, 0), maxDocs))},
	}, nil
}

// Append adds a document, byte for byte. Of e, ID, Key and Age are given; a zero
// ID is taken from the document. doc, e.ID and e.Key are copied. An error of
// class Document concerns this document alone: it is not in the pack, and the
// next one may be appended.
func (w *Writer) Append(doc bson.Raw, e cold.Entry) error {
	if w.err != nil {
		return w.err
	}
	id, err := admit(doc)
	if err == nil && e.ID.Value == nil && e.ID.Type == 0 {
		e.ID = id
	} else if err == nil && !id.Equal(e.ID) {
		err = errors.New("its _id is not the one that was given")
	}
	if err == nil && e.Key != nil {
		if n, bad := docLen(e.Key); bad != nil || n != len(e.Key) {
			err = errors.New("its document key is not a BSON document")
		}
	}
	if err != nil {
		return &flow.Error{Op: opWrite, Object: idText(id), Class: flow.Document, Err: err}
	}
	if len(w.body.Entries) >= maxDocs {
		return &flow.Error{Op: opWrite, Class: flow.Config, Err: fmt.Errorf("a pack holds at most %d documents", maxDocs), Hint: "Choose a smaller pack_size."}
	}
	e.ID.Value = w.ids.copy(e.ID.Value)
	if e.Key != nil {
		e.Key = w.ids.copy(e.Key)
	}
	e.Hash, e.Offset, e.Size = sha256.Sum256(doc), w.body.RawBytes, int32(len(doc))
	if len(w.frame)+len(doc) > w.size {
		w.flush(w.frame)
		w.frame = w.frame[:0]
	}
	if len(doc) >= w.size {
		w.flush(doc) // by itself, and not copied
	} else {
		w.frame = append(w.frame, doc...)
	}
	if w.err != nil {
		return w.err
	}
	w.body.RawBytes += int64(len(doc))
	w.body.Entries = append(w.body.Entries, e)
	return nil
}

// admit checks that doc is one BSON document of a size that can be archived,
// and returns its _id.
func admit(doc bson.Raw) (bson.RawValue, error) {
	if len(doc) > maxDoc {
		return bson.RawValue{}, fmt.Errorf("a document of %d bytes is larger than the %d that a pack takes", len(doc), maxDoc)
	}
	n, err := docLen(doc)
	if err != nil {
		return bson.RawValue{}, err
	}
	if n != len(doc) {
		return bson.RawValue{}, fmt.Errorf("%d bytes follow the document", len(doc)-n)
	}
	return idOf(doc)
}

// flush writes raw as a frame.
func (w *Writer) flush(raw []byte) {
	if len(raw) == 0 || w.err != nil {
		return
	}
	f := Frame{Offset: w.out.n, RawBytes: int64(len(raw))}
	if n := len(w.body.Frames); n > 0 {
		f.RawOffset = w.body.Frames[n-1].RawOffset + w.body.Frames[n-1].RawBytes
	}
	if err := w.codec.frame(&w.out, raw); err != nil {
		w.fail(err)
		return
	}
	f.Bytes = w.out.n - f.Offset
	w.body.Frames = append(w.body.Frames, f)
}

func (w *Writer) fail(err error) {
	w.err = &flow.Error{Op: opWrite, Class: flow.ClassOf(err), Err: fmt.Errorf("at byte %d: %w", w.out.n, err)}
}

// Bytes is how much was written, compressed. What the frame in hand holds is
// not in it.
func (w *Writer) Bytes() int64 { return w.out.n }

// RawBytes is the BSON appended so far.
func (w *Writer) RawBytes() int64 { return w.body.RawBytes }

// Docs is how many documents were appended.
func (w *Writer) Docs() int { return len(w.body.Entries) }

// Close ends the pack and returns what it is. The Writer is of no use afterwards.
func (w *Writer) Close() (Body, error) {
	if w.err == nil {
		w.flush(w.frame)
	}
	if w.err == nil {
		if _, err := w.out.Write(trailer(w.kind, w.body.Frames)); err != nil {
			w.fail(err)
		}
	}
	if w.err != nil {
		return Body{}, w.err
	}
	w.err = &flow.Error{Op: opWrite, Class: flow.Fatal, Err: errors.New("the pack is closed")}
	b := w.body
	b.Docs, b.Bytes, b.CRC32C = len(b.Entries), w.out.n, w.out.crc
	w.out.sha.Sum(b.SHA256[:0])
	w.frame, w.body, w.codec = nil, Body{}, nil
	return b, nil
}

// sums counts and hashes what goes through.
type sums struct {
	w     io.Writer
	n     int64
	sha   hash.Hash
	table *crc32.Table
	crc   uint32
}

// Write writes b to w.
func (s *sums) Write(b []byte) (int, error) {
	n, err := s.w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	s.n += int64(n)
	s.sha.Write(b[:n])
	s.crc = crc32.Update(s.crc, s.table, b[:n])
	return n, err
}
