//go:build integration

package archivedb

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/lease"
)

// change is something that happens to a document between its reading and its
// delete.
type change struct {
	name  string
	doc   bson.D // without _id and at
	apply func(s *scene, id any)
	want  cold.Outcome
}

// changes are those that the transaction must see.
func changes() []change {
	set := func(name string, v any) func(s *scene, id any) {
		return func(s *scene, id any) { s.update(id, bson.D{{Key: "$set", Value: bson.D{{Key: name, Value: v}}}}) }
	}
	// again deletes the document and inserts another with its key.
	again := func(body bson.D) func(s *scene, id any) {
		return func(s *scene, id any) {
			_, err := s.coll.DeleteOne(s.t.Context(), bson.D{{Key: "_id", Value: id}})
			s.must(err)
			s.insert(raw(s.t, append(bson.D{{Key: "_id", Value: id}, {Key: "at", Value: old()}}, body...)))
		}
	}
	v := bson.D{{Key: "v", Value: int32(1)}}
	return []change{
		{"untouched", v, func(*scene, any) {}, cold.Deleted},
		{"updated", v, set("v", int32(2)), cold.Changed},
		{"extended by a field", v, set("w", int32(1)), cold.Changed},
		{"a field removed", v, func(s *scene, id any) {
			s.update(id, bson.D{{Key: "$unset", Value: bson.D{{Key: "v", Value: 1}}}})
		}, cold.Changed},
		{"replaced", v, func(s *scene, id any) {
			_, err := s.coll.ReplaceOne(s.t.Context(), bson.D{{Key: "_id", Value: id}}, bson.D{{Key: "at", Value: old()}, {Key: "x", Value: 1}})
			s.must(err)
		}, cold.Changed},
		{"int to long", v, set("v", int64(1)), cold.Changed},
		{"long to double", bson.D{{Key: "v", Value: int64(1)}}, set("v", float64(1)), cold.Changed},
		{"1 to 1.0 as decimal", bson.D{{Key: "v", Value: decimal("1")}}, set("v", decimal("1.0")), cold.Changed},
		{"0 to -0", bson.D{{Key: "v", Value: float64(0)}}, set("v", math.Copysign(0, -1)), cold.Changed},
		{"a NaN to another", bson.D{{Key: "v", Value: math.NaN()}}, set("v", math.Float64frombits(0x7ff8000000000999)), cold.Changed},
		{"a string to a symbol", bson.D{{Key: "v", Value: "a"}}, set("v", bson.Symbol("a")), cold.Changed},
		{"null to undefined", bson.D{{Key: "v", Value: nil}}, set("v", bson.Undefined{}), cold.Changed},
		{"fields in another order", bson.D{{Key: "v", Value: 1}, {Key: "w", Value: 2}}, again(bson.D{{Key: "w", Value: 2}, {Key: "v", Value: 1}}), cold.Changed},
		{"made young", v, set("at", bson.NewDateTimeFromTime(cutoff().AddDate(0, 0, 1))), cold.Changed},
		{"the date removed", v, func(s *scene, id any) {
			s.update(id, bson.D{{Key: "$unset", Value: bson.D{{Key: "at", Value: 1}}}})
		}, cold.Changed},
		{"deleted", v, func(s *scene, id any) {
			_, err := s.coll.DeleteOne(s.t.Context(), bson.D{{Key: "_id", Value: id}})
			s.must(err)
		}, cold.Gone},
		{"deleted and inserted again, the same", v, again(v), cold.Deleted},
		{"deleted and inserted again, another", v, again(bson.D{{Key: "v", Value: int32(9)}}), cold.Changed},
		{"changed and changed back", v, func(s *scene, id any) {
			set("v", int32(2))(s, id)
			set("v", int32(1))(s, id)
		}, cold.Deleted},
		{"deleted and inserted with its _id as another type", v, func(s *scene, id any) {
			_, err := s.coll.DeleteOne(s.t.Context(), bson.D{{Key: "_id", Value: id}})
			s.must(err)
			s.insert(raw(s.t, bson.D{{Key: "_id", Value: float64(id.(int32))}, {Key: "at", Value: old()}, {Key: "v", Value: int32(1)}}))
		}, cold.Changed},
	}
}

