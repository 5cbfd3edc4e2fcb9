package search

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

func (e *streamEngine) sink(t testing.TB) *Sink {
	o := testOptions(t, "http://engine", Route{Delete: DeleteKeep, Archive: ArchiveKeep})
	o.Transport = e
	o.Stream = &DataStream{Time: func(_ bson.RawValue, doc bson.Raw) (time.Time, error) {
		if _, err := doc.LookupErr("bad"); err == nil {
			return time.Time{}, errors.New("the field at is missing")
		}
		return time.UnixMilli(1_700_000_000_000), nil
	}}
	s := openTest(t, o).Sink()
	s.earlier.grace = 0
	return s
}

func newStreamEngine(t testing.TB) *streamEngine { return &streamEngine{t: t, name: "orders"} }

// settle writes a batch until it is settled, as who calls does.
func settle(t *testing.T, s *Sink, changes ...flow.Change) []flow.Verdict {
	t.Helper()
	for range 20 {
		vs, err := s.Write(t.Context(), batch(changes...))
		if err == nil && !strings.Contains(outcomes(vs), "retry") {
			return vs
		}
		if err != nil && flow.ClassOf(err) != flow.Transient {
			t.Fatal(err)
		}
	}
	t.Fatal("it is never settled")
	return nil
}

// TestS2StreamAddsOnce: whatever is written again, by whom and when, and wherever the
// data stream rolls over, each document is there once in the end.
func TestS2StreamAddsOnce(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		e := newStreamEngine(t)
		s := e.sink(t)
		settle(t, s, write(t, "first", 1))
		e.before = func() bool {
			if r.IntN(4) == 0 {
				e.rollover()
			}
			return r.IntN(5) == 0 // carried out, and nobody knows
		}
		e.after = func(path string) {
			if r.IntN(12) == 0 && !strings.HasSuffix(path, "_mapping") {
				e.rollover()
			}
		}
		want := map[string]bool{"first": true}
		for range 15 {
			if r.IntN(6) == 0 {
				s = e.sink(t) // another process
			}
			var some []flow.Change
			for _, n := range r.Perm(8)[:1+r.IntN(4)] {
				id := fmt.Sprint("id", n)
				want[id] = true
				some = append(some, write(t, id, 1))
			}
			settle(t, s, some...)
		}
		for id, n := range e.held() {
			if n != 1 || !want[id] {
				t.Fatalf("seed %d: %s is there %d times", seed, id, n)
			}
		}
		if len(e.held()) != len(want) {
			t.Fatalf("seed %d: %d of %d are there", seed, len(e.held()), len(want))
		}
	}
}

// TestS2StreamTakesOutWhatAKillLeft: a process that was killed between adding a
// document to a new index and finding it in an old one.
func TestS2StreamTakesOutWhatAKillLeft(t *testing.T) {
	e := newStreamEngine(t)
	settle(t, e.sink(t), write(t, "a", 1))
	e.rollover()
	e.indexes[1].live["a"] = "{}"
	if vs := settle(t, e.sink(t), write(t, "a", 1)); outcomes(vs) != "superseded" || e.held()["a"] != 1 || len(e.indexes[0].live) != 1 {
		t.Errorf("%s, %v", outcomes(vs), e.held())
	}
}

// TestS2StreamFoundWhereItRolledOver: an answer says that a document is there, in an
// index that was not known; it may lie in an older one all the same.
func TestS2StreamFoundWhereItRolledOver(t *testing.T) {
	e := newStreamEngine(t)
	s := e.sink(t)
	settle(t, s, write(t, "a", 1))
	e.rollover()
	e.indexes[1].live["a"] = "{}" // of a body whose batch failed later
	if settle(t, s, write(t, "a", 1)); e.held()["a"] != 1 {
		t.Errorf("%v", e.held())
	}
}

