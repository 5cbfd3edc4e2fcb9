package catalogue

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/objstore"
	"sluice/internal/pack"
)

// TB is what both testing.T and rapid.T are.
type TB interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
	Errorf(string, ...any)
}

var day0 = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func dirShelf(t *testing.T) (*Shelf, *objstore.Dir) {
	t.Helper()
	d, err := objstore.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return New(d, Options{Name: "file:///archive", Owner: "me", Tool: "sluice test", TempDir: t.TempDir()}), d
}

func memoryShelf(t *testing.T) (*Shelf, *memory) {
	t.Helper()
	m := newMemory()
	return New(m, Options{Name: "memory:", Owner: "me", TempDir: t.TempDir()}), m
}

// spec is a pack to be made. Its documents were read at cluster time at.
type spec struct {
	id, rule, ns string
	at           uint32
	docs         []bson.Raw
	age          []int64
	copied       bool             // not to be deleted
	open         bool             // no outcome yet
	ex           []cold.Exception // by entry
	frame        int
}

// doc returns a document; its field v tells versions apart.
func doc(t TB, id any, v int, more ...bson.E) bson.Raw {
	t.Helper()
	b, err := bson.Marshal(append(bson.D{{Key: "_id", Value: id}, {Key: "v", Value: v}}, more...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func idValue(t TB, id any) bson.RawValue { return doc(t, id, 0).Lookup("_id") }

// made is a pack before it is in the store.
type made struct {
	row  cold.Pack
	body []byte
	m    *pack.Manifest
}

func build(t TB, s *Shelf, p spec) made {
	t.Helper()
	if p.rule == "" {
		p.rule = "old"
	}
	if p.ns == "" {
		p.ns = "shop.orders"
	}
	row := cold.Pack{ID: p.id, Run: "run-" + p.rule, Rule: p.rule, NS: p.ns, State: cold.PackPlanned, Created: day0.Add(time.Duration(p.at) * time.Hour)}
	s.Place(&row)
	var b bytes.Buffer
	w, err := pack.NewWriter(&b, pack.WriterOptions{FrameBytes: max(p.frame, 4096)})
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range p.docs {
		age := day0.Add(-time.Duration(i) * time.Hour).UnixMilli()
		if p.age != nil {
			age = p.age[i]
		}
		if err := w.Append(d, cold.Entry{Age: age}); err != nil {
			t.Fatal(err)
		}
	}
	body, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	m := pack.NewManifest(pack.Header{
		ID: row.ID, Run: row.Run, Rule: row.Rule, NS: row.NS, UUID: "u", Field: "at", Kind: cold.AgeDate, Object: row.Object, Before: day0,
		Created: row.Created, Delete: !p.copied, ReadFrom: bson.Timestamp{T: p.at}, ReadTo: bson.Timestamp{T: p.at, I: 9},
		Options: []byte(`{"capped":false}`), Indexes: nil,
	}, body)
	row.Docs, row.RawBytes, row.Bytes, row.SHA256 = body.Docs, body.RawBytes, body.Bytes, hex.EncodeToString(body.SHA256[:])
	row.MinAge, row.MaxAge = m.Header.MinAge, m.Header.MaxAge
	row.Updated = row.Created.Add(time.Minute)
	row.ReadFrom, row.ReadTo = m.Header.ReadFrom, m.Header.ReadTo
	return made{row, b.Bytes(), m}
}

// put brings a pack all the way into the store.
func put(t TB, s *Shelf, p spec) made {
	t.Helper()
	x := build(t, s, p)
	ctx := context.Background()
	if err := s.Upload(ctx, &x.row, objstore.BytesBody(x.body)); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(ctx, x.m); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(ctx, x.m); err != nil {
		t.Fatal(err)
	}
	x.row.State = cold.PackClosed
	switch {
	case p.copied:
		x.row.Updated = x.row.Created
	case p.open:
		x.row.State, x.row.Updated, x.row.Rebuilt = cold.PackCommitted, x.row.Created, true
	default:
		if err := s.Settle(ctx, &x.row, p.ex); err != nil {
			t.Fatal(err)
		}
		x.row.Next, x.row.Deleted = x.row.Docs, x.row.Docs-len(p.ex)
		for _, e := range p.ex {
			switch e.Outcome {
			case cold.Changed:
				x.row.Changed++
			case cold.Gone:
				x.row.Gone++
			}
		}
	}
	return x
}

// find returns "_id/v outcome" of what is found.
func find(t TB, s *Shelf, q FindQuery) []string {
	t.Helper()
	var all []string
	for f, err := range (Library{{Shelf: s}}).Find(context.Background(), q) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s/%d %s", f.Doc.Lookup("_id").String(), f.Doc.Lookup("v").AsInt64(), f.Outcome))
	}
	slices.Sort(all)
	return all
}

func same(t TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func class(t TB, err error, want flow.Class) {
	t.Helper()
	if err == nil || flow.ClassOf(err) != want {
		t.Errorf("the error is of class %v, not %v: %v", flow.ClassOf(err), want, err)
	}
}
