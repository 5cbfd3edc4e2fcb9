//go:build integration

package app

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/testkit"
)

// asMonstache is a document, and the id and the body that Monstache gives it.
type asMonstache struct {
	doc      bson.D
	id, body string
}

func oldDocuments(t *testing.T) []asMonstache {
	t.Helper()
	oid, err := bson.ObjectIDFromHex("65a0f3c0deadbeef01020304")
	sure(t, err)
	price, err := bson.ParseDecimal128("12.50")
	sure(t, err)
	return []asMonstache{
		{
			bson.D{{Key: "_id", Value: oid}, {Key: "z", Value: "<a href=\"x\">&\u2028"}, {Key: "a", Value: 10.0}, {Key: "price", Value: price}},
			"65a0f3c0deadbeef01020304", `{"a":10,"price":12.50,"z":"\u003ca href=\"x\"\u003e\u0026\u2028"}`,
		},
		{
			bson.D{{Key: "_id", Value: int32(7)}, {Key: "at", Value: bson.DateTime(1700000000100)}, {Key: "n", Value: nil}, {Key: "ts", Value: bson.Timestamp{T: 5, I: 6}}},
			"7", `{"at":"2023-11-14T22:13:20.100Z","n":null,"ts":{"T":5,"I":6}}`,
		},
		{
			bson.D{{Key: "_id", Value: bson.D{{Key: "b", Value: "x"}, {Key: "a", Value: int32(1)}}}, {Key: "re", Value: bson.Regex{Pattern: "a", Options: "i"}}},
			"map[a:1 b:x]", `{"re":{"Pattern":"a","Options":"i"}}`,
		},
		{
			bson.D{{Key: "_id", Value: 1.5}, {Key: "_meta_monstache", Value: bson.D{{Key: "skip", Value: false}}}, {Key: "list", Value: bson.A{bson.D{{Key: "q", Value: 1e21}, {Key: "b", Value: 1e-7}}}}},
			"1.5", `{"list":[{"b":1e-7,"q":1e+21}]}`,
		},
		{bson.D{{Key: "_id", Value: "a \"text\""}, {Key: "v", Value: int64(1) << 60}}, `a "text"`, `{"v":1152921504606846976}`},
		{bson.D{{Key: "_id", Value: "changes"}, {Key: "v", Value: int32(1)}}, "changes", `{"v":1}`},
		{bson.D{{Key: "_id", Value: "goes"}, {Key: "v", Value: int32(1)}}, "goes", `{"v":1}`},
	}
}

// bulk sends lines of a bulk to the index of coll; an item that fails is an error.
func (s stage) bulk(t *testing.T, coll string, lines ...string) {
	t.Helper()
	var out struct {
		Errors bool            `json:"errors"`
		Items  json.RawMessage `json:"items"`
	}
	sure(t, ask(t.Context(), http.MethodPost, s.index(coll)+"/_bulk?refresh=true", strings.Join(lines, "\n")+"\n", &out))
	if out.Errors {
		t.Fatalf("%s", out.Items)
	}
}

func (s stage) index(coll string) string {
	return s.cfg.Search.URLs[0] + "/" + s.db.Name() + "." + coll
}

// indexed is what the index says of one document.
type indexed struct {
	Version int64           `json:"_version"`
	Source  json.RawMessage `json:"_source"`
	Found   bool            `json:"found"`
}

func (s stage) get(ctx context.Context, coll, id string) (x indexed, err error) {
	err = ask(ctx, http.MethodGet, s.index(coll)+"/_doc/"+url.PathEscape(id), "", &x)
	return x, err
}

func (s stage) count(ctx context.Context, coll string) (int, error) {
	var out struct{ Count int }
	err := ask(ctx, http.MethodPost, s.index(coll)+"/_refresh", "", nil)
	if err == nil {
		err = ask(ctx, http.MethodGet, s.index(coll)+"/_count", "", &out)
	}
	return out.Count, err
}

func action(kind, id string, version int64) string {
	name, _ := json.Marshal(id)
	return fmt.Sprintf(`{%q:{"_id":%s,"version":%d,"version_type":"external"}}`, kind, name, version)
}

