package mongo

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/flow"
)

const (
	// chunkBytes is about how much of a file one reply brings.
	chunkBytes = 1 << 20
	// defaultChunk is the size of a chunk where the document does not tell.
	defaultChunk = 255 << 10
	maxChunks    = 1000
)

// chunkQuery asks for the chunks of one file, from one number on.
type chunkQuery struct {
	chunks flow.Namespace
	file   bson.RawValue
	from   int64
	limit  int64
	// after is a time that the answer has to include (rule S8).
	after bson.Timestamp
}

// partError says that the chunks of a file are not what its document says.
type partError struct{ err error }

func (e partError) Error() string { return e.err.Error() }

func notWhole(format string, args ...any) error { return partError{fmt.Errorf(format, args...)} }

// read reads a file into Attach of its change.
func (f *Files) read(ctx context.Context, d download) error {
	var err error
	pause := filePause
	for try := range fileTries {
		if try > 0 {
			if err := rest(ctx, pause); err != nil {
				return err
			}
			pause *= 4
		}
		if d.a.Text, err = f.readOnce(ctx, d); err == nil {
			f.metrics.file("attached", d.length)
			return nil
		}
		if part := (partError{}); !errors.As(err, &part) {
			return err
		}
	}
	there, e := f.exists(ctx, d.c.NS, d.c.ID, d.c.Time)
	switch {
	case e != nil:
		return e
	case !there: // its delete is coming
		f.metrics.file("gone", 0)
		d.c.Op, d.c.Doc, d.c.Attach = flow.OpSkip, nil, nil
	default:
		f.metrics.file("incomplete", 0)
		d.a.Flaw = f.flaw(d.c, reasonFileIncomplete, err)
	}
	return nil
}

// rest waits, unless ctx ends.
func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// readOnce reads all chunks of a file, straight into base64. A partError says
// that they are not whole.
func (f *Files) readOnce(ctx context.Context, d download) ([]byte, error) {
	size, ok := fileNumber(d.c.Doc, "chunkSize")
	if !ok || size <= 0 {
		size = defaultChunk
	}
	q := chunkQuery{
		chunks: chunksOf(d.c.NS), file: d.c.ID, after: d.c.Time,
		limit: min(max(chunkBytes/size, 1), maxChunks),
	}
	text := base64Text{dst: make([]byte, 0, base64.StdEncoding.EncodedLen(int(d.length)))}
	for text.read < d.length {
		chunks, err := f.page(ctx, q)
		if err != nil {
			return nil, err
		}
		if len(chunks) == 0 {
			return nil, notWhole("chunk %d is missing: %d of %d bytes are there", q.from, text.read, d.length)
		}
		for _, chunk := range chunks {
			data, err := chunkData(chunk, q.from)
			if err != nil {
				return nil, err
			}
			if text.read+int64(len(data)) > d.length {
				return nil, notWhole("the chunks hold more than the %d bytes of the file", d.length)
			}
			text.write(data)
			q.from++
		}
	}
	return text.end(), nil
}

// chunkData returns the content of chunk number n.
func chunkData(chunk bson.Raw, n int64) ([]byte, error) {
	var data []byte
	found, is := false, int64(-1)
	for b := inside(chunk); ; {
		typ, name, value, rest, err := element(b)
		switch {
		case err != nil:
			return nil, unreadable(err)
		case typ == 0:
			switch {
			case is != n:
				return nil, notWhole("chunk %d is missing", n)
			case !found:
				return nil, notWhole("chunk %d has no data", n)
			}
			return data, nil
		case string(name) == "n":
			if number, ok := wholeNumber(typ, value); ok {
				is = number
			}
		case string(name) == "data" && typ == bson.TypeBinary:
			data, found = binaryData(value)
		}
		b = rest
	}
}

// binaryData is what a binary value holds; subtype 2 says its length twice.
func binaryData(value []byte) ([]byte, bool) {
	if len(value) < 5 {
		return nil, false
	}
	data := value[5:]
	if value[4] != bson.TypeBinaryBinaryOld {
		return data, true
	}
	if len(data) < 4 {
		return nil, false
	}
	return data[4:], true
}

// fileNumber is a number of the document of a file.
func fileNumber(doc bson.Raw, field string) (int64, bool) {
	for b := inside(doc); ; {
		typ, name, value, rest, err := element(b)
		if err != nil || typ == 0 {
			return 0, false
		}
		if string(name) == field {
			return wholeNumber(typ, value)
		}
		b = rest
	}
}

