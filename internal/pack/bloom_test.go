package pack

import (
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"

	"sluice/internal/transcode/shapes"
)

func TestBloomLetsOneInAHundredPass(t *testing.T) {
	const n = 20_000
	id := func(i int) bson.RawValue { return value(t, shapes.ID(i)) }
	b := NewBloom(n, func(yield func(bson.RawValue) bool) {
		for i := range n {
			if !yield(id(i)) {
				return
			}
		}
	})
	for i := range n {
		if !b.MayHold(id(i)) {
			t.Fatalf("key %d is not found", i)
		}
	}
	wrong := 0
	for i := range n {
		if b.MayHold(id(n + i)) {
			wrong++
		}
	}
	if rate := float64(wrong) / n; rate > 0.012 {
		t.Errorf("%.2f %% of the keys that are not there pass", 100*rate)
	}
	if got := float64(len(b.Bits)) / n; got > 1.3 {
		t.Errorf("%.2f bytes a key", got)
	}
}

// What was put in is found, by any value that MongoDB holds for equal.
func TestHeaderMayHold(t *testing.T) {
	p := build(t, WriterOptions{}, doc(t, bson.D{{Key: "_id", Value: int32(1)}}), doc(t, bson.D{{Key: "_id", Value: "x"}}))
	for _, v := range []any{1, int64(1), 1.0, decimal(t, "1.0"), "x"} {
		if !p.m.Header.MayHold(value(t, v)) {
			t.Errorf("%#v is not found", v)
		}
	}
	absent := 0
	for i := range 100 {
		if !p.m.Header.MayHold(value(t, i+2)) {
			absent++
		}
	}
	if absent < 90 {
		t.Errorf("%d of 100 keys that are not there are refused", absent)
	}
	if none := build(t, WriterOptions{}); none.m.Header.MayHold(value(t, 1)) {
		t.Error("an empty pack may hold a key")
	}
	if !(Header{Docs: 1}).MayHold(value(t, 1)) {
		t.Error("without a filter, nothing is known")
	}
	rapid.Check(t, func(rt *rapid.T) {
		ids := rapid.SliceOfN(keys(), 1, 20).Draw(rt, "ids")
		b, err := parseBloom(NewBloom(len(ids), slices.Values(ids)).append(nil))
		if err != nil {
			rt.Fatal(err)
		}
		for _, id := range ids {
			if !b.MayHold(id) {
				rt.Fatalf("%v is not found", id)
			}
		}
	})
}