// events returns the cluster times of what happens in coll from now on, by its _id.
func (s stage) events(t *testing.T, coll string) func(id string) bson.Timestamp {
	t.Helper()
	stream, err := s.db.Collection(coll).Watch(t.Context(), bson.A{})
	sure(t, err)
	t.Cleanup(func() { _ = stream.Close(context.Background()) })
	return func(id string) bson.Timestamp {
		t.Helper()
		for stream.Next(t.Context()) {
			if got, ok := stream.Current.Lookup("documentKey", "_id").StringValueOK(); ok && got == id {
				var e struct{ ClusterTime bson.Timestamp }
				sure(t, stream.Decode(&e))
				return e.ClusterTime
			}
		}
		t.Fatal(stream.Err())
		return bson.Timestamp{}
	}
}

// TestMonstacheIndexesGoOn: an index that Monstache has filled is gone on with: by the
// same ids and bodies, with versions that never meet a newer one; what has not
// changed is not written; and Monstache could go on after us.
func TestMonstacheIndexesGoOn(t *testing.T) {
	s := newStage(t)
	const coll = "things"
	s.load(t, "    profile: monstache\n    on: {drop: delete_index}\n")
	var lines []string
	started := time.Now().Unix()
	for _, one := range oldDocuments(t) {
		_, err := s.db.Collection(coll).InsertOne(t.Context(), one.doc)
		sure(t, err)
		lines = append(lines, action("index", one.id, started<<32), one.body)
	}
	for _, ghost := range []string{"gone", "12", "65a0f3c0deadbeef01020399", "map[of:more]"} {
		lines = append(lines, action("index", ghost, started<<32), `{}`)
	}
	s.bulk(t, coll, lines...)

	a, stop := run(t, Options{Config: s.cfg})
	testkit.Eventually(t, time.Minute, copied(a))
	versions := map[string]int64{}
	for _, one := range oldDocuments(t) {
		x, err := s.get(t.Context(), coll, one.id)
		sure(t, err)
		if string(x.Source) != one.body || x.Version <= started<<32 {
			t.Errorf("%s: %d %s, want %s", one.id, x.Version, x.Source, one.body)
		}
		versions[one.id] = x.Version
	}
	want := len(oldDocuments(t)) + 1 // and the one that may be of any compound key
	testkit.Eventually(t, time.Minute, func() error {
		if n, err := s.count(t.Context(), coll); err != nil || n != want {
			return fmt.Errorf("%d documents, want %d: %w", n, want, err)
		}
		return nil
	})
	sure(t, stop())

	// Monstache again, for a while.
	when := s.events(t, coll)
	_, err := s.db.Collection(coll).UpdateOne(t.Context(), bson.D{{Key: "_id", Value: "changes"}}, bson.D{{Key: "$set", Value: bson.D{{Key: "v", Value: int32(2)}}}})
	sure(t, err)
	updated := when("changes")
	_, err = s.db.Collection(coll).DeleteOne(t.Context(), bson.D{{Key: "_id", Value: "goes"}})
	sure(t, err)
	deleted := when("goes")
	s.bulk(t, coll,
		action("index", "changes", int64(updated.T)<<32+int64(updated.I)+1), `{"v":2}`,
		action("delete", "goes", int64(deleted.T)<<32+int64(deleted.I)+2))

	a, stop = run(t, Options{Config: s.cfg})
	_, err = s.db.Collection(coll).InsertOne(t.Context(), bson.D{{Key: "_id", Value: "new"}, {Key: "v", Value: 3.0}})
	sure(t, err)
	inserted := when("new")
	testkit.Eventually(t, time.Minute, func() error {
		_, err := s.get(t.Context(), coll, "new")
		return err
	})
	for id, want := range map[string]bson.Timestamp{"changes": updated, "new": inserted} {
		x, err := s.get(t.Context(), coll, id)
		sure(t, err)
		if x.Version != int64(want.T)<<32+int64(want.I)+2 {
			t.Errorf("%s has version %d, want that of %v and two", id, x.Version, want)
		}
	}
	for _, one := range oldDocuments(t) {
		x, err := s.get(t.Context(), coll, one.id)
		switch one.id {
		case "goes":
			if err == nil {
				t.Error("it came back")
			}
		case "changes":
		default:
			if err != nil || x.Version != versions[one.id] || string(x.Source) != one.body {
				t.Errorf("%s was written again: %d %s %v", one.id, x.Version, x.Source, err)
			}
		}
	}
	if st := a.Status().Text(); strings.Contains(st, "dead letter") && !strings.Contains(st, "0 dead letters") {
		t.Error(st)
	}
	// And back: what comes later is taken.
	_, err = s.db.Collection(coll).UpdateOne(t.Context(), bson.D{{Key: "_id", Value: "new"}}, bson.D{{Key: "$set", Value: bson.D{{Key: "v", Value: 4.0}}}})
	sure(t, err)
	later := when("new")
	testkit.Eventually(t, time.Minute, func() error {
		if x, err := s.get(t.Context(), coll, "new"); err != nil || string(x.Source) != `{"v":4}` {
			return fmt.Errorf("%s %w", x.Source, err)
		}
		return nil
	})
	s.bulk(t, coll, action("index", "new", int64(later.T+1)<<32), `{"v":5}`)

	// A drop takes the index; the next document makes a plain one.
	sure(t, s.db.Collection(coll).Drop(t.Context()))
	testkit.Eventually(t, time.Minute, func() error {
		if err := ask(t.Context(), http.MethodGet, s.index(coll), "", nil); err == nil {
			return fmt.Errorf("the index is still there")
		}
		return nil
	})
	_, err = s.db.Collection(coll).InsertOne(t.Context(), bson.D{{Key: "_id", Value: 2.0}, {Key: "nan", Value: math.Inf(1)}})
	sure(t, err)
	_, err = s.db.Collection(coll).InsertOne(t.Context(), bson.D{{Key: "_id", Value: 1.0}, {Key: "v", Value: 1.0}})
	sure(t, err)
	testkit.Eventually(t, time.Minute, func() error {
		_, err := s.get(t.Context(), coll, "1")
		return err
	})
	var made map[string]struct{ Aliases map[string]any }
	sure(t, ask(t.Context(), http.MethodGet, s.index(coll), "", &made))
	if x, ok := made[s.db.Name()+"."+coll]; !ok || len(x.Aliases) > 0 {
		t.Errorf("%+v", made)
	}
	if _, err := s.get(t.Context(), coll, "2"); err == nil {
		t.Error("a document with an infinity is in the index")
	}
	sure(t, stop())
}

