//go:build integration

package app

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/archive/foreign"
	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/objstore"
	"sluice/internal/testkit"
)

// goChiveBatch is a file as go-chive writes it: one BSON document, of documents
// that went through maps.
func goChiveBatch(t *testing.T, docs ...bson.Raw) []byte {
	t.Helper()
	var maps []map[string]any
	for _, d := range docs {
		dec := bson.NewDecoder(bson.NewDocumentReader(bytes.NewReader(d)))
		dec.DefaultDocumentMap()
		var m map[string]any
		if err := dec.Decode(&m); err != nil {
			t.Fatal(err)
		}
		maps = append(maps, m)
	}
	b, err := bson.Marshal(bson.M{"docs": maps})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// goChiveObject is what go-chive uploads: batches, the first of the second sec.
func goChiveObject(t *testing.T, sec int, batches ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	tw := tar.NewWriter(gz)
	for i, body := range batches {
		if err := tw.WriteHeader(&tar.Header{Name: fmt.Sprintf("archive_%d.bson", sec+i), Size: int64(len(body)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// newForeignStage is a cold stage with an S3 server, and a place in its bucket.
func newForeignStage(t *testing.T) (s coldStage, place string) {
	t.Helper()
	s = newColdStage(t, oneRule)
	s3 := testkit.SharedS3(t)
	s.o.Config.S3.Endpoint, s.o.Config.S3.Region, s.o.Config.S3.PathStyle = s3.Endpoint(), s3.Region(), true
	s.o.Config.S3.AccessKey, s.o.Config.S3.SecretKey = config.Secret(s3.AccessKey()), config.Secret(s3.SecretKey())
	return s, "s3://" + s3.Bucket() + "/" + strings.ToLower(testkit.UniqueName(t)) + "/"
}

func (s coldStage) upload(t *testing.T, place, key string, body []byte) {
	t.Helper()
	store, err := openPlace(t.Context(), s.o.Config, place)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Put(t.Context(), key, objstore.BytesBody(body), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (s coldStage) docs(t *testing.T, coll string) map[string]bson.Raw {
	t.Helper()
	all := map[string]bson.Raw{}
	for rest := s.raw(t, coll); len(rest) > 0; {
		n := int(rest[0]) | int(rest[1])<<8 | int(rest[2])<<16
		d := bson.Raw(rest[:n])
		all[d.Lookup("_id").String()], rest = d, rest[n:]
	}
	return all
}

// TestGoChiveArchives: what go-chive archived is listed, searched, checked and
// comes back as its format keeps it.
func TestGoChiveArchives(t *testing.T) {
	s, url := newForeignStage(t)
	s.fill(t, "orders", 300)
	before := s.docs(t, "orders")
	var old []bson.Raw
	for _, d := range before {
		if d.Lookup("at").Time().Before(time.Now().Add(-time.Hour)) {
			old = append(old, d)
		}
	}
	seven, err := bson.Marshal(bson.D{{Key: "_id", Value: 7}, {Key: "who", Value: "an older version"}})
	if err != nil {
		t.Fatal(err)
	}
	s.upload(t, url, "orders_archive_20260301_000001.tar.gz", goChiveObject(t, 1000, goChiveBatch(t, seven), goChiveBatch(t, old[:100]...)))
	s.upload(t, url, "orders_archive_20260301_000002.tar.gz", goChiveObject(t, 2000, goChiveBatch(t, old...)))
	// One of them is live still, in another order of fields; another has changed.
	if _, err := s.db.Collection("orders").DeleteMany(t.Context(), bson.D{{Key: "_id", Value: bson.D{{Key: "$lt", Value: 298}}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.Collection("orders").UpdateByID(t.Context(), 299, bson.D{{Key: "$set", Value: bson.D{{Key: "who", Value: "changed"}}}}); err != nil {
		t.Fatal(err)
	}
	place := ForeignPlace{URL: url, Namespace: s.db.Name() + ".orders"}

	if all, others, err := ForeignList(t.Context(), s.o, place); err != nil || len(all) != 2 || others != 0 || all[0].Size == 0 {
		t.Errorf("%+v, %d, %v", all, others, err)
	}
	sum, err := ForeignVerify(t.Context(), s.o, place, func(ForeignChecked) error { return nil })
	if err != nil || sum.Damaged != 0 || sum.Keys != 300 || sum.Documents != 401 || sum.Differing != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
	id, err := ParseKey("7")
	if err != nil {
		t.Fatal(err)
	}
	versions := 0
	for d, err := range ForeignFind(t.Context(), s.o, place, ArchiveFindOptions{ArchiveWhich: ArchiveWhich{IDs: []bson.RawValue{id}}, Versions: true}) {
		if versions++; err != nil || d.Doc.Lookup("_id").AsInt64() != 7 {
			t.Errorf("%+v, %v", d, err)
		}
	}
	if versions < 2 {
		t.Errorf("%d versions", versions)
	}

	dry, err := ForeignRestore(t.Context(), s.o, place, RestoreOptions{DryRun: true})
	if err != nil || dry.Inserted != 298 || dry.Equal != 1 || dry.Conflicts != 1 || dry.Older != 101 || s.count(t, "orders") != 302 {
		t.Fatalf("%+v, %v", dry, err)
	}
	if _, err := ForeignRestore(t.Context(), s.o, place, RestoreOptions{OnConflict: "fail"}); flow.ClassOf(err) != flow.Conflict {
		t.Errorf("%v", err)
	}
	done, err := ForeignRestore(t.Context(), s.o, place, RestoreOptions{})
	if err != nil || done.Conflicts != 1 || done.Inserted+done.Equal != 299 || s.count(t, "orders") != 600 {
		t.Fatalf("%+v, %v", done, err)
	}
	after := s.docs(t, "orders")
	for id, d := range before {
		if id != `{"$numberInt":"299"}` && !foreign.Same(d, after[id]) {
			t.Errorf("%s came back as %s", d, after[id])
		}
	}
	// Again, and then archived by our own rule: they are on hold.
	if done, err = ForeignRestore(t.Context(), s.o, place, RestoreOptions{}); err != nil || done.Inserted != 0 || done.Equal != 299 {
		t.Errorf("%+v, %v", done, err)
	}
	if r := s.runOnce(t); r[0].Deleted != 0 || s.count(t, "orders") != 600 {
		t.Errorf("%+v", r)
	}

	into, err := ForeignRestore(t.Context(), s.o, place, RestoreOptions{Into: s.db.Name() + ".back"})
	if err != nil || into.Inserted != 300 || s.count(t, "back") != 300 {
		t.Errorf("%+v, %v", into, err)
	}
	var b bytes.Buffer
	if err := ForeignCat(t.Context(), s.o, ForeignPlace{URL: url, Object: "orders_archive_20260301_000002.tar.gz"}, &b); err != nil || b.Len() == 0 {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
}

// TestGoChiveDamaged: nothing comes back while an object is damaged, unless that
// is said.
func TestGoChiveDamaged(t *testing.T) {
	s, url := newForeignStage(t)
	s.fill(t, "orders", 20)
	docs := s.docs(t, "orders")
	var all []bson.Raw
	for _, d := range docs {
		all = append(all, d)
	}
	cut := goChiveObject(t, 2000, goChiveBatch(t, all[20:]...))
	s.upload(t, url, "orders_archive_20260301_000001.tar.gz", goChiveObject(t, 1000, goChiveBatch(t, all[:20]...)))
	s.upload(t, url, "orders_archive_20260301_000002.tar.gz", cut[:len(cut)-40])
	place := ForeignPlace{URL: url, Namespace: s.db.Name() + ".orders"}
	to := RestoreOptions{Into: s.db.Name() + ".back"}
	sum, err := ForeignVerify(t.Context(), s.o, place, func(ForeignChecked) error { return nil })
	if err != nil || sum.Damaged != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
	if _, err := ForeignRestore(t.Context(), s.o, place, to); err == nil || !strings.Contains(err.Error(), "000002.tar.gz") || s.count(t, "back") != 0 {
		t.Fatalf("%v", err)
	}
	place.SkipDamaged = true
	done, err := ForeignRestore(t.Context(), s.o, place, to)
	if err != nil || done.Inserted != 20 || len(done.Damaged) != 1 || s.count(t, "back") != 20 {
		t.Errorf("%+v, %v", done, err)
	}
	ctx, end := context.WithCancel(t.Context())
	end()
	if _, err := ForeignRestore(ctx, s.o, place, to); err == nil {
		t.Error("a restore that was ended has no error")
	}
}

// TestGoChiveEveryType: a value of every type, and a batch larger than a document,
// come back; of two collections in one place, one is named.
func TestGoChiveEveryType(t *testing.T) {
	s, url := newForeignStage(t)
	id := bson.NewObjectID()
	raw, err := bson.Marshal(bson.D{
		{Key: "_id", Value: id},
		{Key: "nan", Value: math.NaN()},
		{Key: "document", Value: bson.D{{Key: "z", Value: 1}, {Key: "_id", Value: bson.D{{Key: "y", Value: int64(2)}}}}},
		{Key: "array", Value: bson.A{1, "two", bson.D{{Key: "q", Value: 1.0}}, bson.A{}}},
		{Key: "binary", Value: bson.Binary{Subtype: 4, Data: make([]byte, 16)}},
		{Key: "undefined", Value: bson.Undefined{}},
		{Key: "date", Value: bson.DateTime(-1)},
		{Key: "null", Value: nil},
		{Key: "regex", Value: bson.Regex{Pattern: "^a", Options: "i"}},
		{Key: "pointer", Value: bson.DBPointer{DB: "a.b", Pointer: id}},
		{Key: "code", Value: bson.JavaScript("f()")},
		{Key: "scope", Value: bson.CodeWithScope{Code: "g()", Scope: bson.D{{Key: "n", Value: 1}}}},
		{Key: "symbol", Value: bson.Symbol("s")},
		{Key: "zero", Value: bson.Timestamp{}},
		{Key: "decimal", Value: bson.NewDecimal128(1, 2)},
		{Key: "$odd.name", Value: bson.MinKey{}},
		{Key: "", Value: bson.MaxKey{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	odd := bson.Raw(raw)
	large := []bson.Raw{odd}
	for i := range 1000 {
		d, err := bson.Marshal(bson.D{{Key: "pad", Value: strings.Repeat("x", 20_000)}, {Key: "_id", Value: fmt.Sprint("large-", i)}})
		if err != nil {
			t.Fatal(err)
		}
		large = append(large, d)
	}
	s.upload(t, url, "odd_archive_20260301_000001.tar.gz", goChiveObject(t, 1, goChiveBatch(t, large...)))
	s.upload(t, url, "other_archive_20260301_000001.tar.gz", goChiveObject(t, 1))
	to := RestoreOptions{Into: s.db.Name() + ".back"}
	if _, err := ForeignRestore(t.Context(), s.o, ForeignPlace{URL: url}, to); flow.ClassOf(err) != flow.Config || !strings.Contains(err.Error(), "odd, other") {
		t.Errorf("%v", err)
	}
	place := ForeignPlace{URL: url, Namespace: s.db.Name() + ".odd"}
	for _, want := range []int64{1001, 0} {
		done, err := ForeignRestore(t.Context(), s.o, place, to)
		if err != nil || done.Inserted != want || done.Unreturned() != 0 {
			t.Errorf("%+v, %v", done, err)
		}
	}
	if back := s.docs(t, "back")[odd.Lookup("_id").String()]; !foreign.Same(odd, back) {
		t.Errorf("%s came back as %s", odd, back)
	}
}
