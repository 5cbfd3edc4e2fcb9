package pack

import (
	"bytes"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Any bytes are read or refused; what is read is written and read again.
func FuzzDecodeManifest(f *testing.F) {
	for _, c := range codecs() {
		f.Add(readGolden(f, c, ".manifest"))
		f.Add(encode(f, little(f, c).m))
	}
	f.Add(encode(f, build(f, WriterOptions{}).m))
	f.Add([]byte(manifestMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > prologue+32 { // or no change would get past the sums
			if n := prologue + int(le(b[12:])) + int(le(b[16:])); n > 0 && n < len(b)-32 {
				b = rehead(b, func([]byte) {})
			}
		}
		m, err := DecodeManifest(bytes.NewReader(b))
		if err != nil {
			return
		}
		again, err := DecodeManifest(bytes.NewReader(encode(t, m)))
		if err != nil || len(again.Entries) != len(m.Entries) {
			t.Fatalf("written again, it can't be read: %v", err)
		}
		DeleteOrder(m.Entries)
		for _, e := range m.Entries {
			m.Header.MayHold(e.ID)
		}
	})
}

func le(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

// An object of any bytes, read by a manifest that is right: never another
// document than what was archived.
func FuzzReader(f *testing.F) {
	packs := map[Codec]*packed{}
	for _, c := range codecs() {
		packs[c] = little(f, c)
		f.Add(packs[c].object, c == Gzip)
		f.Add(readGolden(f, c, c.Ext()), c == Gzip)
	}
	f.Fuzz(func(t *testing.T, object []byte, gz bool) {
		p := *packs[Zstd]
		if gz {
			p = *packs[Gzip]
		}
		good := p.object
		p.object = object
		r := OpenReader(&p, p.m)
		for i := range p.docs {
			if d, err := r.Doc(ctx(), i); err == nil && !bytes.Equal(d, p.docs[i]) {
				t.Fatalf("document %d is another", i)
			}
		}
		n := 0
		for d, err := range r.All(ctx()) {
			if err == nil && !bytes.Equal(d, p.docs[n]) {
				t.Fatalf("document %d is another", n)
			}
			n++
		}
		if err := verify(&p, object); (err == nil) != bytes.Equal(object, good) {
			t.Fatalf("Verify: %v", err)
		}
	})
}

// Any bytes are decoded or refused; what is decoded is documents.
func FuzzDecode(f *testing.F) {
	for _, c := range codecs() {
		f.Add(little(f, c).object, c == Gzip)
		f.Add(build(f, WriterOptions{Codec: c}).object, c == Gzip)
		f.Add(readGolden(f, c, c.Ext()), c == Gzip)
	}
	f.Fuzz(func(t *testing.T, object []byte, gz bool) {
		c := Zstd
		if gz {
			c = Gzip
		}
		var out bytes.Buffer
		if Decode(&out, bytes.NewReader(object), c) != nil {
			return
		}
		for out.Len() > 0 {
			if _, err := bson.ReadDocument(&out); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Any text is read or refused; what is read is written as it was read.
func FuzzDecodeOutcome(f *testing.F) {
	for _, c := range codecs() {
		f.Add(readGolden(f, c, ".outcome"))
	}
	f.Add([]byte(`{"format":1,"pack":"p"}` + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := DecodeOutcome(bytes.NewReader(b))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := o.Encode(&again); err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeOutcome(&again); err != nil {
			t.Fatal(err)
		}
	})
}
