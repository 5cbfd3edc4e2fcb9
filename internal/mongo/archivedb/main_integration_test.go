//go:build integration

package archivedb

import (
	"context"
	"os"
	"testing"

	"sluice/internal/flow"
	"sluice/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// openDB connects to the shared server, with a database of its own for the
// archive's rows, that goes away with the test.
func openDB(t testing.TB) *DB {
	t.Helper()
	return openAt(t, testkit.SharedMongo(t).URI())
}

// openAt is openDB for another server.
func openAt(t testing.TB, uri string) *DB {
	t.Helper()
	ctx := context.Background()
	db, err := Open(ctx, Options{URI: uri, Database: "own_" + testkit.UniqueName(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = db.own.Drop(ctx)
		if err := db.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return db
}

// freshNS names a collection in a database of its own, that goes away with the
// test.
func freshNS(t testing.TB, db *DB) flow.Namespace {
	t.Helper()
	ns := flow.Namespace{DB: testkit.UniqueName(t), Coll: "docs"}
	t.Cleanup(func() { _ = db.client.Database(ns.DB).Drop(context.Background()) })
	return ns
}
