//go:build integration

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const joinOrders, joinLines = 100, 1500

// TestS14JoinUnderKills: orders and their lines lie in one index, by a join field.
// Lines move from order to order, come and go, in the copy and in the stream, under
// kills. Afterwards each line is there once, on the shard of its order, and is found by
// it; a line without an order is a dead letter until it has one.
func TestS14JoinUnderKills(t *testing.T) {
	b := newBed(t)
	orders, lines := b.db.Collection("orders"), b.db.Collection("lines")
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	var docs []any
	for i := range joinOrders {
		docs = append(docs, bson.D{{Key: "_id", Value: i}, {Key: "n", Value: i}})
	}
	if _, err := orders.InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	docs = nil
	for i := range joinLines {
		docs = append(docs, line(r, i))
	}
	if _, err := lines.InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	file := b.joinFile(t)
	stop := startLines(t, lines)
	for range rounds(3, 40) {
		p := start(t, "run", "-c", file)
		pause(t.Context(), 1500*time.Millisecond+time.Duration(r.IntN(1500))*time.Millisecond)
		p.kill()
	}
	p := start(t, "run", "-c", file)
	p.eventually(t, 2*time.Minute, func() error { return p.copied(t.Context()) })
	stop()
	p.eventually(t, time.Minute, func() error { return b.joined(t.Context()) })

	lone := bson.D{{Key: "_id", Value: 5}}
	if _, err := lines.UpdateOne(t.Context(), lone, bson.D{{Key: "$unset", Value: bson.D{{Key: "order", Value: 1}}}}, options.UpdateOne().SetUpsert(true)); err != nil {
		t.Fatal(err)
	}
	if _, err := orders.DeleteMany(t.Context(), bson.D{{Key: "_id", Value: bson.D{{Key: "$lt", Value: 10}}}}); err != nil {
		t.Fatal(err)
	}
	p.eventually(t, time.Minute, func() error { return b.joined(t.Context()) })
	if _, err := lines.UpdateOne(t.Context(), lone, bson.D{{Key: "$set", Value: bson.D{{Key: "order", Value: 50}}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := orders.InsertOne(t.Context(), bson.D{{Key: "_id", Value: 3.0}, {Key: "n", Value: 3}}); err != nil {
		t.Fatal(err)
	}
	p.eventually(t, time.Minute, func() error { return b.joined(t.Context()) })
	if err := lines.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.eventually(t, time.Minute, func() error { return b.joined(t.Context()) })
	if code := p.stop(t); code != 0 {
		t.Fatalf("exit code %d after SIGTERM", code)
	}
}

func line(r *rand.Rand, i int) bson.D {
	return bson.D{{Key: "_id", Value: i}, {Key: "order", Value: r.IntN(joinOrders)}, {Key: "sku", Value: fmt.Sprint("s", i)}}
}

// startLines changes lines until the result is called.
func startLines(t *testing.T, lines *mongo.Collection) func() {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
		for ctx.Err() == nil {
			id := r.IntN(joinLines)
			key := bson.D{{Key: "_id", Value: id}}
			var err error
			switch r.IntN(8) {
			case 0:
				_, err = lines.DeleteOne(context.Background(), key)
			case 1:
				_, err = lines.ReplaceOne(context.Background(), key, line(r, id), options.Replace().SetUpsert(true))
			default:
				_, err = lines.UpdateOne(context.Background(), key, bson.D{{Key: "$set", Value: bson.D{{Key: "order", Value: r.IntN(joinOrders)}}}})
			}
			if err != nil {
				t.Error(err)
				return
			}
			pause(ctx, time.Millisecond)
		}
	})
	stop := func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return stop
}

func (b bed) joinFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	text := fmt.Sprintf(`
mongodb: {uri: %q}
search: {urls: [%q]}
state: {path: %q}
flows:
  - name: join
    namespaces: [%[4]s.orders, %[4]s.lines]
    index: %[4]s
    settings: {number_of_shards: 3}
    snapshot: {rate: 500}
    join:
      field: relation
      parents: {%[4]s.orders: order}
      children: [{namespace: %[4]s.lines, name: line, parent: order}]
`, b.uri, b.search, b.state, b.db.Name())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// joined compares: every order with the lines that are found by it, and every line with
// the order that is found by it.
func (b bed) joined(ctx context.Context) error {
	want := map[string]bool{}
	orders := map[int]bool{}
	var docs []struct {
		ID    int  `bson:"_id"`
		Order *int `bson:"order"`
	}
	for _, coll := range []string{"orders", "lines"} {
		cur, err := b.db.Collection(coll).Find(ctx, bson.D{})
		if err != nil {
			return err
		}
		docs = docs[:0]
		if err := cur.All(ctx, &docs); err != nil {
			return err
		}
		for _, d := range docs {
			id := fmt.Sprintf("%s.%s:%d", b.db.Name(), coll, d.ID)
			switch {
			case coll == "orders":
				orders[d.ID] = true
				want[id+" in "+id] = true
			case d.Order != nil:
				parent := fmt.Sprintf("%s.orders:%d", b.db.Name(), *d.Order)
				want[id+" in "+parent] = true
				if orders[*d.Order] {
					want[id+" found by "+parent] = true
				}
			}
		}
	}
	have, err := b.joinHits(ctx)
	if err != nil {
		return err
	}
	var diffs []string
	for _, h := range have {
		if !want[h] {
			diffs = append(diffs, "too much: "+h)
		}
		delete(want, h)
	}
	for w := range want {
		diffs = append(diffs, "missing: "+w)
	}
	if len(diffs) > 0 {
		slices.Sort(diffs)
		return fmt.Errorf("%d differences: %v", len(diffs), diffs[:min(len(diffs), 6)])
	}
	return nil
}

// joinHits lists where each document lies, and which line is found by which order.
func (b bed) joinHits(ctx context.Context) ([]string, error) {
	url := b.search + "/" + b.db.Name()
	if err := call(ctx, http.MethodPost, url+"/_refresh", "", nil); err != nil {
		return nil, err
	}
	type hits struct {
		Hits struct {
			Hits []struct {
				ID      string               `json:"_id"`
				Routing string               `json:"_routing"`
				Inner   map[string]innerHits `json:"inner_hits"`
			} `json:"hits"`
		} `json:"hits"`
	}
	var all, found hits
	if err := call(ctx, http.MethodPost, url+"/_search", `{"size":10000}`, &all); err != nil {
		return nil, err
	}
	err := call(ctx, http.MethodPost, url+"/_search",
		`{"size":10000,"query":{"has_child":{"type":"line","query":{"match_all":{}},"inner_hits":{"size":100}}}}`, &found)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, h := range all.Hits.Hits {
		at := h.Routing
		if at == "" {
			at = h.ID
		}
		out = append(out, h.ID+" in "+at)
	}
	for _, h := range found.Hits.Hits {
		for _, l := range h.Inner["line"].Hits.Hits {
			out = append(out, l.ID+" found by "+h.ID)
		}
	}
	return out, nil
}

// innerHits are inner hits.
type innerHits struct {
	Hits struct {
		Hits []struct {
			ID string `json:"_id"`
		} `json:"hits"`
	} `json:"hits"`
}
