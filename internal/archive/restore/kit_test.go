package restore

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/archive/catalogue"
	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/objstore"
	"sluice/internal/pack"
)

var day0 = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// TB is what both testing.T and rapid.T are.
type TB interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
	Errorf(string, ...any)
}

func newShelf(t *testing.T) *catalogue.Shelf {
	t.Helper()
	d, err := objstore.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return catalogue.New(d, catalogue.Options{Name: "file:///archive", TempDir: t.TempDir()})
}

func doc(t TB, id any, v int) bson.Raw {
	t.Helper()
	b, err := bson.Marshal(bson.D{{Key: "_id", Value: id}, {Key: "v", Value: v}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func idValue(t TB, id any) bson.RawValue { return doc(t, id, 0).Lookup("_id") }

type spec struct {
	id, rule, ns string
	at           uint32
	docs         []bson.Raw
	copied, open bool
	ex           []cold.Exception
}

func put(t TB, s *catalogue.Shelf, p spec) cold.Pack {
	t.Helper()
	ctx := context.Background()
	if p.rule == "" {
		p.rule = "old"
	}
	if p.ns == "" {
		p.ns = "shop.orders"
	}
	row := cold.Pack{ID: p.id, Run: "run", Rule: p.rule, NS: p.ns, Created: day0.Add(time.Duration(p.at) * time.Hour)}
	s.Place(&row)
	var b bytes.Buffer
	w, err := pack.NewWriter(&b, pack.WriterOptions{FrameBytes: 4096})
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range p.docs {
		if err := w.Append(d, cold.Entry{Age: day0.Add(time.Duration(i) * time.Hour).UnixMilli()}); err != nil {
			t.Fatal(err)
		}
	}
	body, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	m := pack.NewManifest(pack.Header{
		ID: row.ID, Run: row.Run, Rule: row.Rule, NS: row.NS, Object: row.Object, Created: row.Created, Delete: !p.copied,
		ReadFrom: bson.Timestamp{T: p.at}, ReadTo: bson.Timestamp{T: p.at},
		Options: []byte(`{"capped":false}`), Indexes: []json.RawMessage{[]byte(`{"key":{"a":{"$numberInt":"1"}},"name":"a_1"}`)},
	}, body)
	row.Docs, row.Bytes, row.SHA256 = body.Docs, body.Bytes, hex.EncodeToString(body.SHA256[:])
	if err := s.Upload(ctx, &row, objstore.BytesBody(b.Bytes())); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(ctx, m); err != nil {
		t.Fatal(err)
	}
	if !p.copied && !p.open {
		if err := s.Settle(ctx, &row, p.ex); err != nil {
			t.Fatal(err)
		}
	}
	return row
}

func deps(s *catalogue.Shelf, l *server) Deps {
	return Deps{Packs: catalogue.Library{{Shelf: s}}, Live: l, Holds: l, Runs: l, Pacer: l, Journal: l, Now: func() time.Time { return day0 }}
}

func run(t TB, d Deps, o Options) Report {
	t.Helper()
	r, err := Run(context.Background(), d, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
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

// counts shows the counts of a report.
func counts(r Report) string {
	return fmt.Sprintf("found %d inserted %d equal %d replaced %d conflict %d refused %d", r.Found, r.Inserted, r.Equal, r.Replaced, r.Conflicts, r.Refused)
}
