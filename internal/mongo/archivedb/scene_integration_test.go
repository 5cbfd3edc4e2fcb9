//go:build integration

package archivedb

import (
	"context"
	"crypto/sha256"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/cold"
	"sluice/internal/lease"
	"sluice/internal/testkit"
)

func raw(t testing.TB, d any) bson.Raw {
	t.Helper()
	b, err := bson.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func old() bson.DateTime { return bson.NewDateTimeFromTime(cutoff().AddDate(0, 0, -10)) }

func cutoff() time.Time { return time.Date(2024, 6, 1, 0, 0, 0, 0, time.UTC) }

// doomed is what a manifest tells of docs.
func doomed(docs ...bson.Raw) []cold.Doomed {
	out := make([]cold.Doomed, len(docs))
	for i, doc := range docs {
		out[i] = cold.Doomed{Entry: i, ID: doc.Lookup("_id"), Hash: sha256.Sum256(doc), Doc: doc}
	}
	return out
}

// scene is a collection with documents, a pack of them and a lease.
type scene struct {
	t     testing.TB
	db    *DB
	users *mongo.Client // not ours
	coll  *mongo.Collection
	guard cold.Guard
}

// newScene makes a pack of docs documents that may be deleted.
func newScene(t testing.TB, db *DB, uri string, docs int) *scene {
	t.Helper()
	users, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = users.Disconnect(context.Background()) })
	ns := freshNS(t, db)
	s := &scene{t: t, db: db, users: users, coll: users.Database(ns.DB).Collection(ns.Coll)}
	s.guard = cold.Guard{
		Fence:        cold.Fence{Lease: "archive/rule", Owner: "me", Number: 3},
		Selection:    cold.Selection{NS: ns, Field: "at", Kind: cold.AgeDate, Before: cutoff()},
		Pack:         cold.Pack{ID: "p1", Run: "r1", Rule: "rule", NS: ns.String(), State: cold.PackDeleting, Fence: 3, Docs: docs},
		Object:       "file:///shelf p1.bson.zst",
		Transactions: true,
	}
	s.must(db.PutPack(t.Context(), s.guard.Pack, ""))
	s.must(db.Leases().Save(t.Context(), lease.Row{}, lease.Row{Name: "archive/rule", Owner: "me", Fence: 3, Beat: 10, TTL: time.Minute}))
	return s
}

func sharedScene(t testing.TB, docs int) *scene {
	t.Helper()
	return newScene(t, openDB(t), testkit.SharedMongo(t).URI(), docs)
}

func (s *scene) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) insert(docs ...bson.Raw) {
	s.t.Helper()
	for len(docs) > 0 {
		n := min(len(docs), 1000)
		_, err := s.coll.InsertMany(s.t.Context(), docs[:n])
		s.must(err)
		docs = docs[n:]
	}
}

// orders makes n old documents and inserts them.
func (s *scene) orders(n int) []bson.Raw {
	s.t.Helper()
	docs := make([]bson.Raw, n)
	for i := range docs {
		docs[i] = raw(s.t, bson.D{{Key: "_id", Value: int32(i)}, {Key: "at", Value: old()}, {Key: "v", Value: int32(1)}})
	}
	s.insert(docs...)
	return docs
}

func (s *scene) update(id any, change bson.D) {
	s.t.Helper()
	r, err := s.coll.UpdateOne(s.t.Context(), bson.D{{Key: "_id", Value: id}}, change)
	s.must(err)
	if r.ModifiedCount == 0 {
		s.t.Fatalf("%v: nothing modified", id)
	}
}

func (s *scene) begin() *Deletion {
	s.t.Helper()
	d, err := s.db.Begin(s.t.Context(), s.guard)
	s.must(err)
	s.t.Cleanup(func() { s.must(d.Close(context.Background())) })
	return d
}

func (s *scene) pack() cold.Pack {
	s.t.Helper()
	packs, err := s.db.Packs(s.t.Context(), PackQuery{IDs: []string{s.guard.Pack.ID}})
	s.must(err)
	if len(packs) != 1 {
		s.t.Fatalf("%d packs", len(packs))
	}
	return packs[0]
}

func (s *scene) beat() int64 {
	s.t.Helper()
	row, err := s.db.Leases().Load(s.t.Context(), s.guard.Fence.Lease)
	s.must(err)
	return row.Beat
}

func (s *scene) live() int {
	s.t.Helper()
	n, err := s.coll.CountDocuments(s.t.Context(), bson.D{})
	s.must(err)
	return int(n)
}

// settled checks fates, the row of the pack and the exceptions against what was
// expected, entry by entry.
func (s *scene) settled(fates []cold.Fate, want ...cold.Outcome) {
	s.t.Helper()
	count := map[cold.Outcome]int{}
	if len(fates) != len(want) {
		s.t.Fatalf("%d fates, want %d", len(fates), len(want))
	}
	var exceptions []cold.Exception
	for i, f := range fates {
		if f.Entry != i || f.Outcome != want[i] {
			s.t.Errorf("fate %d: %+v, want %s", i, f, want[i])
		}
		count[want[i]]++
		if want[i] != cold.Deleted {
			exceptions = append(exceptions, cold.Exception{Pack: "p1", Entry: i, Outcome: want[i]})
		}
	}
	p := s.pack()
	if p.Next != len(want) || p.Deleted != count[cold.Deleted] || p.Changed != count[cold.Changed] || p.Gone != count[cold.Gone] {
		s.t.Errorf("the pack's row is next %d, deleted %d, changed %d, gone %d; want %v", p.Next, p.Deleted, p.Changed, p.Gone, count)
	}
	rows, err := s.db.Exceptions(s.t.Context(), "p1")
	s.must(err)
	for i := range rows {
		rows[i].ID = bson.RawValue{}
	}
	if !slices.EqualFunc(rows, exceptions, func(a, b cold.Exception) bool {
		return a.Pack == b.Pack && a.Entry == b.Entry && a.Outcome == b.Outcome
	}) {
		s.t.Errorf("exceptions %+v, want %+v", rows, exceptions)
	}
}
