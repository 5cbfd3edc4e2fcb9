//go:build integration

package statedb

import (
	"context"
	"os"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// openAt connects to a server of the test.
func openAt(t testing.TB, uri string) *DB {
	t.Helper()
	db, err := Open(context.Background(), Options{URI: uri, AppName: "sluice test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return db
}

// flowOf names a flow that nobody else has; what is kept for it goes with the test.
func flowOf(t testing.TB, db *DB) string {
	t.Helper()
	name := testkit.UniqueName(t)
	t.Cleanup(func() {
		ctx := context.Background()
		_, _ = db.own.Collection(checkpointsColl).DeleteOne(ctx, byID(name))
		_, _ = db.own.Collection(deadLettersColl).DeleteMany(ctx, bson.D{{Key: "flow", Value: name}})
	})
	return name
}

// start starts a server of our own.
func start(t testing.TB, o testkit.MongoOptions) *testkit.Mongo {
	t.Helper()
	m, err := testkit.StartMongo(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Stop() })
	return m
}
