package pack

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
)

// little is a pack of three frames, small enough for each bit of it.
func little(t testing.TB, c Codec) *packed {
	var docs []bson.Raw
	for i := range 9 {
		docs = append(docs, doc(t, bson.D{{Key: "_id", Value: i}, {Key: "text", Value: strings.Repeat("some text ", 150+i)}}))
	}
	return build(t, WriterOptions{Codec: c, FrameBytes: 4 << 10}, docs...)
}

func mustBeDamaged(t *testing.T, err error, what string, at int) {
	t.Helper()
	var e *flow.Error
	if !errors.As(err, &e) || e.Class != flow.Fatal || e.Hint == "" {
		t.Fatalf("%s at %d: %v", what, at, err)
	}
}

// Each single bit of an object that is flipped, and each cut, is found.
func TestA4VerifyFindsEveryBitAndEveryCut(t *testing.T) {
	for _, c := range codecs() {
		p := little(t, c)
		if err := verify(p, p.object); err != nil {
			t.Fatal(err)
		}
		if len(p.m.Frames) < 3 {
			t.Fatalf("%d frames", len(p.m.Frames))
		}
		bad := bytes.Clone(p.object)
		for bit := range len(bad) * 8 {
			bad[bit/8] ^= 1 << (bit % 8)
			mustBeDamaged(t, verify(p, bad), string(c)+": a flipped bit", bit)
			bad[bit/8] ^= 1 << (bit % 8)
		}
		for n := range len(bad) {
			mustBeDamaged(t, verify(p, bad[:n]), string(c)+": a cut", n)
		}
		mustBeDamaged(t, verify(p, append(bad, 0)), string(c)+": a byte more", len(bad))
	}
}

// Decode has no manifest. It never gives documents that are not those that were
// packed as if all was well, and finds each cut, also one between two frames.
func TestA4DecodeFindsDamageWithoutTheManifest(t *testing.T) {
	for _, c := range codecs() {
		p := little(t, c)
		want := stream(p.docs)
		bad := bytes.Clone(p.object)
		silent := 0
		for bit := range len(bad) * 8 {
			bad[bit/8] ^= 1 << (bit % 8)
			var out bytes.Buffer
			if err := Decode(&out, bytes.NewReader(bad), c); err == nil {
				silent++ // a bit that means nothing: the time of a gzip member
				if !bytes.Equal(out.Bytes(), want) {
					t.Fatalf("%s: bit %d flipped gives other documents", c, bit)
				}
			}
			bad[bit/8] ^= 1 << (bit % 8)
		}
		if silent > len(p.m.Frames)*8*8 {
			t.Errorf("%s: %d bits mean nothing", c, silent)
		}
		for n := range len(bad) {
			var out bytes.Buffer
			mustBeDamaged(t, Decode(&out, bytes.NewReader(bad[:n]), c), string(c)+": a cut", n)
			if !bytes.HasPrefix(want, out.Bytes()) {
				t.Fatalf("%s: cut at %d, it wrote other documents", c, n)
			}
		}
		mustBeDamaged(t, Decode(&bytes.Buffer{}, bytes.NewReader(append(bad, 0)), c), string(c)+": a byte more", len(bad))
	}
}

// Each single bit of a manifest, and each cut, is found; those of its head by
// DecodeHeader too.
func TestA4ManifestFindsEveryBitAndEveryCut(t *testing.T) {
	p := little(t, Zstd)
	good := encode(t, p.m)
	head, err := p.m.prologue()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeManifest(bytes.NewReader(good)); err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(good)
	for bit := range len(bad) * 8 {
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := DecodeManifest(bytes.NewReader(bad)); err == nil {
			t.Fatalf("a flipped bit at %d is not found", bit)
		}
		if _, err := DecodeHeader(bytes.NewReader(bad)); (err == nil) != (bit/8 >= len(head)) {
			t.Fatalf("a flipped bit at %d: the header is read with %v", bit, err)
		}
		bad[bit/8] ^= 1 << (bit % 8)
	}
	for n := range len(bad) {
		_, err := DecodeManifest(bytes.NewReader(bad[:n]))
		mustBeDamaged(t, err, "a cut", n)
		if _, err := DecodeHeader(bytes.NewReader(bad[:n])); (err == nil) != (n >= len(head)) {
			t.Fatalf("cut at %d: the header is read with %v", n, err)
		}
	}
	_, err = DecodeManifest(bytes.NewReader(append(bad, 0)))
	mustBeDamaged(t, err, "a byte more", len(bad))
}

