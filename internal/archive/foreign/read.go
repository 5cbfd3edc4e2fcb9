package foreign

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"path"
	"regexp"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/objstore"
)

// Document is one that an object holds, with _id first, as MongoDB keeps it. Its
// Doc is the reader's to keep.
type Document struct {
	Doc bson.Raw
	ID  bson.RawValue
	// Object is its place in the list that was read; Key is that one's.
	Object int
	Key    string
	// Member is the file inside, Entry the number in its batch.
	Member string
	Entry  int
	// Read is when go-chive read it from MongoDB: the second in the member's name,
	// else the time of the object.
	Read time.Time
	// nth counts the members over all objects.
	nth int
}

// reader reads objects one after another.
type reader struct {
	store objstore.Reader
	// members tells of each member that is read, before its documents; false skips
	// it. Nil reads all.
	members func(object, number int) bool
	visit   func(Document) error
	faults  []Fault
	// seen is how many members were read.
	seen int
}

// object reads one. Faults are kept; an error is of the store, of visit, or the
// end of ctx.
func (r *reader) object(ctx context.Context, n int, o *Object) error {
	body, err := r.store.Get(ctx, o.Key, 0, -1)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	in := &counting{r: body}
	w := &walk{reader: r, o: o, n: n}
	err = w.tar(in)
	var f Fault
	switch {
	case err == nil:
		return nil
	case w.visited != nil:
		return w.visited
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(in.err, objstore.ErrDamaged):
		f.Reason = in.err.Error()
	case in.err != nil:
		return in.err
	case errors.Is(err, io.ErrUnexpectedEOF):
		f.Reason = "it is cut off: the gzip or the tar ends too early"
	default:
		f.Reason = err.Error()
	}
	f.Object, f.Member, f.At, f.Whole, f.number = o.Key, w.member, w.at, true, w.number
	if f.Member == "" {
		f.At = in.n
	}
	r.faults = append(r.faults, f)
	return nil
}

// walk is on its way through one object.
type walk struct {
	*reader
	o *Object
	n int
	// member, its number, and the byte in it that was reached.
	member string
	number int
	at     int64
	// visited is the error of visit.
	visited error
}

func (w *walk) tar(in io.Reader) error {
	gz, err := gzip.NewReader(in)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it is empty")
		}
		return err
	}
	plain := &zeros{r: gz}
	tr := tar.NewReader(plain)
	for w.number = 0; ; w.number++ {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		w.member, w.at = h.Name, 0
		if w.members != nil && !w.members(w.n, w.number) {
			continue
		}
		w.seen++
		var m *misfit
		if err := w.batch(tr, h); errors.As(err, &m) {
			w.faults = append(w.faults, Fault{Object: w.o.Key, Member: h.Name, At: m.at, Reason: m.reason, number: w.number})
		} else if err != nil {
			return err
		}
	}
	w.member = ""
	if _, err := io.Copy(io.Discard, plain); err != nil { // the checksum comes last
		return err
	}
	if plain.last < 2*tarBlock {
		return errors.New("the tar has no end: what came behind its last member is missing")
	}
	return nil
}

const tarBlock = 512

// batch reads one member.
func (w *walk) batch(tr io.Reader, h *tar.Header) error {
	if h.Typeflag != tar.TypeReg {
		return &misfit{reason: "it is no file"}
	}
	b := &batch{r: bufio.NewReaderSize(tr, 64<<10), size: h.Size}
	d := Document{Object: w.n, Key: w.o.Key, Member: h.Name, Read: readAt(h.Name, w.o), nth: w.seen - 1}
	err := b.open()
	for ; err == nil; d.Entry++ {
		var at int64
		if d.Doc, at, err = b.next(); err != nil {
			break
		}
		if d.ID, err = d.Doc.LookupErr("_id"); err != nil {
			return &misfit{at: at, reason: "a document has no _id"}
		}
		d.Doc, d.ID = idFirst(d.Doc, d.ID)
		if err = w.visit(d); err != nil {
			w.visited = err
		}
	}
	w.at = b.pos
	if err == io.EOF { //nolint:errorlint // next's own end; that of a stream is another
		return nil
	}
	return err
}

// readAt is when the batch was read from MongoDB.
func readAt(member string, o *Object) time.Time {
	if m := regexp.MustCompile(`^archive_(\d{1,11})\.[a-z]+$`).FindStringSubmatch(path.Base(member)); m != nil {
		if sec, err := strconv.ParseInt(m[1], 10, 64); err == nil {
			return time.Unix(sec, 0).UTC()
		}
	}
	return o.time()
}

// counting keeps the error of the store apart from those of what it holds.
type counting struct {
	r   io.Reader
	n   int64
	err error
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}

// zeros counts the zero bytes that came last: a tar ends with two blocks of them.
type zeros struct {
	r    io.Reader
	last int
}

func (z *zeros) Read(p []byte) (int, error) {
	n, err := z.r.Read(p)
	i := n
	for i > 0 && p[i-1] == 0 {
		i--
	}
	if i > 0 {
		z.last = 0
	}
	z.last = min(z.last+n-i, 2*tarBlock)
	return n, err
}
