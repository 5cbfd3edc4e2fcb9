package archive

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
)

func TestAgeOf(t *testing.T) {
	day := time.Date(2024, 2, 29, 12, 0, 0, 123e6, time.UTC)
	id := bson.NewObjectIDFromTimestamp(day)
	for _, c := range []struct {
		name  string
		value any
		kind  cold.AgeKind
		want  int64
		ok    bool
	}{
		{"date", day, cold.AgeDate, day.UnixMilli(), true},
		{"object id", id, cold.AgeObjectID, day.Unix() * 1000, true},
		{"seconds int", int32(1700000000), cold.AgeSeconds, 1700000000000, true},
		{"seconds long", int64(-1), cold.AgeSeconds, -1000, true},
		{"seconds double", 1.75, cold.AgeSeconds, 1000, true},
		{"seconds too many", int64(math.MaxInt64), cold.AgeSeconds, 0, false},
		{"ms", day.UnixMilli(), cold.AgeMillis, day.UnixMilli(), true},
		{"us", day.UnixMicro() + 999, cold.AgeMicros, day.UnixMilli(), true},
		{"us before 1970", int64(-1), cold.AgeMicros, -1, true},
		{"ns", day.UnixNano(), cold.AgeNanos, day.UnixMilli(), true},
		{"nan", math.NaN(), cold.AgeMillis, 0, false},
		{"infinite", math.Inf(1), cold.AgeMillis, 0, false},
		{"string", "2024", cold.AgeDate, 0, false},
		{"number for date", int64(5), cold.AgeDate, 0, false},
		{"date for number", day, cold.AgeMillis, 0, false},
		{"null", nil, cold.AgeDate, 0, false},
	} {
		for _, path := range []string{"at", "meta.at"} {
			doc := bson.D{{Key: "_id", Value: 1}, {Key: "at", Value: c.value}}
			if path != "at" {
				doc = bson.D{{Key: "_id", Value: 1}, {Key: "meta", Value: bson.D{{Key: "at", Value: c.value}}}}
			}
			raw, err := bson.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := ageOf(raw, strings.Split(path, "."), c.kind); got != c.want || ok != c.ok {
				t.Errorf("%s by %s: %d, %v, want %d, %v", c.name, path, got, ok, c.want, c.ok)
			}
			if _, ok := ageOf(raw, []string{"none"}, c.kind); ok {
				t.Errorf("%s: a field that is not there has an age", c.name)
			}
		}
	}
}

func TestKeyOf(t *testing.T) {
	raw := func(d bson.D) bson.Raw {
		b, err := bson.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	doc := raw(bson.D{{Key: "_id", Value: 7}, {Key: "a", Value: bson.D{{Key: "b", Value: "x"}}}})
	for _, c := range []struct{ shard, want bson.D }{
		{bson.D{{Key: "a.b", Value: 1}}, bson.D{{Key: "a.b", Value: "x"}, {Key: "_id", Value: 7}}},
		{bson.D{{Key: "_id", Value: "hashed"}}, bson.D{{Key: "_id", Value: 7}}},
		{bson.D{{Key: "none", Value: 1}}, bson.D{{Key: "none", Value: nil}, {Key: "_id", Value: 7}}},
	} {
		got, err := keyOf(doc, raw(c.shard))
		if err != nil || !bytes.Equal(got, raw(c.want)) {
			t.Errorf("shard key %v: %v, %v", c.shard, got, err)
		}
	}
	if key, err := keyOf(doc, nil); key != nil || err != nil {
		t.Errorf("not sharded: %v, %v", key, err)
	}
}

// Ids sort by time, also within the same second.
func TestNewID(t *testing.T) {
	at := time.Date(2024, 2, 29, 12, 0, 0, 5e6, time.UTC)
	a, b, c := newID(at), newID(at.Add(time.Millisecond)), newID(at.Add(time.Hour))
	if !strings.HasPrefix(a, "20240229T120000005-") || a >= b || b >= c || newID(at) == a {
		t.Errorf("%s, %s, %s", a, b, c)
	}
}