func decimal(text string) bson.Decimal128 {
	d, err := bson.ParseDecimal128(text)
	if err != nil {
		panic(err)
	}
	return d
}

// aged is a document of a change.
func aged(t testing.TB, id any, body bson.D) bson.Raw {
	return raw(t, append(bson.D{{Key: "_id", Value: id}, {Key: "at", Value: old()}}, body...))
}

func TestA3WhatChangedSinceItWasReadStays(t *testing.T) {
	all := changes()
	s := sharedScene(t, len(all))
	var docs []bson.Raw
	var want []cold.Outcome
	for i, c := range all {
		docs = append(docs, aged(t, int32(i), c.doc))
		want = append(want, c.want)
	}
	s.insert(docs...)
	for i, c := range all {
		c.apply(s, int32(i))
	}
	fates, err := s.begin().Delete(t.Context(), 0, doomed(docs...))
	s.must(err)
	s.settled(fates, want...)
	for i, c := range all {
		err := s.coll.FindOne(t.Context(), bson.D{{Key: "_id", Value: i}}).Err()
		if stays := err == nil; stays != (c.want == cold.Changed) {
			t.Errorf("%s: it is there: %v", c.name, stays)
		}
	}
}

// A change by another between the re-read and the commit aborts the transaction.
func TestA3AConcurrentWriteIsNeverLost(t *testing.T) {
	const n, writers = 4000, 4
	s := sharedScene(t, n)
	docs := s.orders(n)
	d := s.begin()
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	touched := make([]map[int32]bool, writers)
	for w := range writers {
		touched[w] = map[int32]bool{}
		wg.Go(func() {
			for i := int32(w); ctx.Err() == nil; i = (i + 97) % n {
				r, err := s.coll.UpdateOne(ctx, bson.D{{Key: "_id", Value: i}}, bson.D{{Key: "$inc", Value: bson.D{{Key: "v", Value: 1}}}})
				if err == nil && r.ModifiedCount == 1 {
					touched[w][i] = true
				}
			}
		})
	}
	var fates []cold.Fate
	for from := 0; from < n; from += 1000 {
		part, err := d.Delete(t.Context(), from, doomed(docs...)[from:from+1000])
		if err != nil {
			t.Error(err)
			break
		}
		fates = append(fates, part...)
	}
	stop()
	wg.Wait()
	all := map[int32]bool{}
	for _, m := range touched {
		for id := range m {
			all[id] = true
		}
	}
	changed := 0
	want := make([]cold.Outcome, n)
	for i, f := range fates {
		want[i] = f.Outcome
		if f.Outcome == cold.Changed {
			changed++
		} else if f.Outcome != cold.Deleted || all[int32(i)] {
			t.Errorf("document %d was updated by a writer: %v, and is %s", i, all[int32(i)], f.Outcome)
		}
	}
	s.settled(fates, want...)
	if s.live() != changed || changed == 0 {
		t.Errorf("%d live documents, %d changed", s.live(), changed)
	}
}

// What another holds in an open transaction does not block the rest, and stays.
func TestA3AHeldDocumentDoesNotBlockTheOthers(t *testing.T) {
	s := sharedScene(t, 20)
	docs := s.orders(20)
	session, err := s.users.StartSession()
	s.must(err)
	defer session.EndSession(context.Background())
	s.must(session.StartTransaction())
	_, err = s.coll.UpdateOne(mongo.NewSessionContext(t.Context(), session), bson.D{{Key: "_id", Value: 7}}, bson.D{{Key: "$set", Value: bson.D{{Key: "v", Value: 5}}}})
	s.must(err)
	fates, err := s.begin().Delete(t.Context(), 0, doomed(docs...))
	s.must(err)
	s.must(session.CommitTransaction(t.Context()))
	want := slices.Repeat([]cold.Outcome{cold.Deleted}, 20)
	want[7] = cold.Changed
	s.settled(fates, want...)
	if s.live() != 1 {
		t.Error(s.live(), "live")
	}
}

