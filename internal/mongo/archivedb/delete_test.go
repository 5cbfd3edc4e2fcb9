package archivedb

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"pgregory.net/rapid"

	"sluice/internal/cold"
	"sluice/internal/flow"
)

func valueOf(t testing.TB, v any) bson.RawValue {
	t.Helper()
	typ, b, err := bson.MarshalValue(v)
	if err != nil {
		t.Fatal(err)
	}
	return bson.RawValue{Type: typ, Value: b}
}

func TestArraysAreThoseOfTheDriver(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		list := rapid.SliceOf(rapid.OneOf(
			rapid.Map(rapid.String(), func(s string) any { return s }),
			rapid.Map(rapid.Int64(), func(n int64) any { return n }),
			rapid.Map(rapid.Bool(), func(b bool) any { return bson.D{{Key: "b", Value: b}} }),
		)).Draw(rt, "list")
		want := valueOf(t, bson.A(list))
		got := rawArray(len(list), func(i int) bson.RawValue { return valueOf(t, list[i]) })
		if !same(want, got) {
			rt.Fatalf("got %x, want %x", got.Value, want.Value)
		}
	})
}

// Keys are found whatever the order and gaps in which the server names them.
func TestPlacesFindEachKey(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		keys := rapid.SliceOfDistinct(rapid.Int32Range(0, 50), func(n int32) int32 { return n }).Draw(rt, "keys")
		asked := rapid.SliceOf(rapid.Int32Range(0, 50)).Draw(rt, "asked")
		p := newPlaces(len(keys), func(i int) bson.RawValue { return valueOf(t, keys[i]) })
		for _, id := range append(slices.Clone(keys[:len(keys)/2]), asked...) {
			i, ok := p.find(valueOf(t, id))
			if want := slices.Index(keys, id); ok != (want >= 0) || ok && i != want {
				rt.Fatalf("%d is %d, %v; want %d", id, i, ok, want)
			}
		}
	})
	twice := newPlaces(3, func(i int) bson.RawValue { return valueOf(t, []string{"a", "b", "a"}[i]) })
	if i, ok := twice.first(valueOf(t, "a")); i != 0 || !ok {
		t.Error(i, ok)
	}
	if _, ok := twice.find(valueOf(t, bson.Symbol("a"))); ok {
		t.Error("a symbol was taken for a string")
	}
}

func TestA3BatchesFitIntoACommand(t *testing.T) {
	f := func(n, size, most, want int) {
		t.Helper()
		doomed := make([]cold.Doomed, n)
		for i := range doomed {
			doomed[i].ID = bson.RawValue{Type: bson.TypeBinary, Value: make([]byte, size)}
		}
		if got := len(fitting(doomed, most)); got != want {
			t.Errorf("%d keys of %d bytes, at most %d: %d, want %d", n, size, most, got, want)
		}
	}
	f(1, 10, 1000, 1)
	f(2500, 10, 1000, 1000)
	f(10, 3<<20, 1000, 2)
	f(10, 12<<20, 1000, 1)
	f(10, 10, 1, 1)
}

func conflictOf(code int32, labels ...string) error {
	return mongo.CommandError{Code: code, Message: "x", Labels: labels}
}

func TestA3TroubleAndWhatItLeadsTo(t *testing.T) {
	over, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	f := func(ctx context.Context, err error, want troubleKind) {
		t.Helper()
		got, ok := troubleOf(ctx, err, contested)
		if ok != (want != 0) || ok && got.kind != want {
			t.Errorf("%v: %+v", err, got)
		}
	}
	f(t.Context(), conflictOf(112, labelTransient), contested)
	f(t.Context(), conflictOf(251, labelTransient), passing)
	f(t.Context(), conflictOf(24, labelTransient), passing)
	f(t.Context(), conflictOf(64, labelUnknown), passing)
	f(t.Context(), conflictOf(50), tooSlow)
	f(over, errors.New("deadline"), tooSlow)
	f(t.Context(), conflictOf(13), 0)
	f(t.Context(), conflictOf(10334), 0)
	f(t.Context(), errors.New("other"), 0)
}

func TestA3BatchesAreHalvedAfterConflicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Deletion{size: 1000, most: 1000, guard: cold.Guard{Selection: cold.Selection{NS: flow.Namespace{DB: "a", Coll: "b"}}}}
		batch := make([]cold.Doomed, 1000)
		var p patience
		again := func(kind troubleKind, fits, want int) {
			t.Helper()
			fates, err := d.afterTrouble(t.Context(), &p, 0, batch[:d.size], &trouble{kind: kind, fits: fits, err: errors.New("x")})
			if fates != nil || err != nil || d.size != want {
				t.Fatalf("%v, %v, size %d, want %d", fates, err, d.size, want)
			}
		}
		again(contested, 0, 1000)
		again(contested, 0, 500)
		again(passing, 0, 500)
		again(contested, 0, 500)
		again(contested, 0, 250)
		again(tooSlow, 0, 125)
		again(tooLarge, 40, 40)
		d.grow()
		if d.size != 40 || d.most != 40 {
			t.Fatal("what was too large is tried again at once:", d.size, d.most)
		}
		for range 16 {
			d.grow()
		}
		if d.size != 80 {
			t.Fatal("it never grows again:", d.size)
		}
		// It ends.
		var err error
		start := time.Now()
		for err == nil {
			_, err = d.afterTrouble(t.Context(), &p, 0, batch[:80], &trouble{kind: passing, err: conflictOf(91)})
		}
		if flow.ClassOf(err) != flow.Transient || time.Since(start) > 2*deletePatience {
			t.Fatal(err, time.Since(start))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err = d.afterTrouble(ctx, &patience{}, 0, batch, &trouble{kind: passing, err: errors.New("x")}); err == nil {
			t.Fatal("it goes on after the end of the context")
		}
	})
}

func TestA3JudgeWithoutTransactions(t *testing.T) {
	d := &Deletion{}
	batch := []cold.Doomed{{Entry: 7, ID: valueOf(t, 1)}, {Entry: 8, ID: valueOf(t, 2)}, {Entry: 9, ID: valueOf(t, 3)}}
	fates, err := d.judge(t.Context(), batch, []bool{true, false, false}, map[string]bool{keyText(valueOf(t, 3)): true}, 1)
	want := []cold.Fate{{Entry: 7, Outcome: cold.Deleted}, {Entry: 8, Outcome: cold.Gone}, {Entry: 9, Outcome: cold.Unknown}}
	if err != nil || !slices.Equal(fates, want) {
		t.Fatal(fates, err)
	}
}

func TestA3PlainBatches(t *testing.T) {
	d := &Deletion{guard: cold.Guard{Selection: cold.Selection{NS: flow.Namespace{DB: "a", Coll: "b"}}}}
	big := make(bson.Raw, 5<<20)
	all := make([]cold.Doomed, 600)
	for i := range all {
		all[i] = cold.Doomed{Doc: bson.Raw{5, 0, 0, 0, 0}}
		all[i].Hash = hashOf(all[i].Doc)
	}
	if got, err := d.plainBatch(all); err != nil || len(got) != plainDocs {
		t.Error(len(got), err)
	}
	for i := range all {
		all[i] = cold.Doomed{Doc: big, Hash: hashOf(big)}
		if i == 4 {
			break
		}
	}
	if got, err := d.plainBatch(all); err != nil || len(got) != 2 {
		t.Error(len(got), err)
	}
	all[0].Hash[3]++
	if _, err := d.plainBatch(all); err == nil {
		t.Error("a document that is not that of the manifest")
	}
}
