//go:build integration

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// TestS14MovesBetweenIndexes: documents move between monthly indexes, ids and
// shards, in the copy and in the stream, under load and kills; one of them 200
// times. Afterwards each lies in exactly one place, which is the right one, on a
// collection with pre-images and on one without.
func TestS14MovesBetweenIndexes(t *testing.T) {
	t.Run("with pre-images", func(t *testing.T) { moveUnderKills(t, true) })
	t.Run("without", func(t *testing.T) { moveUnderKills(t, false) })
}

const movers = 2000

func moveUnderKills(t *testing.T, preImages bool) {
	b := newBed(t)
	if preImages {
		o := options.CreateCollection().SetChangeStreamPreAndPostImages(bson.D{{Key: "enabled", Value: true}})
		if err := b.db.CreateCollection(t.Context(), "orders", o); err != nil {
			t.Fatal(err)
		}
	}
	coll := b.db.Collection("orders")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	docs := make([]any, movers)
	for i := range docs {
		docs[i] = mover(r, i)
	}
	if _, err := coll.InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	file := b.placesFile(t, "rate: 800")
	m := startMovers(t, coll, seed)
	for range rounds(5, 40) {
		p := start(t, "run", "-c", file)
		pause(t.Context(), 1500*time.Millisecond+time.Duration(r.IntN(2500))*time.Millisecond)
		p.kill()
	}
	m.finish(t)
	p := start(t, "run", "-c", file)
	p.eventually(t, 3*time.Minute, func() error { return p.copied(t.Context()) })
	p.eventually(t, 2*time.Minute, func() error { return b.inPlace(t.Context(), coll) })
	// Once more without kills: the stream alone.
	m = startMovers(t, coll, seed+1)
	pause(t.Context(), 3*time.Second)
	m.finish(t)
	p.eventually(t, 2*time.Minute, func() error { return b.inPlace(t.Context(), coll) })
	if err := coll.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.eventually(t, time.Minute, func() error { return b.inPlace(t.Context(), coll) })
	if code := p.stop(t); code != 0 {
		t.Fatalf("exit code %d after SIGTERM", code)
	}
}

// placesFile writes a configuration with a template for everything.
func (b bed) placesFile(t *testing.T, snapshot string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	text := fmt.Sprintf(`
mongodb: {uri: %q}
search: {urls: [%q]}
state: {path: %q}
flows:
  - name: places
    namespaces: [%s.orders]
    index: "%[4]s-{createdAt:yyyy.MM}"
    id: "{tenant}:{_id}"
    routing: "{tenant}"
    snapshot: {%[5]s}
`, b.uri, b.search, b.state, b.db.Name(), snapshot)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// mover is a document with a random place.
func mover(r *rand.Rand, id int) bson.D {
	return bson.D{{Key: "_id", Value: id}, {Key: "createdAt", Value: month(r.IntN(4))}, {Key: "tenant", Value: fmt.Sprintf("t%d", r.IntN(3))}, {Key: "n", Value: r.Int64()}}
}

func month(n int) time.Time { return time.Date(2024, time.Month(1+n), 15, 12, 0, 0, 0, time.UTC) }

// moversRun changes documents until finish.
type moversRun struct {
	stop  context.CancelFunc
	wg    sync.WaitGroup
	moves chan error // the end of the 200 moves
	errs  chan error
}

func startMovers(t *testing.T, coll *mongo.Collection, seed uint64) *moversRun {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	m := &moversRun{stop: stop, moves: make(chan error, 1), errs: make(chan error, 8)}
	for g := range 3 {
		m.wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(g)+1))
			for ctx.Err() == nil {
				if err := moveOne(ctx, coll, r); err != nil && ctx.Err() == nil && !passing(err) {
					m.errs <- err
					return
				}
				pause(ctx, time.Duration(r.IntN(4))*time.Millisecond)
			}
		})
	}
	m.wg.Go(func() { m.moves <- moveOften(coll) })
	t.Cleanup(func() { stop(); m.wg.Wait() })
	return m
}

// moveOften moves one document 200 times to the next month, and lets it stay in one
// of them.
func moveOften(coll *mongo.Collection) error {
	for i := range 200 {
		set := bson.D{{Key: "$set", Value: bson.D{{Key: "createdAt", Value: month(i % 4)}, {Key: "moves", Value: i}}}}
		if _, err := coll.UpdateOne(context.Background(), bson.D{{Key: "_id", Value: "often"}}, append(set, bson.E{Key: "$setOnInsert", Value: bson.D{{Key: "tenant", Value: "often"}}}),
			options.UpdateOne().SetUpsert(true)); err != nil {
			return err
		}
		pause(context.Background(), 60*time.Millisecond)
	}
	return nil
}