// TestS2StreamWrittenWhileItRolledOver: what lands in an index after that was
// refreshed as one that takes no more writes.
func TestS2StreamWrittenWhileItRolledOver(t *testing.T) {
	e := newStreamEngine(t)
	s := e.sink(t)
	settle(t, s, write(t, "a", 1))
	first := e.indexes[0]
	e.rollover()
	settle(t, s, write(t, "b", 1)) // notices, and refreshes the first
	settle(t, s, write(t, "c", 1))
	first.live["late"] = "{}"
	s.streams.wrote(orders, first.name)
	if vs := settle(t, s, write(t, "late", 1)); outcomes(vs) != "superseded" {
		t.Error(outcomes(vs))
	}
}

// TestStreamPlan: what becomes of each change, with nothing written but documents.
func TestStreamPlan(t *testing.T) {
	e := newStreamEngine(t)
	s := e.sink(t)
	merged := remove(t, "inserted and deleted", 2)
	merged.Doc = rawDoc(t, bson.D{{Key: "_id", Value: "inserted and deleted"}, {Key: "n", Value: 1}})
	left := remove(t, "left", 2)
	left.Left = true
	update := write(t, "a", 2, bson.E{Key: "n", Value: 2})
	update.Update = true
	skip := flow.Change{Op: flow.OpSkip, NS: orders}
	settle(t, s, write(t, "a", 1, bson.E{Key: "n", Value: 1}, bson.E{Key: "@timestamp", Value: "mine"}))
	vs := settle(t, s, update, merged, left, remove(t, "a", 3), skip, write(t, "c", 1, bson.E{Key: "bad", Value: 1}), flow.Change{Op: flow.OpWrite, NS: orders})
	if got := outcomes(vs); got != "superseded done done done done dead_letter:timestamp dead_letter:key" {
		t.Error(got)
	}
	got := fmt.Sprint(e.indexes[0].live)
	const want = `map[a:{"n":1,"@timestamp":"2023-11-14T22:13:20.000Z"} inserted and deleted:{"n":1,"@timestamp":"2023-11-14T22:13:20.000Z"}]`
	if got != want {
		t.Errorf("%s, want\n%s", got, want)
	}
}

// TestStreamGone: a data stream that was deleted under way and made anew is not the
// one that was written to.
func TestStreamGone(t *testing.T) {
	e := newStreamEngine(t)
	s := e.sink(t)
	settle(t, s, write(t, "a", 1))
	e.indexes = nil
	_, err := s.Write(t.Context(), batch(write(t, "b", 1)))
	if !errors.Is(err, errStreamGone) {
		t.Error(err)
	}
	x, err := e.sink(t).Inspect(t.Context(), orders)
	if err == nil && x.UUID == StreamUUID {
		t.Errorf("%+v", x)
	}
}

func TestMatchesStars(t *testing.T) {
	f := func(pattern, name string, want bool) {
		t.Helper()
		if matchesStars(pattern, name) != want {
			t.Errorf("%s %s", pattern, name)
		}
	}
	f("logs-*-*", "logs-shop-default", true)
	f("logs-*-*", "logs-shop", false)
	f("logs", "logs", true)
	f("logs", "logs2", false)
	f("*", "a", true)
	f("*a", "ba", true)
	f("a*b", "a", false)
	f("a*bc*d", "axbcyd", true)
	f("a*bc*d", "axcyd", false)
}

func TestAppendTimestamp(t *testing.T) {
	f := func(doc string, year int, want string) {
		t.Helper()
		at := time.Date(year, 1, 2, 3, 4, 5, 6e6, time.UTC)
		if got := string(appendTimestamp([]byte("before"+doc), 6, at)); got != "before"+want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	f(`{}`, 2024, `{"@timestamp":"2024-01-02T03:04:05.006Z"}`)
	f(`{"@timestamp":{"a":[1]},"b":{"@timestamp":1}}`, 2024, `{"b":{"@timestamp":1},"@timestamp":"2024-01-02T03:04:05.006Z"}`)
	f(`{"b":{"@timestamp":1}}`, 2024, `{"b":{"@timestamp":1},"@timestamp":"2024-01-02T03:04:05.006Z"}`)
	f(`{"a":1}`, 12024, `{"a":1,"@timestamp":317273684645006}`)
}
