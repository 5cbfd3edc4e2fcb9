//go:build integration

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/testkit"
	"sluice/internal/transcode"
)

// letters returns the open dead letters of a flow, by the id of the document,
// with their reasons.
func letters(t *testing.T, search, flowName string) map[string]string {
	t.Helper()
	docs, err := indexDocs(t.Context(), search, "sluice-dead-letters-"+flowName)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, d := range docs {
		fields, _ := d.(map[string]any)
		all[fmt.Sprint(fields["id"])] = fmt.Sprint(fields["reason"])
	}
	return all
}

// deadLetters is nil when the status shows n open dead letters.
func (p *process) deadLetters(t *testing.T, n int) error {
	t.Helper()
	if have := p.flowStatus(t).DeadLetters; have != n {
		return fmt.Errorf("%d dead letters are open, want %d", have, n)
	}
	return nil
}

// TestErrorMappingConflict: a document that the mapping can't take goes to the
// dead letters, in the snapshot and in the stream; the rest flows on, and the
// letter is closed when the document is mended.
func TestErrorMappingConflict(t *testing.T) {
	b := newBed(t)
	coll := b.db.Collection("orders")
	name := testkit.UniqueName(t)
	const word = "t0p-s3cret-content"
	insert(t, coll, bson.D{{Key: "_id", Value: 1}, {Key: "n", Value: 1}})
	args := append(b.args("orders"), "--name", name)
	following(t, args...).wantDrain(t) // n is a number now
	insert(t, coll, bson.D{{Key: "_id", Value: 2}, {Key: "n", Value: word}}, bson.D{{Key: "_id", Value: 3}, {Key: "n", Value: 3}})
	p := start(t, append(args, "--resync", "all")...)
	p.eventually(t, time.Minute, func() error { return p.copied(t.Context()) })
	p.eventually(t, 10*time.Second, func() error { return p.deadLetters(t, 1) })
	insert(t, coll, bson.D{{Key: "_id", Value: 4}, {Key: "n", Value: word}}, bson.D{{Key: "_id", Value: 5}, {Key: "n", Value: 5}})
	p.eventually(t, 10*time.Second, func() error { return p.deadLetters(t, 2) })
	if got := letters(t, b.search, name); len(got) != 2 || got["2"] != "mapping" || got["4"] != "mapping" {
		t.Errorf("the dead letters are %v", got)
	}
	f := p.flowStatus(t)
	if c := f.Pump.Namespaces[b.db.Name()+".orders"]; c.DeadLetter < 2 || f.Pump.State == "retrying" {
		t.Errorf("state %s, counts %+v", f.Pump.State, c)
	}
	have, err := indexDocs(t.Context(), b.search, b.index("orders"))
	if err != nil || have["3"] == nil || have["5"] == nil || have["2"] != nil {
		t.Errorf("the rest did not flow on: %v %v", have, err)
	}
	wantWords(t, p.output(), "document went to the dead letters", `"reason":"mapping"`, b.db.Name()+".orders")
	wantNone(t, p.output(), word)
	set(t, coll, 2, "n", 22)
	if _, err := coll.DeleteOne(t.Context(), bson.D{{Key: "_id", Value: 4}}); err != nil {
		t.Fatal(err)
	}
	p.eventually(t, 10*time.Second, func() error { return p.deadLetters(t, 0) })
	if got := letters(t, b.search, name); len(got) != 0 {
		t.Errorf("letters are left: %v", got)
	}
	p.eventually(t, 10*time.Second, func() error { return equal(t.Context(), coll, b.search, b.index("orders")) })
	p.wantDrain(t)
}

