// Package deadlettertest is the contract of deadletter.Store as a test suite,
// which every implementation runs. It is for tests only.
package deadlettertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/deadletter"
	"sluice/internal/flow"
)

// TestStore runs the suite. open returns the store of the place that belongs
// to t.Name(): an empty one at first, the same one when it is called again with
// the same t. A store that is an io.Closer is closed before it is opened again.
func TestStore(t *testing.T, open func(t testing.TB) deadletter.Store) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(t *testing.T, open func(t testing.TB) deadletter.Store)
	}{
		{"Empty", testEmpty},
		{"PutAndLoad", testPutAndLoad},
		{"OnePerKey", testOnePerKey},
		{"Remove", testRemove},
		{"Reopen", testReopen},
		{"AnyText", testAnyText},
		{"Many", testMany},
		{"LoadStops", testLoadStops},
		{"Context", testContext},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open) })
	}
}

// Letter returns a letter for tests.
func Letter(coll, id string, version int64) deadletter.Letter {
	return deadletter.Letter{
		Key:   deadletter.Key{NS: flow.Namespace{DB: "shop", Coll: coll}, ID: id},
		RawID: fmt.Sprintf(`{"_id":%q}`, id), Op: "write", Version: version, Time: bson.Timestamp{T: 1_700_000_000, I: 7},
		Reason: "mapping", Error: "failed to parse field [age]", At: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC),
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, s deadletter.Store) map[deadletter.Key]deadletter.Letter {
	t.Helper()
	got := make(map[deadletter.Key]deadletter.Letter)
	must(t, s.Load(t.Context(), func(l deadletter.Letter) error {
		if _, ok := got[l.Key]; ok {
			t.Errorf("%s was loaded twice", l.Key)
		}
		got[l.Key] = l
		return nil
	}))
	return got
}

func want(t *testing.T, s deadletter.Store, letters ...deadletter.Letter) {
	t.Helper()
	w := make(map[deadletter.Key]deadletter.Letter)
	for _, l := range letters {
		w[l.Key] = l
	}
	if got := load(t, s); !maps.Equal(got, w) {
		t.Errorf("loaded %v, want %v", got, w)
	}
}

func testEmpty(t *testing.T, open func(testing.TB) deadletter.Store) {
	s := open(t)
	want(t, s)
	must(t, s.Put(t.Context(), nil))
	must(t, s.Remove(t.Context(), nil))
	must(t, s.Remove(t.Context(), []deadletter.Key{Letter("orders", "1", 1).Key}))
	want(t, s)
}

func testPutAndLoad(t *testing.T, open func(testing.TB) deadletter.Store) {
	s := open(t)
	a, b, c := Letter("orders", "1", 1), Letter("orders", "2", 1<<62), Letter("people", "1", 3)
	must(t, s.Put(t.Context(), []deadletter.Letter{a, b}))
	must(t, s.Put(t.Context(), []deadletter.Letter{c}))
	want(t, s, a, b, c)
}

func testOnePerKey(t *testing.T, open func(testing.TB) deadletter.Store) {
	s := open(t)
	old, now := Letter("orders", "1", 1), Letter("orders", "1", 2)
	now.Reason, now.Error = "too_long", ""
	must(t, s.Put(t.Context(), []deadletter.Letter{old}))
	must(t, s.Put(t.Context(), []deadletter.Letter{now}))
	want(t, s, now)
}

func testRemove(t *testing.T, open func(testing.TB) deadletter.Store) {
	s := open(t)
	a, b, c := Letter("orders", "1", 1), Letter("people", "1", 2), Letter("orders", "2", 3)
	must(t, s.Put(t.Context(), []deadletter.Letter{a, b, c}))
	must(t, s.Remove(t.Context(), []deadletter.Key{a.Key, c.Key, Letter("orders", "9", 1).Key}))
	want(t, s, b)
	must(t, s.Put(t.Context(), []deadletter.Letter{a}))
	want(t, s, a, b)
}

func testReopen(t *testing.T, open func(testing.TB) deadletter.Store) {
	s := open(t)
	a, b, c := Letter("orders", "1", 1), Letter("orders", "2", 2), Letter("orders", "1", 3)
	must(t, s.Put(t.Context(), []deadletter.Letter{a, b}))
	must(t, s.Put(t.Context(), []deadletter.Letter{c}))
	must(t, s.Remove(t.Context(), []deadletter.Key{b.Key}))
	for range 3 {
		if closer, ok := s.(io.Closer); ok {
			must(t, closer.Close())
		}
		s = open(t)
		want(t, s, c)
	}
	must(t, s.Remove(t.Context(), []deadletter.Key{c.Key}))
	want(t, s)
}

func testAnyText(t *testing.T, open func(testing.TB) deadletter.Store) {
	s := open(t)
	var letters []deadletter.Letter
	for _, id := range []string{"", "/", "a/b", "a\nb", `"\`, "žluťoučký 🐎", "\x00", "<&>", strings.Repeat("x", 512)} {
		l := Letter("or/ders.x", id, 1)
		l.Error = id
		letters = append(letters, l)
	}
	// One text, divided in another place: another key.
	letters = append(letters, Letter("or/ders.x/a", "b", 1))
	must(t, s.Put(t.Context(), letters))
	want(t, s, letters...)
	must(t, s.Remove(t.Context(), []deadletter.Key{letters[0].Key, letters[3].Key}))
	want(t, s, append(letters[1:3:3], letters[4:]...)...)
}

func testMany(t *testing.T, open func(testing.TB) deadletter.Store) {
	s := open(t)
	var letters []deadletter.Letter
	var keys []deadletter.Key
	for n := range 2500 {
		l := Letter("orders", fmt.Sprint(n), int64(n))
		l.Error = strings.Repeat("e", deadletter.MaxErrorBytes)
		letters = append(letters, l)
		if n%3 > 0 {
			keys = append(keys, l.Key)
		}
	}
	must(t, s.Put(t.Context(), letters))
	must(t, s.Remove(t.Context(), keys))
	if got := len(load(t, s)); got != len(letters)-len(keys) {
		t.Errorf("%d letters, want %d", got, len(letters)-len(keys))
	}
}

func testLoadStops(t *testing.T, open func(testing.TB) deadletter.Store) {
	s := open(t)
	must(t, s.Put(t.Context(), []deadletter.Letter{Letter("orders", "1", 1), Letter("orders", "2", 2)}))
	enough, n := errors.New("enough"), 0
	err := s.Load(t.Context(), func(deadletter.Letter) error {
		n++
		return enough
	})
	if !errors.Is(err, enough) || n != 1 {
		t.Errorf("error %v after %d letters, want the first one's", err, n)
	}
}

func testContext(t *testing.T, open func(testing.TB) deadletter.Store) {
	s := open(t)
	l := Letter("orders", "1", 1)
	must(t, s.Put(t.Context(), []deadletter.Letter{l}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Put(ctx, []deadletter.Letter{Letter("orders", "2", 1)}); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v", err)
	}
	if err := s.Remove(ctx, []deadletter.Key{l.Key}); !errors.Is(err, context.Canceled) {
		t.Errorf("Remove: %v", err)
	}
	if err := s.Load(ctx, func(deadletter.Letter) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("Load: %v", err)
	}
	want(t, s, l)
}
