package pack

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/transcode/shapes"
)

func TestWriterTellsWhatItWrote(t *testing.T) {
	docs := some(shapes.All()[1], 1<<20)
	for _, c := range codecs() {
		p := build(t, WriterOptions{Codec: c}, docs...)
		h := p.m.Header
		sum := sha256.Sum256(p.object)
		if h.SHA256 != hex.EncodeToString(sum[:]) || h.CRC32C != crc32.Checksum(p.object, crc32.MakeTable(crc32.Castagnoli)) {
			t.Errorf("%s: sums of the object differ", c)
		}
		if h.Bytes != int64(len(p.object)) || h.RawBytes != int64(len(stream(docs))) || h.Docs != len(docs) || h.Codec != c {
			t.Errorf("%s: %+v", c, h)
		}
		if h.MinAge.UnixMilli() != 0 || h.MaxAge.UnixMilli() != int64(len(docs)-1) {
			t.Errorf("%s: ages %v to %v", c, h.MinAge, h.MaxAge)
		}
		for i, e := range p.m.Entries {
			if e.Hash != sha256.Sum256(docs[i]) || int(e.Size) != len(docs[i]) || e.Age != int64(i) {
				t.Fatalf("%s: entry %d: %+v", c, i, e)
			}
		}
	}
}

// A frame ends before it would grow beyond its size; a larger document has one
// of its own; none straddles two.
func TestFramesEndAtTheirSize(t *testing.T) {
	of := func(sizes ...int) []bson.Raw {
		var docs []bson.Raw
		for i, n := range sizes {
			d := doc(t, bson.D{{Key: "_id", Value: int32(i)}, {Key: "x", Value: ""}})
			docs = append(docs, doc(t, bson.D{{Key: "_id", Value: int32(i)}, {Key: "x", Value: string(bytes.Repeat([]byte("x"), n-len(d)))}}))
		}
		return docs
	}
	f := func(want []int64, sizes ...int) {
		t.Helper()
		for _, c := range codecs() {
			p := build(t, WriterOptions{Codec: c, FrameBytes: 4096}, of(sizes...)...)
			var got []int64
			for _, f := range p.m.Frames {
				got = append(got, f.RawBytes)
			}
			if len(got) != len(want) {
				t.Errorf("%v gives frames %v, want %v", sizes, got, want)
				continue
			}
			for i := range got {
				if got[i] != want[i] {
					t.Errorf("%v gives frames %v, want %v", sizes, got, want)
				}
			}
			if err := verify(p, p.object); err != nil {
				t.Error(err)
			}
		}
	}
	f(nil)
	f([]int64{100}, 100)
	f([]int64{4096, 100}, 2048, 2048, 100)
	f([]int64{4095}, 4095)
	f([]int64{4096}, 4096)
	f([]int64{100, 4096, 100}, 100, 4096, 100)
	f([]int64{100, 3 << 20, 200}, 100, 3<<20, 100, 100)
	f([]int64{4000, 4000}, 4000, 4000)
}

