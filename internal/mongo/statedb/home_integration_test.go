//go:build integration

package statedb

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/checkpoint"
	"sluice/internal/testkit"
)

// TestAnotherDatabase: rows lie where they are told to, under names that say whose
// they are, and the role that a refusal names is for that place.
func TestAnotherDatabase(t *testing.T) {
	name := testkit.UniqueName(t)
	db, err := Open(t.Context(), Options{URI: testkit.SharedMongo(t).URI(), AppName: "test", Database: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.own.Drop(t.Context()); _ = db.Close(t.Context()) })
	s := db.Checkpoints("orders")
	if _, err := s.Save(t.Context(), checkpoint.Record{Fence: 1, Data: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if err := db.DeadLetters("orders").Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	n, err := db.client.Database(name).Collection("sluice.checkpoints").CountDocuments(t.Context(), bson.D{{Key: "_id", Value: "orders"}})
	if err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
	if got, err := s.Load(t.Context()); err != nil || string(got.Data) != "x" {
		t.Errorf("%q %v", got.Data, err)
	}
}
