package pack

import (
	"context"
	"io"
	"iter"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Source gives the bytes of the object of a pack: n of them from off, or all to
// the end where n is negative. Who reads closes what it returns.
type Source interface {
	Get(ctx context.Context, off, n int64) (io.ReadCloser, error)
}

// Reader reads documents out of a pack. Each is compared with its hash before it
// is returned, so none is ever another than what was archived. It belongs to one
// goroutine, starts none, and needs no closing.
type Reader struct {
	src Source
	m   *Manifest
	in  *inflater
	// frame is the number of the frame in raw, -1 without one.
	frame  int
	raw    []byte
	stored []byte
}

// OpenReader returns a Reader of the object that src gives. It reads nothing yet.
func OpenReader(src Source, m *Manifest) *Reader { return &Reader{src: src, m: m, frame: -1} }

// Doc returns document number i. It gets the one frame that holds it, unless that
// is the frame of the call before. What it returns is never overwritten; it
// holds the memory of its frame, so who keeps few of many copies them.
func (r *Reader) Doc(ctx context.Context, i int) (bson.Raw, error) {
	if err := r.ready(); err != nil {
		return nil, err
	}
	if i < 0 || i >= len(r.m.Entries) {
		return nil, r.fail("document %d of %d is asked for", i, len(r.m.Entries))
	}
	n := r.m.frameOf(i)
	if n < 0 {
		return nil, r.fail("no frame holds document %d", i)
	}
	if n != r.frame {
		f := r.m.Frames[n]
		body, err := r.src.Get(ctx, f.Offset, f.Bytes)
		if err != nil {
			return nil, cut(opRead, r.m.label(), err, "at frame %d", n)
		}
		err = r.load(body, n)
		_ = body.Close()
		if err != nil {
			return nil, err
		}
	}
	return r.doc(i, n)
}

// All yields the documents from the first to the last, out of one read of the
// object. What it yields is never overwritten. After an error it ends.
func (r *Reader) All(ctx context.Context) iter.Seq2[bson.Raw, error] { return r.From(ctx, 0) }

// From is All, beginning with document number i.
func (r *Reader) From(ctx context.Context, i int) iter.Seq2[bson.Raw, error] {
	return func(yield func(bson.Raw, error) bool) {
		if err := r.stream(ctx, i, func(doc bson.Raw) bool { return yield(doc, nil) }); err != nil {
			yield(nil, err)
		}
	}
}

func (r *Reader) stream(ctx context.Context, i int, yield func(bson.Raw) bool) error {
	if err := r.ready(); err != nil {
		return err
	}
	if i >= len(r.m.Entries) {
		return nil
	}
	i = max(i, 0)
	first := r.m.frameOf(i)
	if first < 0 {
		return r.fail("no frame holds document %d", i)
	}
	last := r.m.Frames[len(r.m.Frames)-1]
	from := r.m.Frames[first].Offset
	body, err := r.src.Get(ctx, from, last.Offset+last.Bytes-from)
	if err != nil {
		return cut(opRead, r.m.label(), err, "at frame %d", first)
	}
	defer func() { _ = body.Close() }()
	for n := first; n < len(r.m.Frames); n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.load(body, n); err != nil {
			return err
		}
		end := r.m.Frames[n].RawOffset + r.m.Frames[n].RawBytes
		for ; i < len(r.m.Entries) && r.m.Entries[i].Offset < end; i++ {
			doc, err := r.doc(i, n)
			if err != nil {
				return err
			}
			if !yield(doc) {
				return nil
			}
		}
	}
	return nil
}

// ready makes the decoder and checks the manifest, once.
func (r *Reader) ready() error {
	if r.in != nil {
		return nil
	}
	if err := r.m.check(); err != nil {
		return r.fail("its manifest contradicts itself: %w", err)
	}
	in, err := newInflater(r.m.Header.Codec)
	if err != nil {
		return err
	}
	r.in = in
	return nil
}

// load reads frame n off body and decodes it.
func (r *Reader) load(body io.Reader, n int) error {
	f := r.m.Frames[n]
	r.frame = -1
	r.stored = room(r.stored, int(f.Bytes))
	if got, err := io.ReadFull(body, r.stored); err != nil {
		return cut(opRead, r.m.label(), err, "in frame %d at byte %d", n, f.Offset+int64(got))
	}
	raw := make([]byte, f.RawBytes) // documents are views into it, and are kept by others
	if err := r.in.into(raw, r.stored); err != nil {
		return r.fail("frame %d at byte %d can't be decoded: %w", n, f.Offset, err)
	}
	r.raw, r.frame = raw, n
	return nil
}

// doc cuts document i out of the frame in hand.
func (r *Reader) doc(i, frame int) (bson.Raw, error) {
	e := &r.m.Entries[i]
	at := e.Offset - r.m.Frames[frame].RawOffset
	doc := r.raw[at : at+int64(e.Size) : at+int64(e.Size)]
	if err := same(doc, e); err != nil {
		return nil, r.fail("document %d (%s) in frame %d at byte %d: %w", i, idText(e.ID), frame, r.m.Frames[frame].Offset, err)
	}
	return doc, nil
}

func (r *Reader) fail(format string, args ...any) error {
	return damaged(opRead, r.m.label(), format, args...)
}
