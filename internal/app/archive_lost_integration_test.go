//go:build integration

package app

import (
	"fmt"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/testkit"
)

// The journal is lost while a pack is half deleted. The pack is finished from the
// bucket, and what it had deleted before comes back with all the rest: that
// nobody knows who deleted it does not make it a user's.
func TestA8JournalLostInTheMiddleOfADelete(t *testing.T) {
	s := newColdStage(t, `
archive:
  - {name: RULE, namespace: DB.orders, field: at, older_than: 1y, timezone: UTC, to: "file://DIR", soak: 1s}
`)
	s.fill(t, "orders", 20)
	before := s.raw(t, "orders")
	s.runOnce(t)
	if n := s.count(t, "orders"); n != 40 {
		t.Fatalf("%d documents are live while they soak", n)
	}
	// What a delete transaction does, and the row that told of it.
	if _, err := s.db.Collection("orders").DeleteMany(t.Context(), bson.D{{Key: "_id", Value: bson.D{{Key: "$lt", Value: 12}}}}); err != nil {
		t.Fatal(err)
	}
	rule, own := s.o.Config.Archive[0].Name, s.db.Client().Database("sluice")
	var pack cold.Pack
	if err := own.Collection("archive_packs").FindOne(t.Context(), bson.D{{Key: "rule", Value: rule}}).Decode(&pack); err != nil {
		t.Fatal(err)
	}
	for _, coll := range []string{"archive_runs", "archive_packs", "archive_exceptions", "archive_marks"} {
		if _, err := own.Collection(coll).DeleteMany(t.Context(), bson.D{{Key: "$or", Value: bson.A{bson.D{{Key: "rule", Value: rule}}, bson.D{{Key: "_id.rule", Value: bson.D{{Key: "$regex", Value: "^" + rule}}}}}}}); err != nil {
			t.Fatal(err)
		}
	}
	// Of the journal one row was spared, that tells what is true no more.
	stale := bson.D{
		{Key: "_id", Value: pack.ID + "/0000000003"},
		{Key: "pack", Value: pack.ID},
		{Key: "entry", Value: 3},
		{Key: "outcome", Value: cold.Gone},
		{Key: "id", Value: 3},
		{Key: "rule", Value: rule},
		{Key: "ns", Value: pack.NS},
	}
	if _, err := own.Collection("archive_exceptions").InsertOne(t.Context(), stale); err != nil {
		t.Fatal(err)
	}
	if done, err := ArchiveRebuild(t.Context(), s.o); err != nil || done.New != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	testkit.Eventually(t, 30*time.Second, func() error {
		s.runOnce(t)
		if n := s.count(t, "orders"); n != 20 {
			return fmt.Errorf("%d documents are live", n)
		}
		return nil
	})
	r, err := Restore(t.Context(), s.o, RestoreOptions{OnConflict: "keep-live"})
	if err != nil || r.Inserted != 20 {
		t.Fatalf("%+v, %v", r, err)
	}
	if string(s.raw(t, "orders")) != string(before) {
		t.Error("what came back is not what was there")
	}
}