// The condition on the age holds even if a manifest says that a document was
// archived which is young: nothing at all is deleted.
func TestA3TheAgeIsAlwaysInTheFilter(t *testing.T) {
	s := sharedScene(t, 2)
	docs := s.orders(1)
	young := raw(t, bson.D{{Key: "_id", Value: int32(1)}, {Key: "at", Value: bson.NewDateTimeFromTime(cutoff())}})
	s.insert(young)
	if _, err := s.begin().Delete(t.Context(), 0, doomed(docs[0], young)); err == nil {
		t.Fatal("a young document was deleted")
	}
	if s.live() != 2 || s.pack().Next != 0 {
		t.Fatal(s.live(), "live, next", s.pack().Next)
	}
}

func TestA3TheAgeIsInTheFilterOfKeysToo(t *testing.T) {
	s := sharedScene(t, 2)
	s.guard.Selection.Field, s.guard.Selection.Kind = "_id", cold.AgeObjectID
	past := aged(t, bson.NewObjectIDFromTimestamp(cutoff().Add(-time.Hour)), nil)
	young := aged(t, bson.NewObjectIDFromTimestamp(cutoff().Add(time.Hour)), nil)
	s.insert(past, young)
	d := s.begin()
	if _, err := d.Delete(t.Context(), 0, doomed(past, young)); err == nil || s.live() != 2 {
		t.Fatal(err, s.live())
	}
	fates, err := d.Delete(t.Context(), 0, doomed(past))
	s.must(err)
	s.settled(fates, cold.Deleted)
}

func TestA2FrozenOwnerDeletesNothing(t *testing.T) {
	f := func(name string, take func(s *scene)) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			s := sharedScene(t, 10)
			docs := s.orders(10)
			d := s.begin()
			_, err := d.Delete(t.Context(), 0, doomed(docs...)[:4])
			s.must(err)
			take(s) // while we are frozen
			_, err = d.Delete(t.Context(), 4, doomed(docs...)[4:])
			if !errors.Is(err, lease.ErrLost) || flow.ClassOf(err) != flow.Conflict {
				t.Fatal(err)
			}
			if p := s.pack(); s.live() != 6 || p.Next != 4 {
				t.Fatal(s.live(), "live, next", p.Next)
			}
		})
	}
	f("another owner", func(s *scene) {
		s.must(s.db.Leases().Save(s.t.Context(), lease.Row{Name: "archive/rule", Owner: "me", Fence: 3, Beat: s.beat()},
			lease.Row{Name: "archive/rule", Owner: "you", Fence: 4, TTL: time.Minute}))
	})
	f("we ourselves under the next number", func(s *scene) {
		s.must(s.db.Leases().Save(s.t.Context(), lease.Row{Name: "archive/rule", Owner: "me", Fence: 3, Beat: s.beat()},
			lease.Row{Name: "archive/rule", Owner: "me", Fence: 4, TTL: time.Minute}))
	})
	f("the pack under a higher number", func(s *scene) {
		p := s.pack()
		p.Fence = 4
		s.must(s.db.PutPack(s.t.Context(), p, cold.PackDeleting))
	})
}

func TestA2EachTransactionMovesTheLease(t *testing.T) {
	s := sharedScene(t, 3)
	docs := s.orders(3)
	d := s.begin()
	for i := range docs {
		_, err := d.Delete(t.Context(), i, doomed(docs...)[i:i+1])
		s.must(err)
		if got := s.beat(); got != 11+int64(i) {
			t.Fatal("beat is", got)
		}
	}
}

// Only what is committed is deleted, and only from the entry where the pack is.
func TestA2ThePackSaysWhatMayBeDeleted(t *testing.T) {
	s := sharedScene(t, 4)
	docs := s.orders(4)
	d := s.begin()
	refused := func(next int) {
		t.Helper()
		if _, err := d.Delete(t.Context(), next, doomed(docs...)); flow.ClassOf(err) != flow.Conflict || s.live() != 4 {
			t.Fatalf("%d live, %v", s.live(), err)
		}
	}
	refused(2)
	rows := s.db.coll(packsColl)
	for _, state := range []cold.PackState{cold.PackVerified, cold.PackDeleted, cold.PackAbandoned} {
		_, err := rows.UpdateOne(t.Context(), bson.D{}, bson.D{{Key: "$set", Value: bson.D{{Key: "state", Value: state}}}})
		s.must(err)
		refused(0)
	}
	_, err := rows.DeleteMany(t.Context(), bson.D{})
	s.must(err)
	refused(0)
}

