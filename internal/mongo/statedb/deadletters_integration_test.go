//go:build integration

package statedb

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/deadletter"
	"sluice/internal/deadletter/deadlettertest"
	"sluice/internal/flow"
	"sluice/internal/testkit"
)

func TestS7DeadLettersContract(t *testing.T) {
	db := openAt(t, testkit.SharedMongo(t).URI())
	flows := map[string]string{}
	deadlettertest.TestStore(t, func(t testing.TB) deadletter.Store {
		if flows[t.Name()] == "" {
			flows[t.Name()] = flowOf(t, db)
		}
		// As another process has it.
		return openAt(t, testkit.SharedMongo(t).URI()).DeadLetters(flows[t.Name()])
	})
}

// keysOf lists the ids of the flow's letters, sorted.
func keysOf(t testing.TB, s deadletter.Store) []string {
	t.Helper()
	var ids []string
	err := s.Load(t.Context(), func(l deadletter.Letter) error {
		ids = append(ids, l.ID)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ids)
	return ids
}

// TestS7LettersOfFlowsAreApart: flows share the collection, not the letters;
// and a letter is a document that people can ask for.
func TestS7LettersOfFlowsAreApart(t *testing.T) {
	db := openAt(t, testkit.SharedMongo(t).URI())
	a := flowOf(t, db)
	for _, name := range []string{a, a + "-2", a + "0"} {
		t.Cleanup(func() {
			_, _ = db.own.Collection(deadLettersColl).DeleteMany(context.Background(), bson.D{{Key: "flow", Value: name}})
		})
		for range 2 {
			if err := db.DeadLetters(name).Probe(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.DeadLetters(name).Put(t.Context(), []deadletter.Letter{deadlettertest.Letter("orders", "1", 1), deadlettertest.Letter("orders", name, 2)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.DeadLetters(a+"-2").Remove(t.Context(), []deadletter.Key{deadlettertest.Letter("orders", "1", 1).Key}); err != nil {
		t.Fatal(err)
	}
	f := func(name string, want ...string) {
		t.Helper()
		if got := keysOf(t, db.DeadLetters(name)); !slices.Equal(got, want) {
			t.Errorf("letters of %s: %q, want %q", name, got, want)
		}
	}
	f(a, "1", a)
	f(a+"-2", a+"-2")
	f(a+"0", "1", a+"0")
	n, err := db.client.Database("sluice").Collection("dead_letters").CountDocuments(t.Context(), bson.D{
		{Key: "flow", Value: a}, {Key: "db", Value: "shop"}, {Key: "coll", Value: "orders"}, {Key: "key", Value: "1"}, {Key: "reason", Value: "mapping"},
	})
	if err != nil || n != 1 {
		t.Errorf("%d documents, %v", n, err)
	}
}

// What is no letter ends the load and is named.
func TestForeignLetter(t *testing.T) {
	db := openAt(t, testkit.SharedMongo(t).URI())
	name := flowOf(t, db)
	_, err := db.own.Collection(deadLettersColl).InsertOne(t.Context(), bson.D{{Key: "_id", Value: name + "/x"}, {Key: "flow", Value: name}, {Key: "version", Value: "?"}})
	if err != nil {
		t.Fatal(err)
	}
	err = db.DeadLetters(name).Load(t.Context(), func(deadletter.Letter) error { return nil })
	if flow.ClassOf(err) != flow.Fatal {
		t.Errorf("%v", err)
	}
}

// The rows of a flow are found by the index of _id alone, which takes no right
// to make one.
func TestLettersAreFoundByTheirIndex(t *testing.T) {
	db := openAt(t, testkit.SharedMongo(t).URI())
	name := flowOf(t, db)
	s := db.DeadLetters(name)
	var all []deadletter.Letter
	for n := range 20 {
		all = append(all, deadlettertest.Letter("orders", fmt.Sprint(n), 1))
	}
	if err := s.Put(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	raw, err := db.own.RunCommand(t.Context(), bson.D{{Key: "explain", Value: bson.D{{Key: "find", Value: deadLettersColl}, {Key: "filter", Value: s.all()}}}, {Key: "verbosity", Value: "executionStats"}}).Raw()
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := raw.Lookup("executionStats", "totalDocsExamined").AsInt64OK(); n != 20 {
		t.Errorf("%d documents were looked at for 20", n)
	}
}
