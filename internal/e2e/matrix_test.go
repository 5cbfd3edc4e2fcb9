//go:build integration

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// TestCopyFollowDrop is the whole life of a collection: copied, followed through
// inserts, updates and deletes, dropped. For every engine of the matrix.
func TestCopyFollowDrop(t *testing.T) {
	b := newBed(t)
	coll := b.db.Collection("orders")
	seedDocs(t, coll, 3000)
	p := start(t, b.args("orders")...)
	p.eventually(t, time.Minute, func() error { return p.copied(t.Context()) })
	wantEqual(t, coll, b.search, b.index("orders"), time.Minute)
	for i := range 100 {
		set(t, coll, i, "n", -i)
	}
	if _, err := coll.DeleteMany(t.Context(), bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: 100}, {Key: "$lt", Value: 300}}}}); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if _, err := coll.InsertOne(t.Context(), bson.D{{Key: "_id", Value: 100_000 + i}, {Key: "n", Value: i}}); err != nil {
			t.Fatal(err)
		}
	}
	wantEqual(t, coll, b.search, b.index("orders"), time.Minute)
	if err := coll.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.eventually(t, time.Minute, func() error { return empty(t.Context(), b.search, b.index("orders")) })
	if code := p.stop(t); code != 0 {
		t.Fatalf("exit code %d\n%s", code, p.output())
	}
}

// empty is nil when an index holds no document.
func empty(ctx context.Context, url, index string) error {
	docs, err := indexDocs(ctx, url, index)
	if err == nil && len(docs) > 0 {
		err = fmt.Errorf("%d documents are left", len(docs))
	}
	return err
}
