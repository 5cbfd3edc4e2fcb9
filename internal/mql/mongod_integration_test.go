//go:build integration

package mql

import (
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/testkit"
)

func freshColl(t *testing.T, docs []bson.Raw) *mongo.Collection {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(testkit.SharedMongo(t).URI()))
	if err != nil {
		t.Fatal(err)
	}
	coll := client.Database(testkit.UniqueName(t)).Collection("docs")
	t.Cleanup(func() {
		_ = coll.Database().Drop(t.Context())
		_ = client.Disconnect(t.Context())
	})
	if _, err := coll.InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	return coll
}

// The server is the judge of each query over each document.
func TestMatchAgreesWithTheServer(t *testing.T) {
	docs := corpus(t)
	coll := freshColl(t, docs)
	for _, q := range corpusQueries() {
		query := ext(t, q)
		cur, err := coll.Find(t.Context(), query, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetProjection(bson.D{{Key: "_id", Value: 1}}))
		if err != nil {
			t.Errorf("%s: the server refuses it: %v", q, err)
			continue
		}
		var found []struct {
			ID int `bson:"_id"`
		}
		if err := cur.All(t.Context(), &found); err != nil {
			t.Fatal(err)
		}
		m, err := Compile(query)
		if err != nil {
			t.Errorf("%s: %v", q, err)
			continue
		}
		for i, d := range docs {
			want := slices.ContainsFunc(found, func(f struct {
				ID int `bson:"_id"`
			},
			) bool {
				return f.ID == i
			})
			if got := m.Match(d); got != want {
				t.Errorf("%s on %s: we say %v, the server %v", q, d, got, want)
			}
		}
	}
}

func TestTheServerRefusesToo(t *testing.T) {
	coll := freshColl(t, []bson.Raw{raw(t, bson.D{{Key: "_id", Value: 1}})})
	_, both := refusedQueries()
	for _, q := range both {
		if cur, err := coll.Find(t.Context(), ext(t, q)); err == nil {
			_ = cur.Close(t.Context())
			t.Errorf("the server takes %s", q)
		}
	}
}

// What Compare says of two values is how the server sorts them.
func TestCompareAgreesWithTheServersSort(t *testing.T) {
	var docs []bson.Raw
	for i, v := range corpusValues() {
		if _, array := v.(bson.A); !array { // an array sorts by its least element
			docs = append(docs, raw(t, bson.D{{Key: "_id", Value: i}, {Key: "a", Value: v}}))
		}
	}
	coll := freshColl(t, docs)
	cur, err := coll.Find(t.Context(), bson.D{}, options.Find().SetSort(bson.D{{Key: "a", Value: 1}, {Key: "_id", Value: 1}}))
	if err != nil {
		t.Fatal(err)
	}
	var last bson.Raw
	for cur.Next(t.Context()) {
		doc := slices.Clone(cur.Current)
		if last != nil {
			c := Compare(last.Lookup("a"), doc.Lookup("a"))
			if c == 0 {
				c = Compare(last.Lookup("_id"), doc.Lookup("_id"))
			}
			if c >= 0 {
				t.Errorf("the server has %s before %s; Compare says %d", last, doc, c)
			}
		}
		last = doc
	}
	if err := cur.Err(); err != nil {
		t.Fatal(err)
	}
}
