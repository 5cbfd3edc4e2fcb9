package archivedb

import (
	"bytes"
	"math"
	"math/big"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"

	"sluice/internal/cold"
	"sluice/internal/flow"
)

func kinds() []cold.AgeKind {
	return []cold.AgeKind{cold.AgeDate, cold.AgeSeconds, cold.AgeMillis, cold.AgeMicros, cold.AgeNanos, cold.AgeObjectID}
}

func day(n int) time.Time { return time.Date(2024, 1, n, 0, 0, 0, 0, time.UTC) }

func selection(k cold.AgeKind) cold.Selection {
	return cold.Selection{NS: flow.Namespace{DB: "shop", Coll: "orders"}, Field: "at", Kind: k, Before: day(20)}
}

func asText(t testing.TB, d bson.D) string {
	t.Helper()
	b, err := bson.MarshalExtJSON(d, false, false)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestA6PredicateOfEachKind(t *testing.T) {
	half := time.Unix(1_700_000_000, 500_000_000)
	f := func(k cold.AgeKind, from, before time.Time, want string) {
		t.Helper()
		sel := selection(k)
		sel.From, sel.Before = from, before
		if got := asText(t, predicate(sel, cold.Bounds{})); got != want {
			t.Errorf("%s [%v, %v):\n got %s\nwant %s", k, from, before, got, want)
		}
	}
	f(cold.AgeDate, day(1), day(2), `{"at":{"$gte":{"$date":"2024-01-01T00:00:00Z"},"$lt":{"$date":"2024-01-02T00:00:00Z"}}}`)
	f(cold.AgeDate, time.Time{}, day(2), `{"at":{"$lt":{"$date":"2024-01-02T00:00:00Z"}}}`)
	// Between two milliseconds, the later one divides.
	f(cold.AgeDate, time.Time{}, day(2).Add(1), `{"at":{"$lt":{"$date":"2024-01-02T00:00:00.001Z"}}}`)
	f(cold.AgeSeconds, day(1), day(2), `{"at":{"$gte":1704067200,"$lt":1704153600}}`)
	f(cold.AgeSeconds, time.Time{}, half, `{"at":{"$lt":1.7000000005E+09}}`)
	f(cold.AgeMillis, time.Time{}, half, `{"at":{"$lt":1700000000500}}`)
	f(cold.AgeMicros, time.Time{}, half, `{"at":{"$lt":1700000000500000}}`)
	f(cold.AgeNanos, time.Time{}, half, `{"at":{"$lt":1700000000500000000}}`)
	f(cold.AgeObjectID, day(1), day(2), `{"at":{"$gte":{"$oid":"659200800000000000000000"},"$lt":{"$oid":"659352000000000000000000"}}}`)
	f(cold.AgeObjectID, time.Time{}, half, `{"at":{"$lt":{"$oid":"6553f1010000000000000000"}}}`)
	f(cold.AgeObjectID, time.Unix(1<<33, 0), day(2), `{"at":{"$gt":{"$oid":"ffffffffffffffffffffffff"},"$lt":{"$oid":"659352000000000000000000"}}}`)
	f(cold.AgeObjectID, time.Unix(-5, 0), time.Unix(1<<33, 0), `{"at":{"$gte":{"$oid":"000000000000000000000000"},"$lte":{"$oid":"ffffffffffffffffffffffff"}}}`)
	// Without a cutoff nothing is old.
	f(cold.AgeSeconds, time.Time{}, time.Time{}, `{"at":{"$lt":-62135596800}}`)
}

func TestA6PredicateTakesTheNarrowestBounds(t *testing.T) {
	f := func(from, floor int, b cold.Bounds, wantFrom, wantBefore int) {
		t.Helper()
		sel := selection(cold.AgeDate)
		if from > 0 {
			sel.From = day(from)
		}
		if floor > 0 {
			sel.Floor = day(floor)
		}
		want := bson.D{}
		if wantFrom > 0 {
			want = append(want, bson.E{Key: "$gte", Value: bson.NewDateTimeFromTime(day(wantFrom))})
		}
		want = append(want, bson.E{Key: "$lt", Value: bson.NewDateTimeFromTime(day(wantBefore))})
		if got := asText(t, predicate(sel, b)); got != asText(t, bson.D{{Key: "at", Value: want}}) {
			t.Errorf("from %d floor %d %v: %s", from, floor, b, got)
		}
	}
	f(0, 0, cold.Bounds{}, 0, 20)
	f(3, 0, cold.Bounds{}, 3, 20)
	f(3, 5, cold.Bounds{}, 5, 20)
	f(5, 3, cold.Bounds{}, 5, 20)
	f(5, 3, cold.Bounds{From: day(4), Before: day(9)}, 5, 9)
	f(5, 3, cold.Bounds{From: day(6), Before: day(9)}, 6, 9)
	f(0, 3, cold.Bounds{Before: day(25)}, 3, 20)
}

func TestA6FilterIsAddedToTheAge(t *testing.T) {
	sel := selection(cold.AgeDate)
	f := func(filter bson.D, want string) {
		t.Helper()
		if filter != nil {
			sel.Filter, _ = bson.Marshal(filter)
		}
		if got := asText(t, withFilter(sel, cold.Bounds{})); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f(nil, `{"at":{"$lt":{"$date":"2024-01-20T00:00:00Z"}}}`)
	f(bson.D{}, `{"at":{"$lt":{"$date":"2024-01-20T00:00:00Z"}}}`)
	f(bson.D{{Key: "at", Value: 1}}, `{"$and":[{"at":{"$lt":{"$date":"2024-01-20T00:00:00Z"}}},{"at":1}]}`)
}

// drawTime draws times that matter: near each other, and far away.
func drawTime(t *rapid.T, label string) time.Time {
	switch rapid.IntRange(0, 5).Draw(t, label+" is") {
	case 0:
		return time.Time{}
	case 1:
		return time.Unix(rapid.Int64Range(-1<<36, 1<<36).Draw(t, label), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
	}
	return time.Unix(1_700_000_000+rapid.Int64Range(-3, 3).Draw(t, label), rapid.SampledFrom([]int64{0, 1, 500_000_000, 123_456_789, 999_000_000}).Draw(t, "ns"))
}

// drawValue draws a value near the times of drawTime, or far away, or strange.
func drawValue(t *rapid.T, k cold.AgeKind) any {
	s := 1_700_000_000 + float64(rapid.Int64Range(-4, 4).Draw(t, "s")) +
		rapid.SampledFrom([]float64{0, 0.5, 0.25, 1e-9, 0.123456789, 0.999}).Draw(t, "part")
	n := s * (1e9 / float64(unitOf(k)))
	switch rapid.IntRange(0, 7).Draw(t, "value is") {
	case 0:
		return rapid.Int64().Draw(t, "long")
	case 1:
		return rapid.Float64().Draw(t, "double")
	case 2:
		return rapid.Int32().Draw(t, "int")
	case 3:
		return bson.DateTime(rapid.Int64().Draw(t, "ms"))
	case 4:
		return bson.NewObjectIDFromTimestamp(time.Unix(int64(s), 0))
	case 5:
		return n
	case 6:
		return int64(n)
	}
	return bson.DateTime(s * 1000)
}

// exact is the time of a value in nanoseconds, written without any of the
// code under test; nil if it has the wrong type or is no number.
func exact(v any, k cold.AgeKind) *big.Rat {
	scale := map[cold.AgeKind]int64{
		cold.AgeSeconds: 1e9, cold.AgeMillis: 1e6, cold.AgeMicros: 1e3, cold.AgeNanos: 1,
	}[k]
	mul := func(n *big.Rat, by int64) *big.Rat { return n.Mul(n, new(big.Rat).SetInt64(by)) }
	switch v := v.(type) {
	case bson.DateTime:
		if k == cold.AgeDate {
			return mul(new(big.Rat).SetInt64(int64(v)), 1e6)
		}
	case bson.ObjectID:
		if k == cold.AgeObjectID {
			return mul(new(big.Rat).SetInt64(v.Timestamp().Unix()), 1e9)
		}
	case int32:
		if scale > 0 {
			return mul(new(big.Rat).SetInt64(int64(v)), scale)
		}
	case int64:
		if scale > 0 {
			return mul(new(big.Rat).SetInt64(v), scale)
		}
	case float64:
		if scale > 0 && !math.IsNaN(v) && !math.IsInf(v, 0) {
			return mul(new(big.Rat).SetFloat64(v), scale)
		}
	}
	return nil
}

func nanos(t time.Time) *big.Rat {
	r := new(big.Rat).SetInt64(t.Unix())
	r.Mul(r, new(big.Rat).SetInt64(1e9))
	return r.Add(r, new(big.Rat).SetInt64(int64(t.Nanosecond())))
}

// serverCompares is how MongoDB compares a field with an operand: ok is false
// between types that don't compare.
func serverCompares(v, with any) (c int, ok bool) {
	rat := func(x any) *big.Rat {
		switch x := x.(type) {
		case int32:
			return new(big.Rat).SetInt64(int64(x))
		case int64:
			return new(big.Rat).SetInt64(x)
		case float64:
			if !math.IsNaN(x) && !math.IsInf(x, 0) {
				return new(big.Rat).SetFloat64(x)
			}
		}
		return nil
	}
	if a, b := rat(v), rat(with); a != nil && b != nil {
		return a.Cmp(b), true
	}
	switch v := v.(type) {
	case bson.DateTime:
		w, ok := with.(bson.DateTime)
		return new(big.Int).SetInt64(int64(v)).Cmp(big.NewInt(int64(w))), ok
	case bson.ObjectID:
		w, ok := with.(bson.ObjectID)
		return bytes.Compare(v[:], w[:]), ok
	}
	return 0, false
}

func serverMatches(v any, pred bson.D) bool {
	for _, op := range pred[0].Value.(bson.D) {
		c, ok := serverCompares(v, op.Value)
		if !ok {
			return false
		}
		if !map[string]bool{"$gte": c >= 0, "$gt": c > 0, "$lt": c < 0, "$lte": c <= 0}[op.Key] {
			return false
		}
	}
	return true
}

func TestA6PredicateMeansTheInterval(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.SampledFrom(kinds()).Draw(t, "kind")
		sel := cold.Selection{Field: "at", Kind: k, Before: drawTime(t, "before"), From: drawTime(t, "from"), Floor: drawTime(t, "floor")}
		b := cold.Bounds{From: drawTime(t, "part from"), Before: drawTime(t, "part before")}
		v := drawValue(t, k)
		age := exact(v, k)
		want := age != nil && age.Cmp(nanos(sel.Before)) < 0
		for _, low := range []time.Time{sel.From, sel.Floor, b.From} {
			want = want && (low.IsZero() || age.Cmp(nanos(low)) >= 0)
		}
		want = want && (b.Before.IsZero() || age.Cmp(nanos(b.Before)) < 0)
		if got := serverMatches(v, predicate(sel, b)); got != want {
			t.Fatalf("%v (%T): the server says %v, want %v: %v", v, v, got, want, predicate(sel, b))
		}
		doc, err := bson.Marshal(bson.D{{Key: "at", Value: v}})
		if err != nil {
			t.Fatal(err)
		}
		if f, ok := v.(float64); ok && math.Abs(f) > 1e17 {
			return // no time.Time holds it
		}
		if n, ok := v.(int64); ok && (n > 1<<60 || n < -1<<60) {
			return
		}
		if _, got := belongs(doc, sel, b); got != want {
			t.Fatalf("%v (%T): belongs says %v, want %v", v, v, got, want)
		}
	})
}

func TestA6AgeIsOneSingleValue(t *testing.T) {
	f := func(doc bson.D, field string, k cold.AgeKind, want time.Time, wantOK bool) {
		t.Helper()
		raw, err := bson.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := ageOf(raw, field, k)
		if ok != wantOK || ok && !got.Equal(want) {
			t.Errorf("%v %s: got %v %v, want %v %v", doc, field, got, ok, want, wantOK)
		}
	}
	at := time.Unix(1_700_000_000, 0)
	f(bson.D{{Key: "a", Value: bson.D{{Key: "b", Value: at}}}}, "a.b", cold.AgeDate, at, true)
	f(bson.D{{Key: "a", Value: bson.A{bson.D{{Key: "b", Value: at}}}}}, "a.b", cold.AgeDate, at, false)
	f(bson.D{{Key: "a", Value: bson.A{at}}}, "a", cold.AgeDate, at, false)
	f(bson.D{{Key: "a", Value: bson.A{at}}}, "a.0", cold.AgeDate, at, false)
	f(bson.D{{Key: "a.b", Value: at}}, "a.b", cold.AgeDate, at, false)
	f(bson.D{{Key: "a", Value: at}}, "b", cold.AgeDate, at, false)
	f(bson.D{{Key: "a", Value: nil}}, "a", cold.AgeDate, at, false)
	f(bson.D{{Key: "a", Value: "2020-01-01"}}, "a", cold.AgeDate, at, false)
	f(bson.D{{Key: "a", Value: int64(1_700_000_000)}}, "a", cold.AgeDate, at, false)
	f(bson.D{{Key: "a", Value: int64(1_700_000_000)}}, "a", cold.AgeSeconds, at, true)
	f(bson.D{{Key: "a", Value: int32(1_700_000_000)}}, "a", cold.AgeSeconds, at, true)
	f(bson.D{{Key: "a", Value: 1_700_000_000.0}}, "a", cold.AgeSeconds, at, true)
	f(bson.D{{Key: "a", Value: -0.5}}, "a", cold.AgeSeconds, time.Unix(-1, 500_000_000), true)
	f(bson.D{{Key: "a", Value: int64(-1)}}, "a", cold.AgeMillis, time.Unix(-1, 999_000_000), true)
	f(bson.D{{Key: "a", Value: math.NaN()}}, "a", cold.AgeSeconds, at, false)
	f(bson.D{{Key: "a", Value: math.Inf(-1)}}, "a", cold.AgeSeconds, at, false)
	f(bson.D{{Key: "a", Value: int64(math.MinInt64)}}, "a", cold.AgeSeconds, at, false)
	f(bson.D{{Key: "a", Value: -1e300}}, "a", cold.AgeSeconds, at, false)
	f(bson.D{{Key: "a", Value: bson.NewDecimal128(0, 5)}}, "a", cold.AgeSeconds, at, false)
	f(bson.D{{Key: "_id", Value: bson.NewObjectIDFromTimestamp(at)}}, "_id", cold.AgeObjectID, at, true)
	f(bson.D{{Key: "_id", Value: bson.NewObjectIDFromTimestamp(time.Unix(1<<31, 0))}}, "_id", cold.AgeObjectID, time.Unix(1<<31, 0), true)
}
