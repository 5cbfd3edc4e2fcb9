package pack

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"

	"sluice/internal/transcode/shapes"
)

func codecs() []Codec { return []Codec{Zstd, Gzip} }

// Any documents come out of a pack byte for byte: in one stream, one by one, by
// Decode, and by the driver's own reader.
func TestA1AnyDocumentsComeBackByteForByte(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		docs := rapid.SliceOfN(rawDocs(2), 0, 30).Draw(rt, "docs")
		p := build(t, WriterOptions{Codec: rapid.SampledFrom(codecs()).Draw(rt, "codec"), FrameBytes: 1}, docs...)
		m, err := DecodeManifest(bytes.NewReader(encode(t, p.m)))
		if err != nil {
			rt.Fatal(err)
		}
		p.m = m
		if err := verify(p, p.object); err != nil {
			rt.Fatal(err)
		}
		r := OpenReader(p, m)
		n := 0
		for d, err := range r.All(ctx()) {
			if err != nil || !bytes.Equal(d, docs[n]) {
				rt.Fatalf("document %d: %x, want %x (%v)", n, d, docs[n], err)
			}
			n++
		}
		if n != len(docs) {
			rt.Fatalf("%d documents of %d", n, len(docs))
		}
		for i := range docs {
			d, err := r.Doc(ctx(), i)
			if err != nil || !bytes.Equal(d, docs[i]) {
				rt.Fatalf("document %d: %x, want %x (%v)", i, d, docs[i], err)
			}
			if id, err := docs[i].LookupErr("_id"); err != nil || !id.Equal(m.Entries[i].ID) {
				rt.Fatalf("document %d: _id %v, want %v", i, m.Entries[i].ID, id)
			}
		}
		var plain bytes.Buffer
		if err := Decode(&plain, bytes.NewReader(p.object), m.Header.Codec); err != nil {
			rt.Fatal(err)
		}
		if !bytes.Equal(plain.Bytes(), stream(docs)) {
			rt.Fatal("Decode gives another stream")
		}
		for i := range docs {
			d, err := bson.ReadDocument(&plain)
			if err != nil || !bytes.Equal(d, docs[i]) {
				rt.Fatalf("the driver reads document %d as %x, want %x (%v)", i, d, docs[i], err)
			}
		}
		if _, err := bson.ReadDocument(&plain); !errors.Is(err, io.EOF) {
			rt.Fatalf("after the last document: %v", err)
		}
	})
}

// Documents of many sizes, in frames of the usual size; the document reader of
// the driver decodes the stream.
func TestA1ShapesComeBackByteForByte(t *testing.T) {
	var docs []bson.Raw
	for i := range 400 {
		docs = append(docs, shapes.All()[i%4].Make(i))
	}
	docs = append(docs, doc(t, bson.D{{Key: "_id", Value: 1}, {Key: "x", Value: bytes.Repeat([]byte("0123456789"), 400_000)}}))
	for _, c := range codecs() {
		p := build(t, WriterOptions{Codec: c}, docs...)
		if err := verify(p, p.object); err != nil {
			t.Fatal(err)
		}
		var plain bytes.Buffer
		if err := Decode(&plain, bytes.NewReader(p.object), c); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(plain.Bytes(), stream(docs)) {
			t.Fatalf("%s: Decode gives another stream", c)
		}
		in := bson.NewDecoder(bson.NewDocumentReader(&plain))
		for i := range docs {
			var d bson.Raw
			if err := in.Decode(&d); err != nil || !bytes.Equal(d, docs[i]) {
				t.Fatalf("%s: the driver's document reader reads document %d otherwise (%v)", c, i, err)
			}
		}
	}
}

// Standard decoders, which know nothing of frames, give the BSON stream.
func TestStandardDecodersReadPacks(t *testing.T) {
	docs := some(shapes.All()[1], 1<<20)
	p := build(t, WriterOptions{Codec: Gzip}, docs...)
	gz, err := gzip.NewReader(bytes.NewReader(p.object))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(gz)
	if err != nil || !bytes.Equal(got, stream(docs)) {
		t.Fatalf("gzip of the standard library: %d bytes (%v)", len(got), err)
	}
	p = build(t, WriterOptions{Codec: Zstd}, docs...)
	zr, err := zstd.NewReader(bytes.NewReader(p.object))
	if err != nil {
		t.Fatal(err)
	}
	defer zr.Close()
	if got, err = io.ReadAll(zr); err != nil || !bytes.Equal(got, stream(docs)) {
		t.Fatalf("zstd as a stream: %d bytes (%v)", len(got), err)
	}
}

// Every frame alone, wherever it lies, is decoded without the others.
func TestFramesAreIndependent(t *testing.T) {
	docs := some(shapes.All()[0], 200<<10)
	for _, c := range codecs() {
		p := build(t, WriterOptions{Codec: c, FrameBytes: 8 << 10}, docs...)
		in, err := newInflater(c)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.m.Frames) < 20 {
			t.Fatalf("%d frames", len(p.m.Frames))
		}
		all := stream(docs)
		order := make([]int, len(p.m.Frames))
		for i := range order {
			order[i] = len(order) - 1 - i
		}
		for _, i := range order {
			f := p.m.Frames[i]
			raw := make([]byte, f.RawBytes)
			if err := in.into(raw, p.object[f.Offset:f.Offset+f.Bytes]); err != nil {
				t.Fatalf("%s: frame %d: %v", c, i, err)
			}
			if !bytes.Equal(raw, all[f.RawOffset:f.RawOffset+f.RawBytes]) || checkDocs(raw) != nil {
				t.Fatalf("%s: frame %d holds other documents", c, i)
			}
		}
	}
}

func TestFromBeginsAnywhere(t *testing.T) {
	docs := some(shapes.All()[0], 60<<10)
	p := build(t, WriterOptions{FrameBytes: 4 << 10}, docs...)
	for _, from := range []int{-1, 0, 1, 14, 15, 16, len(docs) - 1, len(docs), len(docs) + 5} {
		var got []bson.Raw
		for d, err := range OpenReader(p, p.m).From(ctx(), from) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, d)
		}
		want := docs[min(max(from, 0), len(docs)):]
		if !slices.EqualFunc(got, want, func(a, b bson.Raw) bool { return bytes.Equal(a, b) }) {
			t.Errorf("from %d: %d documents, want %d", from, len(got), len(want))
		}
	}
}
