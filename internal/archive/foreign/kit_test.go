package foreign

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/archive/catalogue"
	"sluice/internal/flow"
	"sluice/internal/objstore"
)

// member is a file inside of an object.
type member struct {
	name string
	body []byte
}

// batchOf is a batch as go-chive encodes it: documents that went through maps.
func batchOf(t testing.TB, sec int64, docs ...bson.D) member {
	t.Helper()
	var maps []map[string]any
	for _, d := range docs {
		b, err := bson.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		dec := bson.NewDecoder(bson.NewDocumentReader(bytes.NewReader(b)))
		dec.DefaultDocumentMap()
		var m map[string]any
		if err := dec.Decode(&m); err != nil {
			t.Fatal(err)
		}
		maps = append(maps, m)
	}
	body, err := bson.Marshal(bson.M{"docs": maps})
	if err != nil {
		t.Fatal(err)
	}
	return member{fmt.Sprintf("archive_%d.bson", sec), body}
}

// packed is an object's body.
func packed(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	tw := tar.NewWriter(gz)
	for _, m := range members {
		if err := tw.WriteHeader(&tar.Header{Name: m.name, Size: int64(len(m.body)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(m.body); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []interface{ Close() error }{tw, gz} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func newStore(t testing.TB) objstore.Store {
	t.Helper()
	d, err := objstore.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// object is the key of one that was written at a second of 2026-03-01.
func object(coll string, sec int) string {
	return coll + "_archive_" + time.Date(2026, 3, 1, 0, 0, sec, 0, time.UTC).Format("20060102_150405") + ".tar.gz"
}

func put(t testing.TB, s objstore.Store, key string, body []byte) {
	t.Helper()
	if _, err := s.Put(context.Background(), key, objstore.BytesBody(body), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

func list(t testing.TB, s objstore.Store, w Which) []Object {
	t.Helper()
	all, _, err := List(context.Background(), s, w)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func doc(id any, v int) bson.D { return bson.D{{Key: "_id", Value: id}, {Key: "v", Value: v}} }

func want(t testing.TB, ids []bson.RawValue, query bson.D) Wants {
	t.Helper()
	var raw bson.Raw
	if query != nil {
		raw = marshal(t, query)
	}
	w, err := catalogue.Want(catalogue.Query{}, ids, raw)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func marshal(t testing.TB, d bson.D) bson.Raw {
	t.Helper()
	b, err := bson.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// chosen are the documents of a query, as _id/v.
func chosen(t testing.TB, q Query) (*Chosen, []string) {
	t.Helper()
	if q.Want == nil {
		q.Want = want(t, nil, nil)
	}
	c, err := Choose(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for d, err := range c.Docs(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, fmt.Sprintf("%s/%d", d.ID, d.Doc.Lookup("v").AsInt64()))
	}
	slices.Sort(texts)
	return c, texts
}

func same(t testing.TB, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func check(t testing.TB, s objstore.Store) ([]Checked, Summary) {
	t.Helper()
	var all []Checked
	sum, err := Check(context.Background(), s, list(t, s, Which{}), func(c Checked) error {
		all = append(all, c)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, sum
}

func class(t testing.TB, err error, want flow.Class) {
	t.Helper()
	if err == nil || flow.ClassOf(err) != want {
		t.Errorf("the error is of class %v, not %v: %v", flow.ClassOf(err), want, err)
	}
}

func gunzip(t testing.TB, b []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func zip(t testing.TB, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