// Large documents are taken in as many transactions as needed.
func TestA3LargeDocumentsAreDeletedInParts(t *testing.T) {
	const n = 12
	s := sharedScene(t, n)
	docs := make([]bson.Raw, n)
	for i := range docs {
		docs[i] = aged(t, int32(i), bson.D{{Key: "b", Value: make([]byte, 15<<20)}})
		s.insert(docs[i])
	}
	fates, err := s.begin().Delete(t.Context(), 0, doomed(docs...))
	s.must(err)
	s.settled(fates, slices.Repeat([]cold.Outcome{cold.Deleted}, n)...)
	if s.beat() < 13 {
		t.Error("they went in", s.beat()-10, "transactions")
	}
}

// All kinds of keys, and keys that MongoDB takes for equal under a collation.
func TestA3AllKindsOfKeys(t *testing.T) {
	s := sharedScene(t, 0)
	ids := []any{
		int32(1), int64(1 << 40), 2.5, decimal("3.25"), "a", "", "A",
		bson.D{},
		bson.D{{Key: "a", Value: 1}, {Key: "b", Value: bson.A{1, "x"}}},
		bson.Binary{Subtype: 0, Data: []byte{}},
		bson.Binary{Subtype: 4, Data: make([]byte, 16)},
		bson.NewObjectID(), true, false, old(),
		bson.Timestamp{T: 5},
		bson.Timestamp{},
		nil,
		bson.MinKey{},
		bson.MaxKey{},
		bson.JavaScript("x"), bson.Symbol("s"), math.NaN(),
	}
	var docs []bson.Raw
	for _, id := range ids {
		docs = append(docs, aged(t, id, nil))
	}
	s.insert(docs...)
	fates, err := s.begin().Delete(t.Context(), 0, doomed(docs...))
	s.must(err)
	s.settled(fates, slices.Repeat([]cold.Outcome{cold.Deleted}, len(docs))...)
	if s.live() != 0 {
		t.Error(s.live(), "live")
	}
}

func TestA3UnderACollation(t *testing.T) {
	s := sharedScene(t, 3)
	s.must(s.coll.Database().CreateCollection(t.Context(), s.coll.Name(), options.CreateCollection().SetCollation(&options.Collation{Locale: "en", Strength: 2})))
	docs := []bson.Raw{aged(t, "a", nil), aged(t, "bob", nil), aged(t, "c", bson.D{{Key: "v", Value: "x"}})}
	s.insert(docs...)
	_, err := s.coll.DeleteOne(t.Context(), bson.D{{Key: "_id", Value: "bob"}})
	s.must(err)
	s.insert(aged(t, "BOB", nil))
	s.update("c", bson.D{{Key: "$set", Value: bson.D{{Key: "v", Value: "X"}}}})
	fates, err := s.begin().Delete(t.Context(), 0, doomed(docs...))
	s.must(err)
	s.settled(fates, cold.Deleted, cold.Changed, cold.Changed)
}

func TestA3ClusteredCollection(t *testing.T) {
	s := sharedScene(t, 3)
	s.must(s.coll.Database().RunCommand(t.Context(), bson.D{
		{Key: "create", Value: s.coll.Name()},
		{Key: "clusteredIndex", Value: bson.D{{Key: "key", Value: bson.D{{Key: "_id", Value: 1}}}, {Key: "unique", Value: true}}},
	}).Err())
	docs := s.orders(3)
	fates, err := s.begin().Delete(t.Context(), 0, doomed(docs...))
	s.must(err)
	s.settled(fates, cold.Deleted, cold.Deleted, cold.Deleted)
}

