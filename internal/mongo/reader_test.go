package mongo

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// A page starts at the last _id of the one before, inclusive: that document is
// left out, but only that one, for it may be deleted meanwhile; and it may have
// another type of number.
func TestS4PageGoesOnAfterTheLastID(t *testing.T) {
	ns := flow.Namespace{DB: "a", Coll: "c"}
	at := bson.Timestamp{T: flow.VersionEpoch + 5, I: 7}
	f := func(last any, docs []any, want ...int32) {
		t.Helper()
		batch := bson.A{}
		for _, id := range docs {
			batch = append(batch, bson.D{{Key: "_id", Value: id}, {Key: "x", Value: "y"}})
		}
		raw := rawOf(t, bson.D{
			{Key: "cursor", Value: bson.D{{Key: "firstBatch", Value: batch}, {Key: "id", Value: int64(0)}}},
			{Key: "operationTime", Value: at},
		})
		r, err := parseReply(raw)
		if err != nil || r.time != at || r.cursor != 0 {
			t.Fatal(r, err)
		}
		var from *bson.RawValue
		if last != nil {
			v := keyOf(t, last)
			from = &v
		}
		b, n, err := documents(&r, ns, at, from)
		if err != nil || n != len(docs) || len(b.Changes) != len(want) {
			t.Fatalf("after %v of %v: %d of %d, %v", last, docs, len(b.Changes), n, err)
		}
		for i, c := range b.Changes {
			if c.ID.AsInt64() != int64(want[i]) || c.Op != flow.OpWrite || c.NS != ns || c.Version != 5<<32|6 || c.Time != at {
				t.Errorf("after %v of %v: change %d is %+v", last, docs, i, c)
			}
		}
		if b.Low != at || !b.Snapshot || b.Bytes != len(raw) {
			t.Errorf("%+v", b)
		}
	}
	f(nil, []any{int32(1), int32(2)}, 1, 2)
	f(int32(1), []any{int32(1), int32(2), int32(3)}, 2, 3)
	f(int32(1), []any{1.0, int32(2)}, 2)
	f(int32(1), []any{int32(2), int32(3)}, 2, 3) // 1 was deleted
	f(int32(1), []any{int32(1)})
	f(int32(1), []any{})
}
