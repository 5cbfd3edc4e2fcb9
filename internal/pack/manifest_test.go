package pack

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/transcode/shapes"
)

// full is a header with every field.
func full() Header {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	return Header{
		Tool: "sluice test", ID: "p1", Run: "r1", Rule: "orders", NS: "shop.orders", UUID: "6a1c", Field: "created", Kind: cold.AgeDate,
		Filter: `{"a":{"$lt":1}}`, From: at, Floor: at.Add(time.Hour), Before: at.Add(2 * time.Hour),
		ReadFrom: bson.Timestamp{T: 5, I: 1}, ReadTo: bson.Timestamp{T: 6, I: 1<<32 - 1}, Created: at, DeleteAfter: at.Add(time.Minute),
		Delete: true, Shadow: true, Object: "orders/p1.bson.zst", Options: json.RawMessage(`{"capped":false}`),
		Indexes: []json.RawMessage{[]byte(`{"name":"_id_"}`)}, ShardKey: json.RawMessage(`{"region":1}`), Supersedes: "p0",
	}
}

func TestManifestComesBack(t *testing.T) {
	p := build(t, WriterOptions{FrameBytes: 4 << 10}, some(shapes.All()[0], 30<<10)...)
	for i := range p.m.Entries {
		p.m.Entries[i].Key = doc(t, bson.D{{Key: "region", Value: "eu"}, {Key: "_id", Value: p.m.Entries[i].ID}})
		p.m.Entries[i].Age = int64(i*i) - 5000 // before 1970 too
	}
	h := full()
	h.Format, h.Codec, h.Docs, h.RawBytes, h.Bytes = Format, Zstd, p.m.Header.Docs, p.m.Header.RawBytes, p.m.Header.Bytes
	h.SHA256, h.CRC32C, h.Bloom = p.m.Header.SHA256, p.m.Header.CRC32C, p.m.Header.Bloom
	p.m.Header = h
	// Every field of the header is set, or it could get lost unseen.
	for v, i := reflect.ValueOf(h), 0; i < v.NumField(); i++ {
		if name := v.Type().Field(i).Name; v.Field(i).IsZero() && name != "MinAge" && name != "MaxAge" {
			t.Errorf("%s is not set", name)
		}
	}
	b := encode(t, p.m)
	for name, r := range map[string]io.Reader{"whole": bytes.NewReader(b), "byte by byte": iotest.OneByteReader(bytes.NewReader(b))} {
		got, err := DecodeManifest(r)
		if err != nil {
			t.Fatal(name, err)
		}
		if !reflect.DeepEqual(got, p.m) {
			t.Errorf("%s: %+v\nwant %+v", name, got.Header, p.m.Header)
		}
	}
	if again := encode(t, p.m); !bytes.Equal(again, b) {
		t.Error("encoded twice, it is another")
	}
	got, err := DecodeHeader(bytes.NewReader(b[:len(b)/2]))
	if err != nil || !reflect.DeepEqual(got, h) {
		t.Errorf("the header alone: %+v (%v)", got, err)
	}
	if _, err := DecodeManifest(iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader(b)))); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("a reader that fails: %v", err)
	}
}

// Ages from both ends of what a date can be.
func TestManifestTakesAnyAge(t *testing.T) {
	p := build(t, WriterOptions{}, doc(t, bson.D{{Key: "_id", Value: 1}}), doc(t, bson.D{{Key: "_id", Value: 2}}), doc(t, bson.D{{Key: "_id", Value: 3}}))
	for i, age := range []int64{-1 << 63, 1<<63 - 1, 0} {
		p.m.Entries[i].Age = age
	}
	body := Body{Codec: Zstd, Docs: 3, RawBytes: p.m.Header.RawBytes, Bytes: p.m.Header.Bytes, Frames: p.m.Frames, Entries: p.m.Entries}
	m := NewManifest(Header{Object: "x"}, body)
	got, err := DecodeManifest(bytes.NewReader(encode(t, m)))
	if err != nil || !reflect.DeepEqual(got.Entries, p.m.Entries) {
		t.Fatalf("%v %v", got, err)
	}
	if y := got.Header.MinAge.Year(); y != 1 || got.Header.MaxAge.Year() != 9999 {
		t.Errorf("ages %v to %v", got.Header.MinAge, got.Header.MaxAge)
	}
}