// An object and a manifest that are both whole, and not of each other.
func TestA4VerifyComparesEachDocument(t *testing.T) {
	f := func(name, want string, change func(m *Manifest)) {
		t.Helper()
		p := little(t, Zstd)
		m := *p.m
		m.Entries = append([]cold.Entry(nil), p.m.Entries...)
		m.Frames = append([]Frame(nil), p.m.Frames...)
		change(&m)
		p.m = &m
		err := verify(p, p.object)
		mustBeDamaged(t, err, name, 0)
		if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "orders/p1.bson.zst") {
			t.Errorf("%s: %v", name, err)
		}
	}
	f("hash", "its SHA-256 is", func(m *Manifest) { m.Entries[4].Hash[7] ^= 1 })
	f("_id", "document 4 (_id {\"$numberInt\":\"5\"}) in frame", func(m *Manifest) { m.Entries[4].ID = m.Entries[5].ID })
	f("type of _id", "has another _id", func(m *Manifest) {
		m.Entries[1].ID = bson.RawValue{Type: bson.TypeInt64, Value: []byte{1, 0, 0, 0, 0, 0, 0, 0}}
	})
	f("size", "it is not a BSON document", func(m *Manifest) {
		m.Entries[0].Size++
		m.Entries[1].Offset++
		m.Entries[1].Size--
	})
	f("place", "contradicts itself", func(m *Manifest) { m.Entries[1].Offset++ })
	f("fewer", "contradicts itself", func(m *Manifest) { m.Entries = m.Entries[:8] })
	f("frame", "contradicts itself", func(m *Manifest) { m.Frames[1].Bytes++ })
	f("frames", "contradicts itself", func(m *Manifest) { m.Frames = m.Frames[:2] })
	f("object", "its SHA-256 is", func(m *Manifest) { m.Header.SHA256 = strings.Repeat("ab", 32) })
	f("crc", "its CRC32C is", func(m *Manifest) { m.Header.CRC32C++ })
	f("bytes", "contradicts itself", func(m *Manifest) { m.Header.Bytes-- })
	f("raw bytes", "contradicts itself", func(m *Manifest) { m.Header.RawBytes++ })
}

// An object that was written with a wrong table of its frames: its sums are right.
func TestA4VerifyComparesTheTableOfFrames(t *testing.T) {
	for _, c := range codecs() {
		p := little(t, c)
		end := p.m.Frames[len(p.m.Frames)-1]
		p.object[end.Offset+end.Bytes+17] ^= 1
		sum := sha256.Sum256(p.object)
		p.m.Header.SHA256, p.m.Header.CRC32C = hex.EncodeToString(sum[:]), crc32.Checksum(p.object, castagnoli())
		mustBeDamaged(t, verify(p, p.object), "a wrong table", int(end.Offset))
	}
}

// Of an object that is whole, and of another pack, a Reader returns nothing.
func TestA4ReaderComparesHashes(t *testing.T) {
	for _, c := range codecs() {
		p := little(t, c)
		p.m.Entries[4].Hash[31] ^= 1
		r := OpenReader(p, p.m)
		_, err := r.Doc(ctx(), 4)
		mustBeDamaged(t, err, "a document of another hash", 4)
		if d, err := r.Doc(ctx(), 5); err != nil || !bytes.Equal(d, p.docs[5]) {
			t.Errorf("%s: the document behind it: %v", c, err)
		}
		n, failed := 0, error(nil)
		for _, err := range r.All(ctx()) {
			if failed = err; err == nil {
				n++
			}
		}
		mustBeDamaged(t, failed, "a document of another hash", 4)
		if n != 4 {
			t.Errorf("%s: %d documents before it", c, n)
		}
	}
}

// A Reader returns no document that is not the one that was archived.
func TestA4ReaderComparesEachDocument(t *testing.T) {
	for _, c := range codecs() {
		p := little(t, c)
		good := p.object
		want := p.docs
		for at := range int(p.m.Frames[1].Offset + p.m.Frames[1].Bytes) {
			p.object = bytes.Clone(good)
			p.object[at] ^= 0x10
			r := OpenReader(p, p.m)
			for i := range want {
				if d, err := r.Doc(ctx(), i); err == nil && !bytes.Equal(d, want[i]) {
					t.Fatalf("%s: byte %d changed, document %d is another", c, at, i)
				}
			}
			n := 0
			for d, err := range r.All(ctx()) {
				if err == nil && !bytes.Equal(d, want[n]) {
					t.Fatalf("%s: byte %d changed, document %d is another", c, at, n)
				}
				n++
			}
		}
		// Cut in its last frame, all before is read, and then it is said.
		last := p.m.Frames[len(p.m.Frames)-1]
		p.object = good[:last.Offset+2]
		n, failed := 0, error(nil)
		for _, err := range OpenReader(p, p.m).All(ctx()) {
			if failed = err; err == nil {
				n++
			}
		}
		mustBeDamaged(t, failed, "a cut", int(last.Offset))
		if p.m.Entries[n].Offset != last.RawOffset {
			t.Errorf("%s: %d documents before the cut", c, n)
		}
	}
}
