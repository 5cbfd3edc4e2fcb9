package transform

import (
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestTimestamp(t *testing.T) {
	id := bson.NewObjectIDFromTimestamp(time.Unix(1_700_000_000, 0))
	doc, err := bson.Marshal(bson.D{
		{Key: "_id", Value: id},
		{Key: "at", Value: time.UnixMilli(1_700_000_000_123)},
		{Key: "text", Value: "2024-01-01"},
		{Key: "sub", Value: bson.D{{Key: "ts", Value: bson.Timestamp{T: 1_700_000_000}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	f := func(path string, want int64, bad string) {
		t.Helper()
		at, err := NewTimestamp(path).Of(bson.Raw(doc).Lookup("_id"), doc)
		if (err == nil) != (bad == "") || err != nil && err.Error() != bad || err == nil && at.UnixMilli() != want {
			t.Errorf("%s: %v %v", path, at, err)
		}
	}
	f("at", 1_700_000_000_123, "")
	f("sub.ts", 1_700_000_000_000, "")
	f("_id", 1_700_000_000_000, "")
	f("none", 0, "the field none is missing")
	f("text", 0, "the field text is no date and no ObjectId, but string")
}