// tooLarge: a document that is larger than any body that the engine takes goes
// to the dead letters, and comes when it is smaller. Called with an engine that
// takes 1 MB.
func tooLarge(t *testing.T, p *process, b bed, coll *mongo.Collection) {
	t.Helper()
	p.eventually(t, 30*time.Second, func() error { return equal(t.Context(), coll, b.search, b.index("orders")) })
	insert(t, coll, bson.D{{Key: "_id", Value: "large"}, {Key: "pad", Value: strings.Repeat("x ", 3<<19)}},
		bson.D{{Key: "_id", Value: "small"}, {Key: "pad", Value: "x"}})
	p.eventually(t, 30*time.Second, func() error { return p.deadLetters(t, 1) })
	if got := letters(t, b.search, "disk"); got["large"] != "too_large" {
		t.Errorf("the dead letters are %v", got)
	}
	wantWords(t, p.output(), `"reason":"too_large"`)
	set(t, coll, "large", "pad", "x")
	p.eventually(t, 30*time.Second, func() error { return p.deadLetters(t, 0) })
	p.eventually(t, 30*time.Second, func() error { return equal(t.Context(), coll, b.search, b.index("orders")) })
}

// TestErrorIDOver512Bytes: engines take no id over 512 bytes; such a document
// is indexed under a hash, can be found by its key, and is deleted again.
func TestErrorIDOver512Bytes(t *testing.T) {
	b := newBed(t)
	coll := b.db.Collection("orders")
	first, second := strings.Repeat("long/", 150), strings.Repeat("é", 300)
	insert(t, coll, bson.D{{Key: "_id", Value: first}, {Key: "n", Value: 1}}, bson.D{{Key: "_id", Value: "short"}, {Key: "n", Value: 0}})
	p := following(t, b.args("orders")...)
	insert(t, coll, bson.D{{Key: "_id", Value: second}, {Key: "n", Value: 2}})
	set(t, coll, first, "n", 11)
	p.eventually(t, 20*time.Second, func() error {
		return errors.Join(hashed(t, b, first, 11), hashed(t, b, second, 2))
	})
	for _, id := range []string{first, second} {
		if _, err := coll.DeleteOne(t.Context(), bson.D{{Key: "_id", Value: id}}); err != nil {
			t.Fatal(err)
		}
	}
	p.eventually(t, 20*time.Second, func() error { return equal(t.Context(), coll, b.search, b.index("orders")) })
	if err := p.deadLetters(t, 0); err != nil {
		t.Error(err)
	}
	p.wantDrain(t)
}

// hashed is nil when the document with a long key is in the index, with its key
// beside it.
func hashed(t *testing.T, b bed, key string, n int) error {
	t.Helper()
	kind, value, err := bson.MarshalValue(key)
	if err != nil {
		t.Fatal(err)
	}
	id := transcode.AppendID(nil, bson.RawValue{Type: kind, Value: value})
	if len(id) > 512 {
		t.Fatalf("the id has %d bytes", len(id))
	}
	var doc struct {
		Source struct {
			N   int             `json:"n"`
			Key json.RawMessage `json:"sluice_key"`
		} `json:"_source"`
	}
	if err := call(t.Context(), http.MethodGet, b.search+"/"+b.index("orders")+"/_doc/"+url.PathEscape(string(id)), "", &doc); err != nil {
		return err
	}
	if doc.Source.N != n || !strings.Contains(string(doc.Source.Key), key) {
		return fmt.Errorf("n is %d, the key is %.100s", doc.Source.N, doc.Source.Key)
	}
	return nil
}

// TestErrorForeignVersions: somebody indexed documents with versions that lie
// ahead of MongoDB's time. Nothing of ours would ever replace them: it stops
// and shows the way out, which works.
func TestErrorForeignVersions(t *testing.T) {
	b := newBed(t)
	coll := b.db.Collection("orders")
	seedDocs(t, coll, 20)
	index := b.search + "/" + b.index("orders")
	must(t, http.MethodPut, index+"/_doc/7?version=9000000000000000000&version_type=external", `{"from":"elsewhere"}`)
	wantFailure(t, 1, b.args("orders"), []string{b.db.Name() + ".orders", "version 9000000000000000000", "ahead of MongoDB's own time", "Delete the index", "another index"})
	must(t, http.MethodDelete, index, "")
	p := following(t, b.args("orders")...)
	p.eventually(t, 20*time.Second, func() error { return equal(t.Context(), coll, b.search, b.index("orders")) })
}
