//go:build integration

package archivedb

import (
	"math"
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/lease"
	"sluice/internal/testkit"
)

func plainScene(t testing.TB, docs int) *scene {
	t.Helper()
	s := sharedScene(t, docs)
	s.guard.Transactions = false
	return s
}

// blind are the changes that the server's comparison can't see, of those that a
// transaction sees.
func blind(name string) bool {
	return slices.Contains([]string{
		"long to double", "1 to 1.0 as decimal", "0 to -0", "a NaN to another", "a string to a symbol",
	}, name)
}

func TestA3WithoutTransactionsWhatChangedStays(t *testing.T) {
	all := slices.DeleteFunc(changes(), func(c change) bool { return blind(c.name) })
	s := plainScene(t, len(all))
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

// Each of these is deleted though it is not what was archived, as the
// documentation says.
func TestA3WithoutTransactionsIsBlindTo(t *testing.T) {
	f := func(name string, archived, now bson.Raw) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			s := plainScene(t, 1)
			s.insert(now)
			fates, err := s.begin().Delete(t.Context(), 0, doomed(archived))
			s.must(err)
			s.settled(fates, cold.Deleted)
			if s.live() != 0 {
				t.Error("it is not blind to that any more: say so in the documentation")
			}
		})
	}
	doc := func(v any) bson.Raw { return aged(t, int32(1), bson.D{{Key: "v", Value: v}}) }
	f("long and double", doc(int64(1)), doc(float64(1)))
	f("long and double as _id", aged(t, int64(1), nil), aged(t, float64(1), nil))
	f("digits of a decimal", doc(decimal("1")), doc(decimal("1.0")))
	f("the sign of zero", doc(float64(0)), doc(math.Copysign(0, -1)))
	f("the payload of a NaN", doc(math.NaN()), doc(math.Float64frombits(0x7ff8000000000999)))
	f("string and symbol", doc("a"), doc(bson.Symbol("a")))
	f("the second value of a name",
		aged(t, int32(1), bson.D{{Key: "v", Value: int32(1)}, {Key: "v", Value: int32(2)}}),
		aged(t, int32(1), bson.D{{Key: "v", Value: int32(1)}, {Key: "v", Value: int32(3)}}))
	array := func(name string) bson.Raw {
		inner := raw(t, bson.D{{Key: name, Value: int32(1)}})
		return doc(bson.RawValue{Type: bson.TypeArray, Value: inner})
	}
	f("names of the elements of an array", array("0"), array("7"))
}

func TestA3WithoutTransactionsACollationIsRefused(t *testing.T) {
	s := plainScene(t, 1)
	s.must(s.coll.Database().CreateCollection(t.Context(), s.coll.Name(), options.CreateCollection().SetCollation(&options.Collation{Locale: "en", Strength: 2})))
	if _, err := s.db.Begin(t.Context(), s.guard); flow.ClassOf(err) != flow.Config {
		t.Fatal(err)
	}
}

// A manifest and documents that do not belong together delete nothing.
func TestA3WithoutTransactionsTheDocumentsAreChecked(t *testing.T) {
	s := plainScene(t, 2)
	all := doomed(s.orders(2)...)
	all[1].Hash[0]++
	if _, err := s.begin().Delete(t.Context(), 0, all); err == nil || s.live() != 2 {
		t.Fatal(err, s.live())
	}
}

func TestA5WithoutTransactionsTheLedgerHasKeysAndTimes(t *testing.T) {
	const n = 600
	s := plainScene(t, n)
	docs := s.orders(n)
	stream, err := s.coll.Watch(t.Context(), bson.A{bson.D{{Key: "$match", Value: bson.D{{Key: "operationType", Value: "delete"}}}}})
	s.must(err)
	defer func() { _ = stream.Close(t.Context()) }()
	userDeletes := func() {
		t.Helper()
		_, err := s.coll.DeleteOne(t.Context(), bson.D{{Key: "_id", Value: 5}})
		s.must(err)
	}
	userDeletes() // before ours
	s.insert(docs[5])
	fates, err := s.begin().Delete(t.Context(), 0, doomed(docs...))
	s.must(err)
	s.settled(fates, slices.Repeat([]cold.Outcome{cold.Deleted}, n)...)
	s.insert(docs[5])
	userDeletes() // after ours
	for i := range n + 2 {
		if !stream.Next(t.Context()) {
			t.Fatal(stream.Err())
		}
		sec, inc := stream.Current.Lookup("clusterTime").Timestamp()
		id := stream.Current.Lookup("documentKey", "_id")
		rows, err := s.db.LedgerKeys(t.Context(), s.guard.Selection.NS.String(), []bson.RawValue{id}, bson.Timestamp{T: sec, I: inc})
		s.must(err)
		if ours := len(rows) == 1 && rows[0].Pack == "p1"; ours != (i > 0 && i <= n) {
			t.Fatalf("delete %d of %v at %d.%d: %+v", i, id, sec, inc, rows)
		}
	}
}

func TestA2WithoutTransactionsTheLeaseIsNeeded(t *testing.T) {
	s := plainScene(t, 2)
	docs := s.orders(2)
	d := s.begin()
	s.must(s.db.Leases().Save(t.Context(), lease.Row{Name: "archive/rule", Owner: "me", Fence: 3, Beat: s.beat()}, lease.Row{Name: "archive/rule", Owner: "you", Fence: 4}))
	if _, err := d.Delete(t.Context(), 0, doomed(docs...)); flow.ClassOf(err) != flow.Conflict || s.live() != 2 {
		t.Fatal(err, s.live())
	}
}

// A batch that was cut short after its deletes is settled by the next try: of
// what is gone nobody can say by whom.
func TestA3WithoutTransactionsCutShort(t *testing.T) {
	s := plainScene(t, 4)
	docs := s.orders(4)
	d := s.begin()
	ctx := t.Context()
	there, err := d.there(ctx, doomed(docs...))
	s.must(err)
	row := d.ledgerRow(newID())
	for _, doc := range docs[:3] {
		row.Keys = append(row.Keys, doc.Lookup("_id"))
	}
	s.must(s.db.putLedger(ctx, row))
	_, err = d.deleteEqual(ctx, doomed(docs...)[:2], there)
	s.must(err)
	s.must(s.db.PutExceptions(ctx, s.guard.Pack, []cold.Exception{{Pack: "p1", Entry: 2, Outcome: cold.Changed, ID: docs[2].Lookup("_id")}}))
	_, err = s.coll.DeleteOne(ctx, bson.D{{Key: "_id", Value: 3}}) // a user's, never begun by us
	s.must(err)
	fates, err := s.begin().Delete(ctx, 0, doomed(docs...))
	s.must(err)
	s.settled(fates, cold.Unknown, cold.Unknown, cold.Deleted, cold.Gone)
}

func TestA3WithoutTransactionsOnAStandalone(t *testing.T) {
	m, err := testkit.StartMongo(t.Context(), testkit.MongoOptions{Standalone: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Stop() })
	s := newScene(t, openAt(t, m.URI()), m.URI(), 300)
	s.guard.Transactions = false
	docs := s.orders(300)
	s.update(3, bson.D{{Key: "$set", Value: bson.D{{Key: "v", Value: 7}}}})
	fates, err := s.begin().Delete(t.Context(), 0, doomed(docs...))
	s.must(err)
	want := slices.Repeat([]cold.Outcome{cold.Deleted}, 300)
	want[3] = cold.Changed
	s.settled(fates, want...)
}