func (m *moversRun) finish(t *testing.T) {
	t.Helper()
	if err := <-m.moves; err != nil {
		t.Fatal(err)
	}
	m.stop()
	m.wg.Wait()
	select {
	case err := <-m.errs:
		t.Fatal(err)
	default:
	}
}

// moveOne does one of what moves a document, or brings it back.
func moveOne(ctx context.Context, coll *mongo.Collection, r *rand.Rand) error {
	id := r.IntN(movers)
	if r.IntN(2) == 0 {
		id = r.IntN(20) // some move all the time
	}
	key, doc := bson.D{{Key: "_id", Value: id}}, mover(r, id)
	var err error
	switch r.IntN(10) {
	case 0:
		_, err = coll.DeleteOne(ctx, key)
	case 1, 2:
		_, err = coll.ReplaceOne(ctx, key, doc, options.Replace().SetUpsert(true))
	case 3:
		s, serr := coll.Database().Client().StartSession()
		if serr != nil {
			return serr
		}
		defer s.EndSession(context.WithoutCancel(ctx))
		_, err = s.WithTransaction(ctx, func(ctx context.Context) (any, error) {
			if _, err := coll.DeleteOne(ctx, key); err != nil {
				return nil, err
			}
			if _, err := coll.InsertOne(ctx, doc); err != nil {
				return nil, err
			}
			_, err := coll.UpdateOne(ctx, key, bson.D{{Key: "$set", Value: bson.D{{Key: "createdAt", Value: month(r.IntN(4))}}}})
			return nil, err
		})
	default:
		_, err = coll.UpdateOne(ctx, key, bson.D{{Key: "$set", Value: doc[1:]}})
	}
	return err
}

// inPlace compares: each document of coll lies in its place and nowhere else.
func (b bed) inPlace(ctx context.Context, coll *mongo.Collection) error {
	cur, err := coll.Find(ctx, bson.D{})
	if err != nil {
		return err
	}
	var docs []struct {
		ID        any       `bson:"_id"`
		CreatedAt time.Time `bson:"createdAt"`
		Tenant    string    `bson:"tenant"`
		N         int64     `bson:"n"`
		Moves     int64     `bson:"moves"`
	}
	if err := cur.All(ctx, &docs); err != nil {
		return err
	}
	want := map[string]bool{}
	for _, d := range docs {
		want[fmt.Sprintf("%s-%s-000001 %s:%v %s %d/%d", b.db.Name(), d.CreatedAt.UTC().Format("2006.01"), d.Tenant, d.ID, d.Tenant, d.N, d.Moves)] = true
	}
	have, err := b.places(ctx)
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
		return fmt.Errorf("%d differences of %d documents: %v", len(diffs), len(docs), diffs[:min(len(diffs), 6)])
	}
	return nil
}

// places lists every document of all indexes of the bed, as often as it is there.
func (b bed) places(ctx context.Context) ([]string, error) {
	url := b.search + "/" + b.db.Name() + "-*"
	if err := call(ctx, http.MethodPost, url+"/_refresh", "", nil); err != nil {
		return nil, err
	}
	var page struct {
		Hits struct {
			Hits []struct {
				Index   string `json:"_index"`
				ID      string `json:"_id"`
				Routing string `json:"_routing"`
				Source  struct {
					N     json.Number `json:"n"`
					Moves json.Number `json:"moves"`
				} `json:"_source"`
			} `json:"hits"`
		} `json:"hits"`
	}
	if err := call(ctx, http.MethodPost, url+"/_search", `{"size":10000}`, &page); err != nil {
		return nil, err
	}
	var out []string
	for _, h := range page.Hits.Hits {
		n, _ := h.Source.N.Int64()
		moves, _ := h.Source.Moves.Int64()
		out = append(out, fmt.Sprintf("%s %s %s %d/%d", h.Index, h.ID, h.Routing, n, moves))
	}
	return out, nil
}