// The filter of a sharded collection holds the whole key. (The server here has
// no shards; it takes the filter all the same.)
func TestA3ShardKeyIsInTheFilter(t *testing.T) {
	s := sharedScene(t, 3)
	s.guard.ShardKey = raw(t, bson.D{{Key: "shop.n", Value: 1}})
	var docs []bson.Raw
	for i := range 3 {
		docs = append(docs, aged(t, int32(i), bson.D{{Key: "shop", Value: bson.D{{Key: "n", Value: int32(i)}}}}))
	}
	s.insert(docs...)
	all := doomed(docs...)
	for i := range all {
		all[i].Key = raw(t, bson.D{{Key: "shop.n", Value: int32(i)}, {Key: "_id", Value: int32(i)}})
	}
	d := s.begin()
	bad := slices.Clone(all)
	bad[1].Key = raw(t, bson.D{{Key: "shop.n", Value: int32(8)}, {Key: "_id", Value: int32(1)}})
	if _, err := d.Delete(t.Context(), 0, bad); err == nil || s.live() != 3 {
		t.Fatal(err, s.live())
	}
	s.update(int32(2), bson.D{{Key: "$set", Value: bson.D{{Key: "shop.n", Value: int32(7)}}}})
	fates, err := d.Delete(t.Context(), 0, all)
	s.must(err)
	s.settled(fates, cold.Deleted, cold.Deleted, cold.Changed)
}

func TestA5DeletesCarryTheSessionOfTheLedger(t *testing.T) {
	s := sharedScene(t, 2500)
	docs := s.orders(2500)
	stream, err := s.coll.Watch(t.Context(), mongo.Pipeline{{{Key: "$match", Value: bson.D{{Key: "operationType", Value: "delete"}}}}})
	s.must(err)
	defer func() { _ = stream.Close(context.Background()) }()
	seen := map[string]bool{}
	var ids []bson.Binary
	const parts = 2 // a Deletion each: their sessions differ
	for part := range parts {
		s.guard.Pack.ID = fmt.Sprintf("p%d", part+1)
		if part > 0 {
			s.must(s.db.PutPack(t.Context(), s.guard.Pack, ""))
		}
		d, err := s.db.Begin(t.Context(), s.guard)
		s.must(err)
		rows, err := s.db.Ledger(t.Context(), []bson.Binary{d.id})
		s.must(err)
		if len(rows) != 1 || rows[0].Pack != s.guard.Pack.ID || rows[0].Rule != "rule" || rows[0].NS != s.guard.Selection.NS.String() || rows[0].Object != s.guard.Object {
			t.Fatalf("before the first delete the ledger has %+v", rows)
		}
		_, err = d.Delete(t.Context(), 0, doomed(docs...)[part*1000:part*1000+1000])
		s.must(err)
		s.must(d.Close(t.Context()))
		if seen[string(d.id.Data)] {
			t.Fatal("a session was used twice")
		}
		seen[string(d.id.Data)] = true
		ids = append(ids, d.id)
	}
	_, err = s.coll.DeleteOne(t.Context(), bson.D{{Key: "_id", Value: 2400}}) // a user's
	s.must(err)
	for i := range parts*1000 + 1 {
		if !stream.Next(t.Context()) {
			t.Fatal(stream.Err())
		}
		_, id, ok := stream.Current.Lookup("lsid", "id").BinaryOK()
		if i == parts*1000 {
			if ok && (string(id) == string(ids[0].Data) || string(id) == string(ids[1].Data)) {
				t.Fatal("a user's delete carries our session")
			}
			continue
		}
		if !ok || string(id) != string(ids[i/1000].Data) {
			t.Fatalf("event %d has lsid %x: %v", i, id, stream.Current)
		}
	}
}

// A session that once was in the ledger is never that of another write.
func TestA5TheSessionIsNeverGivenBack(t *testing.T) {
	s := sharedScene(t, 0)
	d, err := s.db.Begin(t.Context(), s.guard)
	s.must(err)
	s.must(d.Close(t.Context()))
	for range 5 {
		next, err := s.db.client.StartSession()
		s.must(err)
		if _, id, _ := next.ID().Lookup("id").BinaryOK(); string(id) == string(d.id.Data) {
			t.Fatal("the driver's pool has it")
		}
		defer next.EndSession(context.Background())
	}
}
