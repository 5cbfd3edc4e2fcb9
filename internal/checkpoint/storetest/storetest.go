// Package storetest is the contract of checkpoint.Store as a test suite, which
// every implementation runs. It is for tests only.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"sluice/internal/checkpoint"
	"sluice/internal/flow"
)

// TestStore runs the suite. open returns the store of the place that belongs
// to t.Name(): an empty one at first, the same one when it is called again with
// the same t. A store that is an io.Closer is closed before it is opened again.
func TestStore(t testing.TB, open func(t testing.TB) checkpoint.Store) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(t testing.TB, open func(t testing.TB) checkpoint.Store)
	}{
		{"Absent", testAbsent},
		{"SaveAndLoad", testSaveAndLoad},
		{"Conflict", testConflict},
		{"ConflictAtFirst", testConflictAtFirst},
		{"Fence", testFence},
		{"OwnBytes", testOwnBytes},
		{"AnyBytes", testAnyBytes},
		{"Big", testBig},
		{"Reopen", testReopen},
		{"OneWins", testOneWins},
		{"Context", testContext},
	} {
		run(t, c.name, func(t testing.TB) { c.test(t, open) })
	}
}

// run makes a subtest where t can have one.
func run(t testing.TB, name string, f func(t testing.TB)) {
	t.Helper()
	if tt, ok := t.(*testing.T); ok {
		tt.Run(name, func(t *testing.T) { f(t) })
		return
	}
	f(t)
}

func testAbsent(t testing.TB, open func(testing.TB) checkpoint.Store) {
	want(t, load(t, open(t)), checkpoint.Record{})
}

func testSaveAndLoad(t testing.TB, open func(testing.TB) checkpoint.Store) {
	s := open(t)
	var rec checkpoint.Record
	seen := map[string]bool{"": true}
	for _, data := range []string{`{"n":1}`, `{"n":2}`, `{"n":2}`, `{"n":1}`} {
		rec = save(t, s, checkpoint.Record{Rev: rec.Rev, Fence: 1, Data: []byte(data)})
		if seen[rec.Rev] {
			t.Fatalf("the save gave the Rev %q a second time", rec.Rev)
		}
		seen[rec.Rev] = true
		want(t, rec, checkpoint.Record{Rev: rec.Rev, Fence: 1, Data: []byte(data)})
		want(t, load(t, s), rec)
	}
}

func testConflict(t testing.TB, open func(testing.TB) checkpoint.Store) {
	s := open(t)
	first := save(t, s, checkpoint.Record{Fence: 1, Data: []byte(`{"n":1}`)})
	second := save(t, s, checkpoint.Record{Rev: first.Rev, Fence: 1, Data: []byte(`{"n":2}`)})
	for _, rev := range []string{"", first.Rev} {
		conflict(t, s, checkpoint.Record{Rev: rev, Fence: 2, Data: []byte(`{"n":3}`)})
		want(t, load(t, s), second)
	}
}

func testConflictAtFirst(t testing.TB, open func(testing.TB) checkpoint.Store) {
	s := open(t)
	rec := save(t, s, checkpoint.Record{Fence: 1, Data: []byte(`{"n":1}`)})
	conflict(t, s, checkpoint.Record{Fence: 1, Data: []byte(`{"n":1}`)})
	want(t, load(t, s), rec)
}

func testFence(t testing.TB, open func(testing.TB) checkpoint.Store) {
	s := open(t)
	var rec checkpoint.Record
	for _, fence := range []int64{1, 2, 1 << 40} {
		rec = save(t, s, checkpoint.Record{Rev: rec.Rev, Fence: fence, Data: []byte(`{}`)})
		want(t, load(t, s), rec)
		if rec.Fence != fence {
			t.Fatalf("fence %d came back as %d", fence, rec.Fence)
		}
	}
}

func testOwnBytes(t testing.TB, open func(testing.TB) checkpoint.Store) {
	s := open(t)
	data := []byte(`{"n":1}`)
	save(t, s, checkpoint.Record{Fence: 1, Data: data})
	data[5] = '9'
	got := load(t, s)
	if string(got.Data) != `{"n":1}` {
		t.Fatalf("the store kept the caller's bytes: %s", got.Data)
	}
	got.Data[5] = '9'
	if again := load(t, s); string(again.Data) != `{"n":1}` {
		t.Fatalf("the store kept the bytes it gave away: %s", again.Data)
	}
}