// TestS14PlacesOfTwoCollections: two collections share indexes that a field names.
// Documents without a place are dead letters until they have one; another template
// is refused, and with --resync nothing is left in former places; a drop takes the
// documents of its collection only.
func TestS14PlacesOfTwoCollections(t *testing.T) {
	b := newBed(t)
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	configure := func(id string) {
		text := fmt.Sprintf("mongodb: {uri: %q}\nsearch: {urls: [%q]}\nstate: {path: %q}\nflows:\n  - name: two\n    namespaces: [%s.*]\n    index: \"%[4]s-{kind}\"\n    id: %[5]q\n",
			b.uri, b.search, b.state, b.db.Name(), id)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	configure("{db}.{collection}:{_id}")
	want := map[string]bool{}
	sep := ":"
	place := func(coll string, id int, kind string) string {
		return fmt.Sprintf("%s-%s-000001 %[1]s.%[3]s%[4]s%[5]d  0/0", b.db.Name(), kind, coll, sep, id)
	}
	put := func(coll string, id int, kind any) {
		t.Helper()
		_, err := b.db.Collection(coll).UpdateOne(t.Context(), bson.D{{Key: "_id", Value: id}}, bson.D{{Key: "$set", Value: bson.D{{Key: "kind", Value: kind}}}}, options.UpdateOne().SetUpsert(true))
		if err != nil {
			t.Fatal(err)
		}
	}
	settle := func(p *process) {
		t.Helper()
		p.eventually(t, time.Minute, func() error {
			have, err := b.places(t.Context())
			if err != nil {
				return err
			}
			slices.Sort(have)
			if wanted := slices.Sorted(maps.Keys(want)); !slices.Equal(have, wanted) {
				return fmt.Errorf("%q, want %q", have, wanted)
			}
			return nil
		})
	}
	for i := range 5 {
		for _, coll := range []string{"a", "b"} {
			put(coll, i, "x")
			want[place(coll, i, "x")] = true
		}
	}
	put("a", 9, nil) // no place
	p := start(t, "run", "-c", file)
	p.eventually(t, time.Minute, func() error { return p.copied(t.Context()) })
	settle(p)
	put("a", 1, "y")
	put("a", 2, bson.D{}) // none any more
	delete(want, place("a", 1, "x"))
	delete(want, place("a", 2, "x"))
	want[place("a", 1, "y")] = true
	settle(p)
	if code := p.stop(t); code != 0 {
		t.Fatal(code)
	}
	put("a", 9, "y")
	put("a", 3, "z")
	if _, err := b.db.Collection("b").DeleteOne(t.Context(), bson.D{{Key: "_id", Value: 4}}); err != nil {
		t.Fatal(err)
	}
	delete(want, place("a", 3, "x"))
	delete(want, place("b", 4, "x"))
	want[place("a", 3, "z")], want[place("a", 9, "y")] = true, true
	p = start(t, "run", "-c", file)
	settle(p)
	if code := p.stop(t); code != 0 {
		t.Fatal(code)
	}
	configure("{db}.{collection}/{_id}")
	p = start(t, "run", "-c", file)
	if code := p.wait(t, time.Minute); code != 2 {
		t.Fatalf("exit code %d with another template\n%s", code, tail(p.output(), 2000))
	}
	sep = "/"
	want = map[string]bool{
		place("a", 0, "x"): true, place("a", 1, "y"): true, place("a", 3, "z"): true, place("a", 4, "x"): true, place("a", 9, "y"): true,
		place("b", 0, "x"): true, place("b", 1, "x"): true, place("b", 2, "x"): true, place("b", 3, "x"): true,
	}
	p = start(t, "run", "-c", file, "--resync", "all")
	p.eventually(t, time.Minute, func() error { return p.copied(t.Context()) })
	settle(p)
	put("b", 3, "z")
	delete(want, place("b", 3, "x"))
	want[place("b", 3, "z")] = true
	settle(p)
	if err := b.db.Collection("a").Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(want, func(at string, _ bool) bool { return strings.Contains(at, ".a/") })
	settle(p)
	if code := p.stop(t); code != 0 {
		t.Fatal(code)
	}
}

// TestS14MarksInPlaces: a document that was deleted is marked where it lies; when
// its key comes back, it is in one place again.
func TestS14MarksInPlaces(t *testing.T) {
	b := newBed(t)
	coll := b.db.Collection("orders")
	file := b.placesFile(t, "rate: 0}\n    on: {delete: mark")
	r := rand.New(rand.NewPCG(1, 1))
	var docs []any
	for i := range 20 {
		docs = append(docs, mover(r, i))
	}
	if _, err := coll.InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	p := start(t, "run", "-c", file)
	p.eventually(t, time.Minute, func() error { return p.copied(t.Context()) })
	p.eventually(t, time.Minute, func() error { return b.inPlace(t.Context(), coll) })
	if _, err := coll.DeleteMany(t.Context(), bson.D{}); err != nil {
		t.Fatal(err)
	}
	p.eventually(t, time.Minute, func() error {
		url := b.search + "/" + b.db.Name() + "-*"
		var n struct {
			Count int `json:"count"`
		}
		if err := call(t.Context(), http.MethodPost, url+"/_refresh", "", nil); err != nil {
			return err
		}
		if err := call(t.Context(), http.MethodPost, url+"/_count", `{"query":{"exists":{"field":"deleted.at"}}}`, &n); err != nil || n.Count != 20 {
			return fmt.Errorf("%d marked: %w", n.Count, err)
		}
		have, err := b.places(t.Context())
		if err == nil && len(have) != 20 {
			err = fmt.Errorf("%d documents", len(have))
		}
		return err
	})
	for i := range 20 {
		docs[i] = mover(r, i)
	}
	if _, err := coll.InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	p.eventually(t, time.Minute, func() error { return b.inPlace(t.Context(), coll) })
	if code := p.stop(t); code != 0 {
		t.Fatal(code)
	}
}
