//go:build integration

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// TestS2DataStreamRollsOverBetweenKillAndStart: documents are copied, inserted and
// updated while sluice is killed again and again, and the data stream rolls over while
// it is dead and while it runs. Afterwards each document is there exactly once; those
// that are deleted or changed then stay as they are.
func TestS2DataStreamRollsOverBetweenKillAndStart(t *testing.T) {
	b := newBed(t)
	coll := b.db.Collection("events")
	docs := make([]any, 3000)
	for i := range docs {
		docs[i] = event(i)
	}
	if _, err := coll.InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	file := b.streamFile(t)
	stop := startEvents(t, coll, len(docs))
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	for range rounds(4, 40) {
		p := start(t, "run", "-c", file)
		p.eventually(t, time.Minute, func() error { _, err := p.status(t.Context()); return err })
		pause(t.Context(), time.Duration(r.IntN(1500))*time.Millisecond)
		b.rollover(t)
		pause(t.Context(), time.Duration(r.IntN(1500))*time.Millisecond)
		p.kill()
		b.rollover(t)
	}
	p := start(t, "run", "-c", file)
	p.eventually(t, 2*time.Minute, func() error { return p.copied(t.Context()) })
	b.rollover(t)
	n := stop()
	p.eventually(t, 2*time.Minute, func() error { return b.onceEach(t.Context(), n) })
	if _, err := coll.DeleteMany(t.Context(), bson.D{{Key: "_id", Value: bson.D{{Key: "$lt", Value: 1000}}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := coll.UpdateMany(t.Context(), bson.D{}, bson.D{{Key: "$set", Value: bson.D{{Key: "kind", Value: "changed"}}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := coll.InsertOne(t.Context(), event(n)); err != nil {
		t.Fatal(err)
	}
	p.eventually(t, time.Minute, func() error { return b.onceEach(t.Context(), n+1) })
	if code := p.stop(t); code != 0 {
		t.Fatalf("exit code %d after SIGTERM", code)
	}
	if code := start(t, "run", "-c", file, "--once", "--resync", "all").wait(t, time.Minute); code != 0 {
		t.Fatalf("exit code %d of the copy", code)
	}
	if err := b.onceEach(t.Context(), n+1); err != nil {
		t.Error(err)
	}
}

func event(i int) bson.D {
	return bson.D{{Key: "_id", Value: i}, {Key: "kind", Value: "seen"}, {Key: "at", Value: time.UnixMilli(1_700_000_000_000 + int64(i))}}
}

// startEvents inserts and updates until the result is called, which tells how many
// documents there are.
func startEvents(t *testing.T, coll *mongo.Collection, n int) func() int {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ; ctx.Err() == nil; n++ {
			if _, err := coll.InsertOne(context.Background(), event(n)); err != nil {
				t.Error(err)
				return
			}
			if _, err := coll.UpdateByID(context.Background(), n-n%7, bson.D{{Key: "$inc", Value: bson.D{{Key: "touched", Value: 1}}}}); err != nil {
				t.Error(err)
				return
			}
			pause(ctx, time.Millisecond)
		}
	})
	stop := func() int { cancel(); wg.Wait(); return n }
	t.Cleanup(func() { stop() })
	return stop
}

func (b bed) streamFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	text := fmt.Sprintf(`
mongodb: {uri: %q}
search: {urls: [%q]}
state: {path: %q}
flows:
  - name: events
    namespaces: [%s.events]
    snapshot: {rate: 1000}
    data_stream: {name: %[5]q, timestamp: at}
`, b.uri, b.search, b.state, b.db.Name(), b.index("events"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background()
		_ = call(ctx, http.MethodDelete, b.search+"/_data_stream/"+b.index("events"), "", nil)
		_ = call(ctx, http.MethodDelete, b.search+"/_index_template/sluice-events-"+b.index("events"), "", nil)
	})
	return file
}

// rollover lets another index take the writes, if the data stream is there.
func (b bed) rollover(t *testing.T) {
	t.Helper()
	_ = call(t.Context(), http.MethodPost, b.search+"/"+b.index("events")+"/_rollover", "", nil)
}

// onceEach wants n documents, each once and as it came.
func (b bed) onceEach(ctx context.Context, n int) error {
	if err := call(ctx, http.MethodPost, b.search+"/"+b.index("events")+"/_refresh", "", nil); err != nil {
		return err
	}
	var page struct {
		Hits struct {
			Total struct {
				Value int `json:"value"`
			} `json:"total"`
		} `json:"hits"`
		Aggs struct {
			Twice struct {
				Buckets []struct {
					Key   any `json:"key"`
					Count int `json:"doc_count"`
				} `json:"buckets"`
			} `json:"twice"`
			Changed struct {
				Count int `json:"doc_count"`
			} `json:"changed"`
		} `json:"aggregations"`
	}
	// The time tells the documents apart.
	err := call(ctx, http.MethodPost, b.search+"/"+b.index("events")+"/_search",
		`{"size":0,"track_total_hits":true,"aggs":{"twice":{"terms":{"field":"@timestamp","min_doc_count":2,"size":5,"order":{"_count":"desc"}}},`+
			`"changed":{"filter":{"term":{"kind.keyword":"changed"}}}}}`, &page)
	if err != nil {
		return err
	}
	if a := page.Aggs; page.Hits.Total.Value != n || len(a.Twice.Buckets) > 0 || a.Changed.Count > 0 {
		return fmt.Errorf("%d documents for %d, %d changed, twice: %v", page.Hits.Total.Value, n, a.Changed.Count, a.Twice.Buckets)
	}
	return nil
}