// wholeNumber is the value of a number without a fraction.
func wholeNumber(typ bson.Type, value []byte) (int64, bool) {
	switch typ {
	case bson.TypeInt32:
		return int64(int32(binary.LittleEndian.Uint32(value))), true
	case bson.TypeInt64:
		return int64(binary.LittleEndian.Uint64(value)), true
	case bson.TypeDouble:
		d := math.Float64frombits(binary.LittleEndian.Uint64(value))
		if d != math.Trunc(d) || math.Abs(d) > 1<<53 {
			return 0, false
		}
		return int64(d), true
	}
	return 0, false
}

// base64Text encodes what is written to it piece by piece. dst has room for all.
type base64Text struct {
	dst  []byte
	read int64
	// part is what does not fill three bytes yet.
	part [3]byte
	n    int
}

func (t *base64Text) write(p []byte) {
	t.read += int64(len(p))
	if t.n > 0 {
		k := copy(t.part[t.n:], p)
		t.n, p = t.n+k, p[k:]
		if t.n < len(t.part) {
			return
		}
		t.dst = base64.StdEncoding.AppendEncode(t.dst, t.part[:])
	}
	whole := len(p) - len(p)%3
	t.dst = base64.StdEncoding.AppendEncode(t.dst, p[:whole])
	t.n = copy(t.part[:], p[whole:])
}

// end returns the text.
func (t *base64Text) end() []byte {
	t.dst = base64.StdEncoding.AppendEncode(t.dst, t.part[:t.n])
	t.n = 0
	return t.dst
}

// readChunks runs a chunkQuery. No cursor stays open: the next page is a read of
// its own, which any member may answer.
func (s *Source) readChunks(ctx context.Context, q chunkQuery) ([]bson.Raw, error) {
	cmd := bson.D{
		{Key: "find", Value: q.chunks.Coll},
		{Key: "filter", Value: bson.D{
			{Key: "files_id", Value: bson.D{{Key: "$eq", Value: q.file}}},
			{Key: "n", Value: bson.D{{Key: "$gte", Value: q.from}}},
		}},
		{Key: "sort", Value: bson.D{{Key: "n", Value: 1}}},
		{Key: "projection", Value: bson.D{{Key: "_id", Value: 0}, {Key: "n", Value: 1}, {Key: "data", Value: 1}}},
		{Key: "limit", Value: q.limit},
		{Key: "batchSize", Value: q.limit},
		{Key: "singleBatch", Value: true},
	}
	all, err := s.findAfter(ctx, q.chunks, cmd, q.after)
	if err != nil {
		return nil, s.fileFault(q.chunks, err)
	}
	return all, nil
}

// hasDocument tells whether ns has a document with that _id.
func (s *Source) hasDocument(ctx context.Context, ns flow.Namespace, id bson.RawValue, after bson.Timestamp) (bool, error) {
	cmd := bson.D{
		{Key: "find", Value: ns.Coll},
		{Key: "filter", Value: bson.D{{Key: "_id", Value: bson.D{{Key: "$eq", Value: id}}}}},
		{Key: "projection", Value: bson.D{{Key: "_id", Value: 1}}},
		{Key: "limit", Value: int64(1)},
		{Key: "singleBatch", Value: true},
	}
	all, err := s.findAfter(ctx, ns, cmd, after)
	if err != nil {
		return false, s.fileFault(ns, err)
	}
	return len(all) > 0, nil
}

func (s *Source) fileFault(ns flow.Namespace, err error) error {
	var f *flow.Error
	if errors.As(err, &f) {
		return f
	}
	return s.denied(fault("read a file of", ns.String(), err))
}

// findAfter runs a find that a majority has, not before a time.
func (s *Source) findAfter(ctx context.Context, ns flow.Namespace, cmd bson.D, after bson.Timestamp) ([]bson.Raw, error) {
	concern := bson.D{{Key: "level", Value: "majority"}}
	if !after.IsZero() {
		concern = afterClusterTime(after)
	}
	cmd = append(cmd, bson.E{Key: "readConcern", Value: concern})
	raw, err := s.client.Database(ns.DB).RunCommand(ctx, cmd, options.RunCmd().SetReadPreference(s.prefs.rereads)).Raw()
	if err != nil {
		return nil, err
	}
	r, err := parseReply(raw)
	if err != nil {
		return nil, unreadable(err)
	}
	var all []bson.Raw
	err = r.each(func(doc bson.Raw) error {
		all = append(all, doc)
		return nil
	})
	if err != nil {
		return nil, unreadable(err)
	}
	return all, nil
}
