package search

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// BenchmarkWrite is what a document costs from BSON to the answer, without a
// network and an engine.
func BenchmarkWrite(b *testing.B) {
	o := testOptions(b, "http://engine.test", Route{})
	d := NewDiscard()
	o.Transport = d
	sink := openTest(b, o).Sink()
	const n = 5000
	changes := make([]flow.Change, n)
	bytes := 0
	for i := range changes {
		changes[i] = write(b, bson.NewObjectID(), int64(i), bson.E{Key: "name", Value: "Ada Lovelace"}, bson.E{Key: "age", Value: 36},
			bson.E{Key: "email", Value: "ada@example.org"}, bson.E{Key: "score", Value: 12.5}, bson.E{Key: "active", Value: true},
			bson.E{Key: "tags", Value: bson.A{"a", "b", "c"}}, bson.E{Key: "address", Value: bson.D{{Key: "city", Value: "London"}, {Key: "zip", Value: "W1"}}})
		bytes += len(changes[i].Doc)
	}
	b.ReportAllocs()
	b.SetBytes(int64(bytes / n))
	b.ResetTimer()
	for done := 0; done < b.N; done += n {
		if _, err := sink.Write(b.Context(), flow.Batch{Changes: changes}); err != nil {
			b.Fatal(err)
		}
	}
}