// rehead gives a manifest another beginning whose checksum is right.
func rehead(b []byte, change func(head []byte)) []byte {
	b = bytes.Clone(b)
	n := prologue + int(binary.LittleEndian.Uint32(b[12:])) + int(binary.LittleEndian.Uint32(b[16:]))
	change(b)
	sum := crc32.Update(crc32.Checksum(b[:20], castagnoli()), castagnoli(), b[prologue:n])
	binary.LittleEndian.PutUint32(b[20:], sum)
	return resum(b)
}

// resum makes its SHA-256 right again.
func resum(b []byte) []byte {
	sum := sha256.Sum256(b[:len(b)-32])
	return append(b[:len(b)-32:len(b)-32], sum[:]...)
}

func TestNewerFormatsAreRefused(t *testing.T) {
	b := rehead(encode(t, little(t, Zstd).m), func(h []byte) { h[8]++ })
	_, err := DecodeManifest(bytes.NewReader(b))
	if flow.ClassOf(err) != flow.Config || !strings.Contains(err.Error(), "format 2") || !strings.Contains(err.Error(), "newer sluice") {
		t.Errorf("manifest: %v", err)
	}
	if _, err := DecodeHeader(bytes.NewReader(b)); flow.ClassOf(err) != flow.Config {
		t.Errorf("header: %v", err)
	}
	_, err = DecodeOutcome(strings.NewReader(`{"format":2,"pack":"p1","new":{}}` + "\n"))
	if flow.ClassOf(err) != flow.Config || !strings.Contains(err.Error(), "p1") {
		t.Errorf("outcome: %v", err)
	}
}

// What a later sluice adds within the format is passed over: fields of the
// header, columns.
func TestUnknownPartsArePassedOver(t *testing.T) {
	p := little(t, Zstd)
	b := encode(t, p.m)
	b = rehead(b, func(h []byte) {
		copy(h[prologue:], bytes.Replace(h[prologue:], []byte(`"rule":`), []byte(`"elur":`), 1))
	})
	end := len(b) - 32 - columnHead
	column := append(append([]byte("NEW!"), le64(3)...), le64(3)...)
	b = resum(append(append(append(append([]byte{}, b[:end]...), column...), 1, 2, 3), b[end:]...))
	got, err := DecodeManifest(bytes.NewReader(b))
	if err != nil || !reflect.DeepEqual(got.Entries, p.m.Entries) || got.Header.Rule != "" {
		t.Errorf("%v (%v)", got, err)
	}
}