func TestWriterRefusesWhatIsNoDocument(t *testing.T) {
	var out bytes.Buffer
	w, err := NewWriter(&out, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	good := doc(t, bson.D{{Key: "_id", Value: 7}})
	huge := make([]byte, maxDoc+1)
	copy(huge, le32(maxDoc+1))
	for name, d := range map[string]bson.Raw{
		"nothing": nil, "short": {4, 0, 0, 0}, "no _id": doc(t, bson.D{{Key: "a", Value: 1}}), "longer than told": append(bytes.Clone(good), 0),
		"shorter than told": good[:len(good)-1], "no end": append(bytes.Clone(good[:len(good)-1]), 1), "too large": huge,
	} {
		if err := w.Append(d, cold.Entry{}); flow.ClassOf(err) != flow.Document {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.Append(good, cold.Entry{ID: value(t, int64(7))}); flow.ClassOf(err) != flow.Document {
		t.Errorf("another _id: %v", err)
	}
	if err := w.Append(good, cold.Entry{Key: bson.Raw{1, 2}}); flow.ClassOf(err) != flow.Document {
		t.Errorf("a document key that is none: %v", err)
	}
	if err := w.Append(good, cold.Entry{ID: value(t, int32(7)), Key: good}); err != nil {
		t.Error(err)
	}
	if w.Docs() != 1 || w.RawBytes() != int64(len(good)) {
		t.Errorf("%d documents, %d bytes", w.Docs(), w.RawBytes())
	}
	body, err := w.Close()
	if err != nil || body.Docs != 1 || !bytes.Equal(body.Entries[0].Key, good) {
		t.Fatalf("%+v %v", body, err)
	}
	if w.Append(good, cold.Entry{}) == nil {
		t.Error("a closed pack takes documents")
	}
	if _, err := w.Close(); err == nil {
		t.Error("a pack is closed twice")
	}
	for _, o := range []WriterOptions{{Codec: "lz4"}, {Codec: Gzip, Level: 99}} {
		if _, err := NewWriter(&out, o); flow.ClassOf(err) != flow.Config {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// brokenSink fails after some bytes.
type brokenSink struct{ left int }

var errDiskFull = &flow.Error{Op: "write", Class: flow.Transient, Err: errors.New("no space left on device")}

func (b *brokenSink) Write(p []byte) (int, error) {
	if len(p) > b.left {
		return b.left, errDiskFull
	}
	b.left -= len(p)
	return len(p), nil
}

// A sink that fails, fails the pack, wherever that is, and keeps its class.
func TestWriterFailsWithItsSink(t *testing.T) {
	docs := some(shapes.All()[0], 40<<10)
	docs = append(docs, doc(t, bson.D{{Key: "_id", Value: 1}, {Key: "x", Value: make([]byte, 3<<20)}}))
	for _, c := range codecs() {
		size := len(build(t, WriterOptions{Codec: c, FrameBytes: 4 << 10}, docs...).object)
		for left := 0; left < size; left += 1 + size/97 {
			w, err := NewWriter(&brokenSink{left}, WriterOptions{Codec: c, FrameBytes: 4 << 10})
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range docs {
				_ = w.Append(d, cold.Entry{})
			}
			if _, err = w.Close(); !errors.Is(err, errDiskFull) || flow.ClassOf(err) != flow.Transient {
				t.Fatalf("%s, %d bytes: %v", c, left, err)
			}
		}
	}
}

// Documents of the caller are not kept: neither their bytes nor their keys.
func TestWriterCopiesWhatItKeeps(t *testing.T) {
	var out bytes.Buffer
	w, err := NewWriter(&out, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := some(shapes.All()[0], 20<<10)
	for i, d := range want {
		mine := bytes.Clone(d)
		if err := w.Append(mine, cold.Entry{Age: int64(i)}); err != nil {
			t.Fatal(err)
		}
		for at := range mine {
			mine[at] = 0xff
		}
	}
	body, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	p := &packed{want, out.Bytes(), NewManifest(Header{Object: "x"}, body)}
	if err := verify(p, p.object); err != nil {
		t.Error(err)
	}
}

// Documents of 16 MB go through without a copy of them.
func TestWriterHoldsNoLargeDocument(t *testing.T) {
	text := make([]byte, 16_000_000)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range text {
		text[i] = byte(rng.Uint32())
	}
	d := doc(t, bson.D{{Key: "_id", Value: 1}, {Key: "x", Value: text}})
	for _, c := range codecs() {
		var before, after runtime.MemStats
		w, err := NewWriter(io.Discard, WriterOptions{Codec: c})
		if err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&before)
		for range 3 {
			if err := w.Append(d, cold.Entry{}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if got := (after.TotalAlloc - before.TotalAlloc) >> 10; got > 6<<10 {
			t.Errorf("%s: %d KiB allocated for three documents of 16 MB", c, got)
		}
	}
}
