//go:build integration

package mongo

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/flow"
	"sluice/internal/testkit"
)

const benchDocs = 400_000

// benchColl fills a collection once.
func benchColl(b *testing.B) (string, *mongo.Collection) {
	uri := testkit.SharedMongo(b).URI()
	c, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Disconnect(context.Background()) })
	coll := c.Database("bench").Collection("docs")
	if n, _ := coll.EstimatedDocumentCount(b.Context()); n == benchDocs {
		return uri, coll
	}
	for at := 0; at < benchDocs; at += 10000 {
		docs := make([]any, 10000)
		for i := range docs {
			docs[i] = bson.D{
				{Key: "_id", Value: bson.NewObjectID()},
				{Key: "n", Value: at + i},
				{Key: "name", Value: "some name or other"},
				{Key: "f", Value: 1.5},
				{Key: "t", Value: bson.NewDateTimeFromTime(time.Now())},
				{Key: "text", Value: "the quick brown fox jumps over the lazy dog, twice"},
			}
		}
		if _, err := coll.InsertMany(b.Context(), docs); err != nil {
			b.Fatal(err)
		}
	}
	return uri, coll
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func report(b *testing.B, start time.Duration) {
	b.ReportMetric(float64(cpu()-start)/float64(b.N)/benchDocs, "cpu-ns/doc")
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/benchDocs, "ns/doc")
}

func BenchmarkRawFind(b *testing.B) {
	_, coll := benchColl(b)
	start := cpu()
	b.ResetTimer()
	for b.Loop() {
		cur, err := coll.Find(b.Context(), bson.D{}, options.Find().SetBatchSize(5000))
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for cur.Next(b.Context()) {
			n += len(cur.Current)
		}
	}
	report(b, start)
}

func BenchmarkSnapshot(b *testing.B) {
	uri, coll := benchColl(b)
	start := cpu()
	b.ResetTimer()
	for b.Loop() {
		o := Options{URI: uri, Namespaces: []string{nsOf(coll).String()}, Once: true}
		s, err := Open(b.Context(), o)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Start(b.Context(), "", nil); err != nil {
			b.Fatal(err)
		}
		var wg sync.WaitGroup
		var n atomic.Int64
		read := func(src flow.Source) {
			for {
				batch, ack, err := src.Read(b.Context())
				if errors.Is(err, io.EOF) {
					return
				}
				if err != nil {
					b.Error(err)
					return
				}
				n.Add(int64(len(batch.Changes)))
				_ = ack(b.Context(), nil)
			}
		}
		wg.Go(func() { read(s.Stream()) })
		for range 2 {
			wg.Go(func() { read(s.Snapshot()) })
		}
		wg.Wait()
		if n.Load() != benchDocs {
			b.Errorf("%d documents", n.Load())
		}
		_ = s.Close(context.Background())
	}
	report(b, start)
}

func BenchmarkStream(b *testing.B) {
	uri, coll := benchColl(b)
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	to := coll.Database().Collection("stream")
	o := Options{URI: uri, Namespaces: []string{nsOf(to).String()}, Snapshot: SnapshotOptions{Disabled: true}}
	s, err := Open(b.Context(), o)
	must(err)
	must(s.Start(b.Context(), "", nil))
	pos := s.Position()
	must(s.Close(b.Context()))
	_, err = coll.Aggregate(b.Context(), bson.A{bson.D{{Key: "$merge", Value: bson.D{{Key: "into", Value: "stream"}}}}})
	must(err)
	start := cpu()
	b.ResetTimer()
	for b.Loop() {
		s, err := Open(b.Context(), o)
		must(err)
		must(s.Start(b.Context(), pos, nil))
		for n := 0; n < benchDocs; {
			batch, ack, err := s.Stream().Read(b.Context())
			must(err)
			n += len(batch.Changes)
			must(ack(b.Context(), nil))
		}
		must(s.Close(b.Context()))
	}
	report(b, start)
}

func BenchmarkRawStream(b *testing.B) {
	_, coll := benchColl(b)
	to := coll.Database().Collection("stream")
	cs, err := to.Watch(b.Context(), mongo.Pipeline{})
	if err != nil {
		b.Fatal(err)
	}
	token := cs.ResumeToken()
	_ = cs.Close(b.Context())
	if _, err := to.UpdateMany(b.Context(), bson.D{}, bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: 1}}}}); err != nil {
		b.Fatal(err)
	}
	start := cpu()
	b.ResetTimer()
	for b.Loop() {
		cs, err := to.Watch(b.Context(), mongo.Pipeline{}, options.ChangeStream().SetResumeAfter(token))
		if err != nil {
			b.Fatal(err)
		}
		for n := 0; n < benchDocs && cs.Next(b.Context()); n++ {
			_ = cs.Current
		}
		_ = cs.Close(b.Context())
	}
	report(b, start)
}