// A manifest that lies, with sums that are right, takes no memory on its word.
func TestManifestLimits(t *testing.T) {
	good := encode(t, little(t, Zstd).m)
	n := prologue + int(binary.LittleEndian.Uint32(good[12:])) + int(binary.LittleEndian.Uint32(good[16:]))
	docs := func(b []byte, as string) []byte {
		return rehead(b, func(h []byte) {
			copy(h[prologue:n], bytes.Replace(h[prologue:n], []byte(`"docs":9,"raw_bytes":`), []byte(as), 1))
		})
	}
	zeros, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	bomb := zeros.EncodeAll(make([]byte, 64<<20), nil)
	bomb = append(append(append([]byte(colIDs), le64(64<<20)...), le64(uint64(len(bomb)))...), bomb...)
	ids := bytes.LastIndex(good, []byte(colIDs))
	cases := map[string][]byte{
		"column of zeros":      resum(append(append(append([]byte{}, good[:ids]...), bomb...), good[ids:]...)),
		"header of 4 GB":       rehead(good, func(h []byte) { copy(h[12:], le32(15<<20)) }),
		"header beyond limits": append(append([]byte{}, good[:12]...), bytes.Repeat([]byte{0xff}, 2000)...),
		"many documents":       docs(good, `"docs":9999999,"raw":`),
		"no documents":         docs(good, `"docs":0,"raw_bytes":`),
		"column of 1 GB":       resum(replaceAt(good, n+4, append(le64(1<<30), le64(1<<30)...))),
		"column beyond limits": resum(replaceAt(good, n+4, append(le64(1<<40), le64(1<<40)...))),
		"column that grows":    resum(replaceAt(good, n+4, append(le64(288), le64(1)...))),
		"column twice":         resum(append(append(append([]byte{}, good[:n+columnHead+288]...), good[n:n+columnHead+288]...), good[n+columnHead+288:]...)),
		"no columns":           resum(append(append([]byte{}, good[:n]...), good[len(good)-32-columnHead:]...)),
	}
	for name, b := range cases {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := DecodeManifest(bytes.NewReader(b))
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: it is read", name)
		}
		if got := (after.TotalAlloc - before.TotalAlloc) >> 20; got > 12 {
			t.Errorf("%s: %d MiB allocated for %d bytes", name, got, len(b))
		}
	}
}

func replaceAt(b []byte, at int, with []byte) []byte {
	b = bytes.Clone(b)
	copy(b[at:], with)
	return b
}

func TestManifestThatContradictsItselfIsNotWritten(t *testing.T) {
	p := little(t, Zstd)
	p.m.Header.RawBytes++
	if err := p.m.Encode(io.Discard); flow.ClassOf(err) != flow.Fatal {
		t.Error(err)
	}
	p = little(t, Zstd)
	if err := p.m.Encode(&brokenSink{700}); !errors.Is(err, errDiskFull) {
		t.Error(err)
	}
}

// 250,000 entries take some 40 MB, and not a piece of memory each.
func TestManifestIsLean(t *testing.T) {
	const n = 250_000
	m := &Manifest{Header: Header{Format: Format, Codec: Zstd, Docs: n, Object: "x", SHA256: strings.Repeat("00", 32)}}
	ids := make([]byte, 0, 12*n)
	for i := range n {
		id := shapes.ID(i)
		ids = append(ids, id[:]...)
		e := cold.Entry{ID: bson.RawValue{Type: bson.TypeObjectID, Value: ids[12*i:]}, Hash: sha256.Sum256(id[:]), Offset: int64(i) * 300, Size: 300, Age: int64(i) * 1000}
		m.Entries = append(m.Entries, e)
	}
	const frame = 1000
	for i := range n / frame {
		m.Frames = append(m.Frames, Frame{Offset: int64(i) * 100_000, Bytes: 100_000, RawOffset: int64(i) * frame * 300, RawBytes: frame * 300})
	}
	m.Header.RawBytes, m.Header.Bytes = n*300, int64(100_000*len(m.Frames)+len(trailer(Zstd, m.Frames)))
	m.Header.Bloom = NewBloom(n, keysOf(m.Entries))
	b := encode(t, m)
	t.Logf("%d bytes, %.1f an entry", len(b), float64(len(b))/n)
	var got *Manifest
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	allocs := testing.AllocsPerRun(1, func() {
		var err error
		if got, err = DecodeManifest(bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
	})
	runtime.GC()
	runtime.ReadMemStats(&after)
	if !reflect.DeepEqual(got.Entries[n-1], m.Entries[n-1]) {
		t.Errorf("%+v", got.Entries[n-1])
	}
	if allocs > 1000 {
		t.Errorf("%.0f allocations", allocs)
	}
	if held := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) >> 20; held > 45 {
		t.Errorf("%d MiB are held", held)
	}
	if total := (after.TotalAlloc - before.TotalAlloc) >> 20 / 2; total > 80 {
		t.Errorf("%d MiB are allocated", total)
	}
	runtime.KeepAlive(got)
}