// TestWriteUpdate: fields are put into what is there, those of others stay; and with a
// copy and changes at one time, the last change of each document is in the index.
func TestWriteUpdate(t *testing.T) {
	s := newStage(t)
	const coll, docs = "a", 400
	s.load(t, "    write: update\n    snapshot: {rate: 400}\n")
	s.put(t, coll, 0, docs, "first")
	a, stop := run(t, Options{Config: s.cfg})
	for round := range 3 {
		for i := docs - 1; i >= 0; i -= 3 {
			s.put(t, coll, i, i+1, fmt.Sprint("round ", round))
		}
	}
	for i := 0; i < docs; i += 20 {
		s.remove(t, coll, idsFrom(i, i+1))
	}
	testkit.Eventually(t, time.Minute, copied(a))
	s.same(t, coll)

	lookup := s.cfg.Search.URLs[0] + "/" + s.db.Name() + "." + coll
	sure(t, ask(t.Context(), http.MethodPost, lookup+"/_update/1?refresh=true", `{"doc":{"theirs":true}}`, nil))
	s.put(t, coll, 1, 2, "again")
	testkit.Eventually(t, time.Minute, func() error {
		x, err := s.get(t.Context(), coll, "1")
		var doc struct {
			Name   string
			Theirs bool
		}
		if err == nil {
			err = json.Unmarshal(x.Source, &doc)
		}
		if err != nil || doc.Name != "again" || !doc.Theirs {
			return fmt.Errorf("%s %w", x.Source, err)
		}
		return nil
	})
	sure(t, stop())
	s.same(t, coll)

	// A new copy removes what only the index has.
	sure(t, ask(t.Context(), http.MethodPost, lookup+"/_update/7777?refresh=true", `{"doc":{"n":7777},"doc_as_upsert":true}`, nil))
	a, stop = run(t, Options{Config: s.cfg, Resync: []string{"all"}})
	testkit.Eventually(t, time.Minute, copied(a))
	s.same(t, coll)
	sure(t, stop())
}

// same waits until the index holds what MongoDB holds.
func (s stage) same(t *testing.T, coll string) {
	t.Helper()
	var all []struct {
		ID   int `bson:"_id"`
		Name string
	}
	cur, err := s.db.Collection(coll).Find(t.Context(), bson.D{})
	sure(t, err)
	sure(t, cur.All(t.Context(), &all))
	wants := make([]want, len(all))
	for i, d := range all {
		wants[i] = want{d.ID, d.ID + 1, "live " + d.Name}
	}
	s.wantIndex(t, coll, wants...)
}
