package pack

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/transcode/shapes"
)

// newGolden writes the files of the format in hand, never over what exists: what
// an older sluice wrote is read for ever.
var newGolden = flag.Bool("new-golden", false, "write golden files that do not exist")

// goldenDocs are the documents of the golden files; they must never change.
func goldenDocs() []bson.Raw {
	every := []byte{0, 0, 0, 0}
	add := func(kind byte, name string, value ...byte) {
		every = append(append(append(append(every, kind), name...), 0), value...)
	}
	add(0x10, "n", 1, 0, 0, 0)
	add(0x07, "_id", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
	add(0x01, "nan with a payload", 1, 0, 0, 0, 0, 0, 0xf8, 0x7f)
	add(0x01, "minus zero", 0, 0, 0, 0, 0, 0, 0, 0x80)
	add(0x02, "no UTF-8", 3, 0, 0, 0, 0xff, 0xfe, 0)
	add(0x02, "zero inside", 4, 0, 0, 0, 'a', 0, 'b', 0)
	add(0x03, "document", 5, 0, 0, 0, 0)
	add(0x04, "array with odd names", 12, 0, 0, 0, 0x10, '7', 0, 9, 0, 0, 0, 0)
	add(0x05, "old binary", 6, 0, 0, 0, 2, 2, 0, 0, 0, 'h', 'i')
	add(0x06, "undefined")
	add(0x08, "twice", 0)
	add(0x08, "twice", 1)
	add(0x09, "date", 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	add(0x0a, "null")
	add(0x0b, "regex", 'a', 0, 'i', 0)
	add(0x0c, "pointer", 2, 0, 0, 0, 'c', 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
	add(0x0d, "code", 2, 0, 0, 0, 'f', 0)
	add(0x0e, "symbol", 2, 0, 0, 0, 's', 0)
	add(0x0f, "code with scope", 15, 0, 0, 0, 2, 0, 0, 0, 'f', 0, 5, 0, 0, 0, 0)
	add(0x11, "empty timestamp", 0, 0, 0, 0, 0, 0, 0, 0)
	add(0x12, "long", 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)
	add(0x13, "decimal", 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x30)
	add(0xff, "min")
	add(0x7f, "max")
	add(0x02, "", 1, 0, 0, 0, 0)
	every = append(every, 0)
	every[0], every[1] = byte(len(every)), byte(len(every)>>8)
	docs := []bson.Raw{every}
	for i := range 30 {
		docs = append(docs, shapes.Small(i))
	}
	return append(docs, shapes.Wide(1000), shapes.Medium(1001))
}

func goldenPath(c Codec, ext string) string {
	return filepath.Join("testdata", "format1-"+string(c)+ext)
}

func writeGolden(t *testing.T, c Codec) {
	t.Helper()
	p := build(t, WriterOptions{Codec: c, FrameBytes: 4 << 10}, goldenDocs()...)
	h := full()
	h.Object = "format1-" + string(c) + c.Ext()
	for i := range p.m.Entries {
		p.m.Entries[i].Key = doc(t, bson.D{{Key: "region", Value: int32(i)}, {Key: "_id", Value: p.m.Entries[i].ID}})
		p.m.Entries[i].Age = 1_700_000_000_000 + int64(i)*1000
	}
	body := Body{Codec: c, RawBytes: p.m.Header.RawBytes, Bytes: p.m.Header.Bytes, CRC32C: p.m.Header.CRC32C, Frames: p.m.Frames, Entries: p.m.Entries}
	body.SHA256 = sha256.Sum256(p.object)
	var outcome bytes.Buffer
	o := NewOutcome(Outcome{Pack: h.ID, Run: h.Run, Rule: h.Rule, NS: h.NS, Owner: "host", At: h.Created, ClusterTime: h.ReadTo}, len(p.m.Entries),
		[]cold.Exception{{Entry: 3, Outcome: cold.Changed}, {Entry: 4, Outcome: cold.Gone}, {Entry: 30, Outcome: cold.Unknown}})
	if err := o.Encode(&outcome); err != nil {
		t.Fatal(err)
	}
	for ext, b := range map[string][]byte{c.Ext(): p.object, ".manifest": encode(t, NewManifest(h, body)), ".outcome": outcome.Bytes()} {
		f, err := os.OpenFile(goldenPath(c, ext), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func readGolden(t testing.TB, c Codec, ext string) []byte {
	t.Helper()
	b, err := os.ReadFile(goldenPath(c, ext))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What the first sluice wrote is read as it was meant.
func TestA1GoldenFilesOfFormat1(t *testing.T) {
	for _, c := range codecs() {
		if *newGolden {
			writeGolden(t, c)
		}
		docs := goldenDocs()
		m, err := DecodeManifest(bytes.NewReader(readGolden(t, c, ".manifest")))
		if err != nil {
			t.Fatal(err)
		}
		p := &packed{docs, readGolden(t, c, c.Ext()), m}
		if err := verify(p, p.object); err != nil {
			t.Fatal(err)
		}
		var plain bytes.Buffer
		if err := Decode(&plain, bytes.NewReader(p.object), c); err != nil || !bytes.Equal(plain.Bytes(), stream(docs)) {
			t.Fatalf("%s: other documents (%v)", c, err)
		}
		sum := sha256.Sum256(plain.Bytes())
		if got := hex.EncodeToString(sum[:]); got != goldenSum {
			t.Errorf("the documents are %s: goldenDocs must never change", got)
		}
		checkGoldenManifest(t, c, m)
		o, err := DecodeOutcome(bytes.NewReader(readGolden(t, c, ".outcome")))
		if err != nil {
			t.Fatal(err)
		}
		want := []cold.Exception{{Pack: "p1", Entry: 3, Outcome: cold.Changed}, {Pack: "p1", Entry: 4, Outcome: cold.Gone}, {Pack: "p1", Entry: 30, Outcome: cold.Unknown}}
		if !reflect.DeepEqual(o.Exceptions, want) || o.Deleted != len(docs)-3 || o.ClusterTime != full().ReadTo || !o.At.Equal(full().Created) {
			t.Errorf("%s: outcome %+v", c, o)
		}
	}
}

// goldenSum is the SHA-256 of the documents of the golden files.
const goldenSum = "2afb96bdfa39b5f6f313895a783f1ba1c352f71ad14b2ba3b5d6e167514a1d2e"

func checkGoldenManifest(t *testing.T, c Codec, m *Manifest) {
	t.Helper()
	h, want := m.Header, full()
	want.Format, want.Codec, want.Docs, want.RawBytes, want.Bytes = 1, c, h.Docs, h.RawBytes, h.Bytes
	want.SHA256, want.CRC32C, want.MinAge, want.MaxAge, want.Bloom = h.SHA256, h.CRC32C, h.MinAge, h.MaxAge, h.Bloom
	want.Object = "format1-" + string(c) + c.Ext()
	if !reflect.DeepEqual(h, want) {
		t.Errorf("%s: %+v\nwant %+v", c, h, want)
	}
	for i, e := range m.Entries {
		d := goldenDocs()[i]
		key := doc(t, bson.D{{Key: "region", Value: int32(i)}, {Key: "_id", Value: d.Lookup("_id")}})
		if e.Hash != sha256.Sum256(d) || int(e.Size) != len(d) || e.Age != 1_700_000_000_000+int64(i)*1000 || !bytes.Equal(e.Key, key) {
			t.Errorf("%s: entry %d is %+v", c, i, e)
		}
		if !h.MayHold(e.ID) {
			t.Errorf("%s: the filter does not know entry %d", c, i)
		}
	}
	if h.MinAge.UnixMilli() != m.Entries[0].Age || h.MaxAge.UnixMilli() != m.Entries[len(m.Entries)-1].Age {
		t.Errorf("%s: ages %v to %v", c, h.MinAge, h.MaxAge)
	}
	// Written again, it tells the same (compressed bytes are the library's).
	again, err := DecodeManifest(bytes.NewReader(encode(t, m)))
	if err != nil || !reflect.DeepEqual(again, m) {
		t.Errorf("%s: written again, it is another (%v)", c, err)
	}
}
