package pack

import (
	"bytes"
	"context"
	"io"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
)

func ctx() context.Context { return context.Background() }

// packed is a pack in memory.
type packed struct {
	docs   []bson.Raw
	object []byte
	m      *Manifest
}

// Get makes it a Source.
func (p *packed) Get(_ context.Context, off, n int64) (io.ReadCloser, error) {
	r := bytes.NewReader(p.object[min(off, int64(len(p.object))):])
	if n < 0 {
		return io.NopCloser(r), nil
	}
	return io.NopCloser(io.LimitReader(r, n)), nil
}

// build packs documents; the age of each is its number.
func build(t testing.TB, o WriterOptions, docs ...bson.Raw) *packed {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, o)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range docs {
		if err := w.Append(d, cold.Entry{Age: int64(i)}); err != nil {
			t.Fatalf("document %d: %v", i, err)
		}
	}
	body, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	h := Header{ID: "p1", Run: "r1", Rule: "orders", NS: "shop.orders", Object: "orders/p1" + body.Codec.Ext(), Delete: true}
	return &packed{docs, b.Bytes(), NewManifest(h, body)}
}

func encode(t testing.TB, m *Manifest) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := m.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func verify(p *packed, object []byte) error { return Verify(ctx(), bytes.NewReader(object), p.m) }

func stream(docs []bson.Raw) []byte {
	var all []byte
	for _, d := range docs {
		all = append(all, d...)
	}
	return all
}

func doc(t testing.TB, v any) bson.Raw {
	t.Helper()
	b, err := bson.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
