package deadletter

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"

	"sluice/internal/flow"
)

var shop = flow.Namespace{DB: "shop", Coll: "orders"}

// memory is a store that fails on demand.
type memory struct {
	mu      sync.Mutex
	letters map[Key]Letter
	err     error
	puts    int
}

func (m *memory) Put(_ context.Context, letters []Letter) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.puts++
	if m.err != nil {
		return m.err
	}
	for _, l := range letters {
		m.letters[l.Key] = l
	}
	return nil
}

func (m *memory) Remove(_ context.Context, keys []Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	for _, k := range keys {
		delete(m.letters, k)
	}
	return nil
}

func (m *memory) Load(_ context.Context, f func(Letter) error) error {
	for _, l := range m.letters {
		if err := f(l); err != nil {
			return err
		}
	}
	return m.err
}

func newMemory() *memory { return &memory{letters: make(map[Key]Letter)} }

func newBook(t testing.TB, s Store) *Book {
	t.Helper()
	b, err := Open(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func change(t testing.TB, id any, version int64) flow.Change {
	t.Helper()
	typ, raw, err := bson.MarshalValue(id)
	if err != nil {
		t.Fatal(err)
	}
	return flow.Change{
		Op: flow.OpWrite, NS: shop, ID: bson.RawValue{Type: typ, Value: raw}, Version: version,
		Time: bson.Timestamp{T: 1_700_000_000}, Doc: bson.Raw("secret"),
	}
}

var mapping = flow.Verdict{Outcome: flow.DeadLetter, Reason: "mapping", Err: errors.New("bad field")}

func bury(t testing.TB, b *Book, changes ...flow.Change) {
	t.Helper()
	verdicts := make([]flow.Verdict, len(changes))
	for i := range verdicts {
		verdicts[i] = mapping
	}
	if err := b.Put(context.Background(), changes, verdicts); err != nil {
		t.Fatal(err)
	}
}

// TestS7OneLetterPerKey: a newer letter takes the place of an older one, not
// the other way round, and any later settled change closes it.
func TestS7OneLetterPerKey(t *testing.T) {
	s := newMemory()
	b := newBook(t, s)
	bury(t, b, change(t, int32(1), 5), change(t, "x", 5))
	bury(t, b, change(t, 1.0, 7))
	bury(t, b, change(t, int64(1), 6))
	k := KeyOf(&flow.Change{NS: shop, ID: change(t, int32(1), 0).ID})
	if l := s.letters[k]; b.Count() != 2 || l.Version != 7 {
		t.Errorf("%d letters, version %d; want 2 and 7", b.Count(), l.Version)
	}
	settle := func(want int, changes ...flow.Change) {
		t.Helper()
		if err := b.Settled(t.Context(), changes); err != nil {
			t.Error(err)
		}
		if b.Count() != want || len(s.letters) != want {
			t.Errorf("%d letters, %d in the store, want %d", b.Count(), len(s.letters), want)
		}
	}
	settle(2, change(t, int32(1), 6), change(t, "y", 9))
	settle(1, change(t, int32(1), 7))
	settle(0, change(t, "x", 100))
	settle(0, change(t, "x", 100))
	bury(t, b, change(t, "a", 5), change(t, "a", 7), change(t, "a", 6))
	if l := s.letters[KeyOf(&flow.Change{NS: shop, ID: change(t, "a", 0).ID})]; l.Version != 7 || b.Count() != 1 {
		t.Errorf("version %d, want 7", l.Version)
	}
}

// TestS7LetterFails: what is not durable is not counted, and what could not be
// removed is tried again.
func TestS7LetterFails(t *testing.T) {
	s := newMemory()
	b := newBook(t, s)
	s.err = &flow.Error{Op: "write", Class: flow.Transient, Err: errors.New("disk full")}
	if err := b.Put(t.Context(), []flow.Change{change(t, "a", 5)}, []flow.Verdict{mapping}); flow.ClassOf(err) != flow.Transient {
		t.Errorf("error %v, want a transient one", err)
	}
	if b.Count() != 0 {
		t.Errorf("%d letters", b.Count())
	}
	s.err = nil
	bury(t, b, change(t, "a", 5), change(t, "b", 5), change(t, "c", 5))
	s.err = errors.New("disk full")
	for range 2 {
		if err := b.Settled(t.Context(), []flow.Change{change(t, "a", 6), change(t, "b", 6)}); err == nil {
			t.Error("no error")
		}
	}
	if b.Count() != 3 {
		t.Errorf("%d letters, want 3", b.Count())
	}
	s.err = nil
	bury(t, b, change(t, "b", 8)) // a new fault of the key in the meantime
	if err := b.Settled(t.Context(), []flow.Change{change(t, "z", 9)}); err != nil {
		t.Error(err)
	}
	if b.Count() != 2 || len(s.letters) != 2 {
		t.Errorf("%d letters, %d in the store; want b and c", b.Count(), len(s.letters))
	}
	s.err = errors.New("gone")
	if _, err := Open(t.Context(), s); err == nil {
		t.Error("opened without its letters")
	}
}

// TestS7NewerLetterStays: a letter that came after the change that settled its
// key stays, also if it came while the older one was being closed.
func TestS7NewerLetterStays(t *testing.T) {
	s := newMemory()
	b := newBook(t, s)
	bury(t, b, change(t, "a", 5))
	closed := b.match([]flow.Change{change(t, "a", 6), change(t, "b", 6)})
	if len(closed) != 1 {
		t.Errorf("%v are to be closed, want a", closed)
	}
	bury(t, b, change(t, "a", 7))
	if err := b.remove(t.Context(), closed); err != nil || b.Count() != 1 || len(s.letters) != 1 {
		t.Errorf("count %d, %v; want 1", b.Count(), err)
	}
	s.err = errors.New("must not be called")
	if err := b.Settled(t.Context(), []flow.Change{change(t, "a", 6)}); err != nil || b.Count() != 1 {
		t.Errorf("count %d, %v; want 1", b.Count(), err)
	}
}

func TestBookLoadsAndCloses(t *testing.T) {
	s := newMemory()
	bury(t, newBook(t, s), change(t, "a", 5), change(t, "b", 6))
	b := newBook(t, s)
	other := change(t, "a", 5)
	other.NS.Coll = "people"
	bury(t, b, other)
	n := 0
	if err := b.Letters(t.Context(), func(Letter) error { n++; return nil }); err != nil || n != 3 || b.Count() != 3 {
		t.Errorf("%d letters, count %d, %v; want 3", n, b.Count(), err)
	}
	if err := b.CloseNamespace(t.Context(), shop); err != nil || b.Count() != 1 {
		t.Errorf("count %d, %v; want 1", b.Count(), err)
	}
	if err := b.Close(t.Context(), []Key{KeyOf(&other), {NS: shop, ID: "no"}}); err != nil || b.Count() != 0 || len(s.letters) != 0 {
		t.Errorf("count %d, %v; want 0", b.Count(), err)
	}
}

// TestLetterHoldsNoDocument: private data stays where it is.
func TestLetterHoldsNoDocument(t *testing.T) {
	c := change(t, bson.D{{Key: "tenant", Value: 1.0}, {Key: "n", Value: int64(1 << 60)}}, 5)
	l, err := New(&c, flow.Verdict{Reason: "mapping", Err: errors.New(strings.Repeat("é", 2000) + "\xff")}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	text, err := l.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "secret") {
		t.Errorf("%s holds the document", text)
	}
	if len(l.Error) > MaxErrorBytes || !strings.HasSuffix(l.Error, "é") {
		t.Errorf("the error text has %d bytes and ends with %q", len(l.Error), l.Error[len(l.Error)-2:])
	}
	id, err := l.DocumentID()
	if err != nil || !id.Equal(c.ID) {
		t.Errorf("_id %v, %v; want %v", id, err, c.ID)
	}
	var again Letter
	if err := again.UnmarshalJSON(text); err != nil || again != l {
		t.Errorf("%+v, %v; want %+v", again, err, l)
	}
	if (&Letter{RawID: "x"}).UnmarshalJSON([]byte("[")) == nil {
		t.Error("nonsense is a letter")
	}
	if _, err := (&Letter{RawID: "x"}).DocumentID(); err == nil {
		t.Error("nonsense is an _id")
	}
	if got := cut("a\xffb", 10); got != "a\uFFFDb" {
		t.Errorf("cut: %q", got)
	}
}

// TestLetterKeepsEveryID: every type of _id comes back as it was.
func TestLetterKeepsEveryID(t *testing.T) {
	for _, id := range []any{
		"", "a", int32(1), int64(1), 1.5, true,
		bson.Null{},
		bson.ObjectID{1},
		bson.DateTime(-1),
		bson.Binary{Subtype: 4, Data: make([]byte, 16)},
		bson.Timestamp{T: 1, I: 2},
		bson.MinKey{},
		bson.Symbol("s"),
		bson.D{{Key: "$a", Value: bson.A{1.0}}},
	} {
		c := change(t, id, 1)
		l, err := New(&c, mapping, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := l.DocumentID(); err != nil || !got.Equal(c.ID) {
			t.Errorf("%T: %v, %v; want %v", id, got, err, c.ID)
		}
	}
}

func TestKeyHash(t *testing.T) {
	a := Key{NS: flow.Namespace{DB: "a", Coll: "b/c"}, ID: "d"}
	b := Key{NS: flow.Namespace{DB: "a", Coll: "b"}, ID: "c/d"}
	if a.String() != b.String() || a.Hash() == b.Hash() || len(a.Hash()) != 64 {
		t.Errorf("%s %s, %s %s", a, a.Hash(), b, b.Hash())
	}
}

// TestSettledIsCheap: with no letters it costs nothing, with some one buffer
// per batch.
func TestSettledIsCheap(t *testing.T) {
	b := newBook(t, newMemory())
	changes := []flow.Change{change(t, "a", 1), change(t, bson.ObjectID{7}, 2), change(t, int32(3), 3)}
	f := func(what string, want float64) {
		t.Helper()
		n := testing.AllocsPerRun(100, func() {
			if err := b.Settled(t.Context(), changes); err != nil {
				t.Error(err)
			}
		})
		if n > want {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	f("no letters", 0)
	bury(t, b, change(t, "other", 1))
	f("one letter", 1)
}

// TestBookModel: any order of letters, settled changes and faults of the store
// ends with the letters of the newest fault of each key.
func TestBookModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newMemory()
		b := newBook(t, s)
		model := make(map[Key]int64)
		version := int64(0)
		for range rapid.IntRange(0, 40).Draw(rt, "steps") {
			version += rapid.Int64Range(0, 1).Draw(rt, "later") // lanes keep the order
			c := change(t, rapid.SampledFrom([]any{int32(1), 1.0, "a", "b"}).Draw(rt, "id"), version)
			k := KeyOf(&c)
			s.err = nil
			if rapid.IntRange(0, 3).Draw(rt, "fault") == 0 {
				s.err = errors.New("disk full")
			}
			if rapid.Bool().Draw(rt, "put") {
				err := b.Put(context.Background(), []flow.Change{c}, []flow.Verdict{mapping})
				if err == nil {
					model[k] = max(model[k], c.Version)
				}
			} else {
				_ = b.Settled(context.Background(), []flow.Change{c}) // tried again below
				if v, ok := model[k]; ok && v <= c.Version {
					delete(model, k)
				}
			}
		}
		s.err = nil
		if err := b.Close(context.Background(), nil); err != nil {
			rt.Fatal(err)
		}
		if b.Count() != len(s.letters) || len(model) != len(s.letters) {
			rt.Fatalf("%d in the book, %d in the store, %d in the model", b.Count(), len(s.letters), len(model))
		}
		for k, v := range model {
			if s.letters[k].Version != v {
				rt.Fatalf("%s: version %d, want %d", k, s.letters[k].Version, v)
			}
		}
	})
}

// TestBookConcurrently: lanes and snapshot writers use one book.
func TestBookConcurrently(t *testing.T) {
	s := newMemory()
	b := newBook(t, s)
	var wg sync.WaitGroup
	for lane := range 8 {
		wg.Go(func() {
			for v := range int64(50) {
				c := change(t, int32(lane), v)
				bury(t, b, c)
				if err := b.Settled(context.Background(), []flow.Change{c}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if b.Count() != 0 || len(s.letters) != 0 {
		t.Errorf("%d letters, %d in the store", b.Count(), len(s.letters))
	}
}
