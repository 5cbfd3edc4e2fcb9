//go:build integration

package app

import (
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// The versions of a document lie in two places, by two rules, and in one place by
// two rules: the newest comes back and is found, in whatever order they are
// configured or named.
func TestA8NewestOfAllPlaces(t *testing.T) {
	for name, dirs := range map[string][2]string{"two places": {"DIR/a", "DIR/b"}, "one place": {"DIR/a", "DIR/a"}} {
		t.Run(name, func(t *testing.T) {
			s := newColdStage(t, `
archive:
  - {name: RULE-a, namespace: DB.orders, field: at, older_than: 1y, timezone: UTC, to: "file://`+dirs[0]+`"}
  - {name: RULE-b, namespace: DB.orders, field: at, older_than: 1y, timezone: UTC, filter: '{"at": {"$exists": true}}', to: "file://`+dirs[1]+`"}
`)
			s.fill(t, "orders", 10)
			a, b := s.o.Config.Archive[0].Name, s.o.Config.Archive[1].Name
			archive := func(rule string) {
				t.Helper()
				s.o.Rules = []string{rule}
				s.runOnce(t)
			}
			archive(a)
			// A user brings one of them again, as another.
			newer := bson.D{{Key: "_id", Value: 3}, {Key: "at", Value: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}, {Key: "who", Value: "again"}}
			if _, err := s.db.Collection("orders").InsertOne(t.Context(), newer); err != nil {
				t.Fatal(err)
			}
			archive(b)
			if n := s.count(t, "orders"); n != 10 {
				t.Fatalf("%d are live", n)
			}
			for _, rules := range [][]string{nil, {a, b}, {b, a}} {
				s.o.Rules = rules
				id, err := ParseKey("3")
				if err != nil {
					t.Fatal(err)
				}
				found := s.find(t, ArchiveFindOptions{ArchiveWhich: ArchiveWhich{IDs: []bson.RawValue{id}}})
				if len(found) != 1 || found[0].Doc.Lookup("who").StringValue() != "again" || found[0].Rule != b {
					t.Errorf("rules %v: found %v", rules, found)
				}
				if all := s.find(t, ArchiveFindOptions{Versions: true}); len(all) != 11 {
					t.Errorf("rules %v: %d versions", rules, len(all))
				}
				into := s.db.Name() + ".back"
				r, err := Restore(t.Context(), s.o, RestoreOptions{Into: into})
				if err != nil || r.Found != 10 || r.Inserted != 10 || r.Conflicts != 0 {
					t.Errorf("rules %v: %+v, %v", rules, r, err)
				}
				var got bson.M
				if err := s.db.Collection("back").FindOne(t.Context(), bson.D{{Key: "_id", Value: 3}}).Decode(&got); err != nil || got["who"] != "again" {
					t.Errorf("rules %v: %v came back, %v", rules, got, err)
				}
				if err := s.db.Collection("back").Drop(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
