package scriptmongo

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// BenchmarkStream measures what the server can send, an event per operation.
func BenchmarkStream(b *testing.B) {
	s := New(b, Options{})
	event, err := Insert("a.c", bson.Timestamp{T: 1767225601, I: 1}, bson.D{{Key: "_id", Value: 1}, {Key: "v", Value: make([]byte, 200)}}).Raw(1)
	if err != nil {
		b.Fatal(err)
	}
	batch := make([]bson.Raw, 5000)
	for i := range batch {
		batch[i] = event
	}
	s.Generate(func() (Reply, bool) { return Reply{Raw: batch}, true })
	c, err := mongo.Connect(options.Client().ApplyURI(s.URI()))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = c.Disconnect(b.Context()) }()
	cs, err := c.Watch(b.Context(), mongo.Pipeline{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = cs.Close(b.Context()) }()
	b.SetBytes(int64(len(event)))
	for b.Loop() {
		if !cs.Next(b.Context()) {
			b.Fatal(cs.Err())
		}
	}
}
