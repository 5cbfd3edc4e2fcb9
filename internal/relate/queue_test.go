package relate

import (
	"fmt"
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"
)

func value(n int) bson.RawValue {
	t, b, err := bson.MarshalValue(n)
	if err != nil {
		panic(err)
	}
	return bson.RawValue{Type: t, Value: b}
}

func add(q *Queue, n int) bool { return q.Add(fmt.Append(nil, n), value(n)) }

func names(l *Lap) (all []string) {
	for _, k := range l.Keys {
		all = append(all, k.Name)
	}
	return all
}

// A key that waits takes a change in; one whose lap has begun gets another lap,
// after the first.
func TestS9ChangesOfAKeyCoalesce(t *testing.T) {
	q := New(1 << 10)
	for range 100 {
		if !add(q, 1) {
			t.Fatal("no room for what is there")
		}
	}
	add(q, 2)
	first := q.Take(10)
	if got := names(first); !slices.Equal(got, []string{"1", "2"}) {
		t.Fatal(got)
	}
	for range 100 {
		add(q, 1)
	}
	if l := q.Take(10); l != nil {
		t.Fatalf("%v begins while a lap of it is under way", names(l))
	}
	last := value(7)
	q.Park(first, &last)
	if l := q.Take(10); l != first || l.Last == nil {
		t.Fatalf("%+v", l)
	}
	q.Done(first)
	second := q.Take(10)
	if got := names(second); !slices.Equal(got, []string{"1"}) || second.Last != nil {
		t.Fatal(got)
	}
	q.Done(second)
	if q.Used() != 0 || q.Keys() != 0 || q.Take(1) != nil {
		t.Errorf("%d bytes, %d keys are left", q.Used(), q.Keys())
	}
}

// A long lap has its turn after the others: nobody waits for its end.
func TestS9LongLapsAreWalkedInTurn(t *testing.T) {
	q := New(1 << 10)
	add(q, 1)
	long := q.Take(1)
	add(q, 2)
	last := value(7)
	q.Park(long, &last)
	if l := q.Take(1); l == long {
		t.Error("the long one overtakes")
	}
	if l := q.Take(1); l != long {
		t.Error("the long one is lost")
	}
}

// A key larger than the budget is let in alone.
func TestS9LargeKeyGoesAlone(t *testing.T) {
	q := New(100)
	big := bson.RawValue{Type: bson.TypeString, Value: make([]byte, 1000)}
	if !q.Add([]byte("big"), big) || q.Add([]byte("2"), value(2)) {
		t.Error("who is let in")
	}
	q.Done(q.Take(1))
	if !add(q, 2) || q.Add([]byte("big"), big) {
		t.Error("who is let in afterwards")
	}
}

// walker is a model of who uses a queue: keys owe a lap that begins after their
// last Add, also over restarts.
type walker struct {
	q      *Queue
	budget int
	now    int
	owed   map[string]int // the time of the last Add
	taken  map[*Lap]int   // when the lap began
	begun  map[string]int
}

func (w *walker) restart() {
	laps := w.q.Laps()
	w.q = New(w.budget)
	for _, l := range laps {
		w.q.Restore(l.Keys, l.Last)
	}
	clear(w.taken)
}

func (w *walker) finish(l *Lap) {
	for _, k := range l.Keys {
		if w.begun[k.Name] > w.owed[k.Name] {
			delete(w.owed, k.Name)
		}
	}
	w.q.Done(l)
	delete(w.taken, l)
}

// No change is forgotten and the budget is never exceeded, whatever the order of
// changes, steps and restarts; two laps of a key never overlap.
func TestS3QueueForgetsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &walker{budget: 5 * (KeyCost + 8), owed: map[string]int{}, taken: map[*Lap]int{}, begun: map[string]int{}}
		w.q = New(w.budget)
		take := func() *Lap {
			l := w.q.Take(rapid.IntRange(1, 4).Draw(t, "most"))
			if l == nil {
				return nil
			}
			for other := range w.taken {
				for _, k := range other.Keys {
					if slices.Contains(names(l), k.Name) {
						t.Fatalf("two laps of %s at one time", k.Name)
					}
				}
			}
			if l.Last == nil {
				for _, k := range l.Keys {
					w.begun[k.Name] = w.now
				}
			}
			w.taken[l] = w.now
			return l
		}
		some := func() *Lap {
			for l := range w.taken {
				return l
			}
			return nil
		}
		steps := map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				w.now++
				if w.q.Used() > w.budget || w.q.Peak() > w.budget {
					t.Fatalf("%d bytes of %d", w.q.Used(), w.budget)
				}
			},
			"add": func(t *rapid.T) {
				n := rapid.IntRange(1, 7).Draw(t, "key")
				if add(w.q, n) {
					w.owed[fmt.Sprint(n)] = w.now
				}
			},
			"take": func(*rapid.T) { take() },
			"page": func(*rapid.T) {
				if l := some(); l != nil {
					last := value(w.now)
					w.q.Park(l, &last)
					delete(w.taken, l)
				}
			},
			"fail": func(*rapid.T) {
				if l := some(); l != nil {
					w.q.Park(l, nil)
					delete(w.taken, l)
				}
			},
			"done": func(*rapid.T) {
				if l := some(); l != nil {
					w.finish(l)
				}
			},
			"restart": func(*rapid.T) { w.restart() },
		}
		t.Repeat(steps)
		for l := some(); l != nil; l = some() {
			w.finish(l)
		}
		for w.now++; ; w.now++ {
			l := take()
			if l == nil {
				break
			}
			w.finish(l)
		}
		if len(w.owed) > 0 || w.q.Used() != 0 || w.q.Keys() != 0 {
			t.Fatalf("owed still: %v; %d bytes, %d keys", w.owed, w.q.Used(), w.q.Keys())
		}
	})
}

func TestClearForgetsWhatWaits(t *testing.T) {
	q := New(1 << 10)
	add(q, 1)
	l := q.Take(1)
	add(q, 1)
	add(q, 2)
	q.Clear()
	if q.Take(1) != nil || q.Keys() != 1 {
		t.Error("something is left to walk")
	}
	q.Done(l)
	if q.Used() != 0 || q.Keys() != 0 {
		t.Error("something is left")
	}
}