func testAnyBytes(t testing.TB, open func(testing.TB) checkpoint.Store) {
	s := open(t)
	var rec checkpoint.Record
	for _, data := range [][]byte{{}, {0}, []byte("a\nb\r\n"), {0xff, 0xfe, 0x00, '"', '\\'}, []byte("é \u2028")} {
		rec = save(t, s, checkpoint.Record{Rev: rec.Rev, Fence: 1, Data: data})
		if got := load(t, s); !bytes.Equal(got.Data, data) {
			t.Fatalf("%q came back as %q", data, got.Data)
		}
	}
}

func testBig(t testing.TB, open func(testing.TB) checkpoint.Store) {
	s := open(t)
	data := bytes.Repeat([]byte(`{"chunk":"5f3e"},`), 5<<20/17)
	rec := save(t, s, checkpoint.Record{Fence: 1, Data: data})
	want(t, load(t, s), rec)
	small := save(t, s, checkpoint.Record{Rev: rec.Rev, Fence: 1, Data: []byte(`{}`)})
	want(t, load(t, s), small)
}

func testReopen(t testing.TB, open func(testing.TB) checkpoint.Store) {
	s := open(t)
	rec := save(t, s, checkpoint.Record{Fence: 7, Data: []byte(`{"n":1}`)})
	s = reopen(t, s, open)
	want(t, load(t, s), rec)
	next := save(t, s, checkpoint.Record{Rev: rec.Rev, Fence: 8, Data: []byte(`{"n":2}`)})
	s = reopen(t, s, open)
	conflict(t, s, checkpoint.Record{Rev: rec.Rev, Fence: 9, Data: []byte(`{"n":3}`)})
	want(t, load(t, s), next)
}

func testOneWins(t testing.TB, open func(testing.TB) checkpoint.Store) {
	s := open(t)
	var rec checkpoint.Record
	for round := range 5 {
		won := make([]checkpoint.Record, 8)
		var wg sync.WaitGroup
		for i := range won {
			wg.Go(func() {
				r, err := s.Save(t.Context(), checkpoint.Record{Rev: rec.Rev, Fence: int64(i), Data: []byte{byte('0' + i)}})
				if err == nil {
					won[i] = r
				} else if !errors.Is(err, checkpoint.ErrConflict) {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		wg.Wait()
		winners := 0
		for _, r := range won {
			if r.Rev != "" {
				winners++
				rec = r
			}
		}
		if winners != 1 {
			t.Fatalf("round %d: %d savers of one Rev won, not one", round, winners)
		}
		want(t, load(t, s), rec)
	}
}

func testContext(t testing.TB, open func(testing.TB) checkpoint.Store) {
	s := open(t)
	rec := save(t, s, checkpoint.Record{Fence: 1, Data: []byte(`{"n":1}`)})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Load(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("Load under a cancelled context: %v", err)
	}
	if _, err := s.Save(ctx, checkpoint.Record{Rev: rec.Rev, Data: []byte(`{}`)}); !errors.Is(err, context.Canceled) {
		t.Fatalf("Save under a cancelled context: %v", err)
	}
	want(t, load(t, s), rec)
}

func reopen(t testing.TB, s checkpoint.Store, open func(testing.TB) checkpoint.Store) checkpoint.Store {
	t.Helper()
	if c, ok := s.(io.Closer); ok {
		if err := c.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	return open(t)
}

func load(t testing.TB, s checkpoint.Store) checkpoint.Record {
	t.Helper()
	rec, err := s.Load(t.Context())
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return rec
}

func save(t testing.TB, s checkpoint.Store, r checkpoint.Record) checkpoint.Record {
	t.Helper()
	got, err := s.Save(t.Context(), r)
	if err != nil {
		t.Fatalf("save: %v", err)
	}
	return got
}

func conflict(t testing.TB, s checkpoint.Store, r checkpoint.Record) {
	t.Helper()
	_, err := s.Save(t.Context(), r)
	if !errors.Is(err, checkpoint.ErrConflict) || flow.ClassOf(err) != flow.Conflict {
		t.Fatalf("a save over another's record: %v, want ErrConflict of class Conflict", err)
	}
}

func want(t testing.TB, got, want checkpoint.Record) {
	t.Helper()
	if got.Rev != want.Rev || got.Fence != want.Fence || !bytes.Equal(got.Data, want.Data) {
		t.Fatalf("record %s, want %s", short(got), short(want))
	}
}

func short(r checkpoint.Record) string {
	data := r.Data
	if len(data) > 80 {
		data = data[:80]
	}
	return "{Rev: " + r.Rev + ", Data: " + string(data) + "}"
}
