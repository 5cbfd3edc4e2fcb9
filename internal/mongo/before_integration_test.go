//go:build integration

package mongo

import (
	"fmt"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/testkit"
)

// TestS14PreImages: the stream tells what a document was, where its collection has
// pre-images; an event that is too large with them comes without (rule S6).
func TestS14PreImages(t *testing.T) {
	uri := startMongo(t, testkit.MongoOptions{CacheGB: 0.5}).URI()
	db := newDB(t, uri)
	must(t, db.CreateCollection(t.Context(), "a", options.CreateCollection().SetChangeStreamPreAndPostImages(bson.D{{Key: "enabled", Value: true}})))
	a, plain := db.Collection("a"), db.Collection("plain")
	insert(t, a, 0, 1)
	insert(t, plain, 0, 1)
	o := small(uri, a)
	o.Namespaces = append(o.Namespaces, nsOf(plain).String())
	o.Before, o.PreImages, o.Snapshot.Disabled = true, true, true
	s, err := Open(t.Context(), o)
	must(t, err)
	defer func() { _ = s.Close(t.Context()) }()
	must(t, s.Start(t.Context(), "", nil))
	key := bson.D{{Key: "_id", Value: 0}}
	f := func(want string, change func() error) {
		t.Helper()
		must(t, change())
		for {
			b, ack, err := s.Stream().Read(t.Context())
			must(t, err)
			must(t, ack(t.Context(), nil))
			if len(b.Changes) == 0 {
				continue
			}
			got := "unknown"
			if before := b.Changes[0].Before; before != nil {
				got = fmt.Sprint(len(before.Docs))
				for _, doc := range before.Docs {
					last, err := lastElement(doc)
					must(t, err)
					got += " " + last.Key()
				}
			}
			if got != want {
				t.Errorf("%s: %q, want %q", b.Changes[0].Op, got, want)
			}
			return
		}
	}
	replace := func(name string, size int) func() error {
		return func() error {
			_, err := a.ReplaceOne(t.Context(), key, bson.D{{Key: name, Value: strings.Repeat("x", size)}})
			return err
		}
	}
	f("1 from", replace("big", 9_000_000))
	f("unknown", replace("bigger", 9_000_000)) // both together are too large
	f("1 bigger", replace("small", 1))
	f("0", func() error { _, err := a.InsertOne(t.Context(), bson.D{{Key: "_id", Value: 7}}); return err })
	f("unknown", func() error { _, err := plain.DeleteOne(t.Context(), key); return err })
	f("1 small", func() error { _, err := a.DeleteOne(t.Context(), key); return err })
}

func lastElement(doc bson.Raw) (bson.RawElement, error) {
	all, err := doc.Elements()
	if err != nil {
		return nil, err
	}
	return all[len(all)-1], nil
}
