// Package objstoretest is the contract of objstore.Store as a test suite, which
// every implementation and every wrapper runs. It is for tests only.
package objstoretest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"sluice/internal/flow"
	"sluice/internal/objstore"
)

// TestStore runs the suite. open returns a store that is empty, and ends it
// with the test that it is given.
func TestStore(t *testing.T, open func(t testing.TB) objstore.Store) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(t *testing.T, s objstore.Store)
	}{
		{"Absent", testAbsent},
		{"PutAndGet", testPutAndGet},
		{"A4PutIfAbsent", testPutIfAbsent},
		{"A4OneWins", testOneWins},
		{"A4WrongHashLeavesNothing", testWrongHash},
		{"A4FailedBodyLeavesNothing", testFailedBody},
		{"Ranges", testRanges},
		{"List", testList},
		{"ListStops", testListStops},
		{"Delete", testDelete},
		{"Keys", testKeys},
		{"Contexts", testContexts},
		{"Options", testOptions},
		{"Probe", testProbe},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// Put stores text under key, or fails the test.
func Put(t testing.TB, s objstore.Store, key, text string) objstore.Info {
	t.Helper()
	info, err := s.Put(t.Context(), key, objstore.BytesBody([]byte(text)), objstore.PutOptions{SHA256: sha256.Sum256([]byte(text))})
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
	return info
}

// Get reads a range to its end, or fails the test.
func Get(t testing.TB, s objstore.Store, key string, off, n int64) string {
	t.Helper()
	r, err := s.Get(t.Context(), key, off, n)
	if err != nil {
		t.Fatalf("get %s [%d, +%d]: %v", key, off, n, err)
	}
	b, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatalf("read %s [%d, +%d]: %v", key, off, n, err)
	}
	return string(b)
}

// Keys lists, or fails the test.
func Keys(t testing.TB, s objstore.Store, prefix string) []string {
	t.Helper()
	var keys []string
	for info, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("list %q: %v", prefix, err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

// is checks that an error is the one that the contract names, in a *flow.Error.
func is(t testing.TB, err, want error) {
	t.Helper()
	var e *flow.Error
	if !errors.Is(err, want) || !errors.As(err, &e) {
		t.Fatalf("got %v, want %v in a flow.Error", err, want)
	}
	if e.Op == "" || e.Object == "" {
		t.Fatalf("%v names no operation or no object", err)
	}
}

func hexOf(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:])
}

func testAbsent(t *testing.T, s objstore.Store) {
	_, err := s.Head(t.Context(), "a/b")
	is(t, err, objstore.ErrNotFound)
	_, err = s.Get(t.Context(), "a/b", 0, -1)
	is(t, err, objstore.ErrNotFound)
	_, err = s.Get(t.Context(), "a/b", 3, 4)
	is(t, err, objstore.ErrNotFound)
	if err := s.Delete(t.Context(), "a/b"); err != nil {
		t.Fatal(err)
	}
	if keys := Keys(t, s, ""); len(keys) > 0 {
		t.Fatal(keys)
	}
	if keys := Keys(t, s, "a/b/c"); len(keys) > 0 {
		t.Fatal(keys)
	}
}

func testPutAndGet(t *testing.T, s objstore.Store) {
	for key, text := range map[string]string{
		"one": "hello", "deep/er/and/deeper.bson.zst": strings.Repeat("0123456789", 50_000), "none": "",
	} {
		info := Put(t, s, key, text)
		if info.Key != key || info.Size != int64(len(text)) || info.SHA256 != hexOf(text) {
			t.Fatalf("put %s: %+v", key, info)
		}
		if got := Get(t, s, key, 0, -1); got != text {
			t.Fatalf("%s: %d bytes of %d, or others", key, len(got), len(text))
		}
		head, err := s.Head(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if head.Key != key || head.Size != int64(len(text)) || head.SHA256 != hexOf(text) || head.Modified.IsZero() || head.Cold {
			t.Fatalf("head %s: %+v", key, head)
		}
	}
}

func testPutIfAbsent(t *testing.T, s objstore.Store) {
	Put(t, s, "a/x", "first")
	for _, text := range []string{"second", "first", ""} {
		_, err := s.Put(t.Context(), "a/x", objstore.BytesBody([]byte(text)), objstore.PutOptions{})
		is(t, err, objstore.ErrExists)
		if flow.ClassOf(err) != flow.Conflict {
			t.Fatal(flow.ClassOf(err))
		}
	}
	if got := Get(t, s, "a/x", 0, -1); got != "first" {
		t.Fatalf("replaced by %q", got)
	}
}

func testOneWins(t *testing.T, s objstore.Store) {
	const writers = 8
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for i := range writers {
		wg.Go(func() {
			text := strings.Repeat(string(rune('a'+i)), 100_000)
			_, errs[i] = s.Put(t.Context(), "a/b/c", objstore.BytesBody([]byte(text)), objstore.PutOptions{})
		})
	}
	wg.Wait()
	winner := slices.Index(errs, nil)
	if winner < 0 {
		t.Fatal(errs)
	}
	for i, err := range errs {
		if i != winner {
			is(t, err, objstore.ErrExists)
		}
	}
	if got := Get(t, s, "a/b/c", 0, -1); got != strings.Repeat(string(rune('a'+winner)), 100_000) {
		t.Fatal("not what the winner wrote")
	}
}

func testWrongHash(t *testing.T, s objstore.Store) {
	_, err := s.Put(t.Context(), "a/x", objstore.BytesBody([]byte("what is")), objstore.PutOptions{SHA256: sha256.Sum256([]byte("what was promised"))})
	is(t, err, objstore.ErrDamaged)
	_, err = s.Head(t.Context(), "a/x")
	is(t, err, objstore.ErrNotFound)
	if keys := Keys(t, s, ""); len(keys) > 0 {
		t.Fatal(keys)
	}
	Put(t, s, "a/x", "what is")
}

// shrinking is a body that ends before it said, as a file that was cut.
type shrinking struct{ *bytes.Reader }

func (s shrinking) Size() int64 { return s.Reader.Size() + 5 }

func testFailedBody(t *testing.T, s objstore.Store) {
	if _, err := s.Put(t.Context(), "a/x", shrinking{bytes.NewReader([]byte("short"))}, objstore.PutOptions{}); err == nil {
		t.Fatal("a body that is shorter than it says was stored")
	}
	if keys := Keys(t, s, ""); len(keys) > 0 {
		t.Fatal(keys)
	}
}

func testRanges(t *testing.T, s objstore.Store) {
	const text = "0123456789"
	Put(t, s, "x", text)
	Put(t, s, "empty", "")
	for _, c := range []struct {
		off, n int64
		want   string
	}{
		{0, -1, text},
		{0, 10, text},
		{0, 4, "0123"},
		{3, 4, "3456"},
		{9, 1, "9"},
		{9, 100, "9"},
		{4, -1, "456789"},
		{3, 0, ""},
		{100, 0, ""},
	} {
		if got := Get(t, s, "x", c.off, c.n); got != c.want {
			t.Errorf("[%d, +%d] is %q, want %q", c.off, c.n, got, c.want)
		}
	}
	for _, c := range []struct {
		key    string
		off, n int64
	}{{"x", 10, 1}, {"x", 10, -1}, {"x", 50, 5}, {"x", -1, 5}, {"empty", 0, 1}, {"empty", 1, -1}} {
		_, err := s.Get(t.Context(), c.key, c.off, c.n)
		is(t, err, objstore.ErrRange)
	}
}

func testList(t *testing.T, s objstore.Store) {
	keys := []string{
		"a.b", "a/1", "a/2/x", "a/2.manifest", "a/10", "ab/1", "ü/é", "b", "a b/c", "r/db.c/2024-01-01/P1.bson.zst",
		"r/db.c/2024-01-01/P1.bson.zst.manifest", "r/db.c/2024-01-02/P2.bson.zst", "r/db.coll/2024-01-01/P3.bson.zst",
	}
	for _, k := range keys {
		Put(t, s, k, k)
	}
	slices.Sort(keys)
	f := func(prefix string) {
		t.Helper()
		var want []string
		for _, k := range keys {
			if strings.HasPrefix(k, prefix) {
				want = append(want, k)
			}
		}
		if got := Keys(t, s, prefix); !slices.Equal(got, want) {
			t.Errorf("list %q\n got %q\nwant %q", prefix, got, want)
		}
	}
	f("")
	f("a")
	f("a/")
	f("a/2")
	f("a/2/x")
	f("r/db.c/")
	f("r/db.c")
	f("r/db.c/2024-01-0")
	f("ü")
	f("nothing/here/")
	f("b")
	f("b/") // an object, not a folder
	for info, err := range s.List(t.Context(), "a/10") {
		if err != nil || info.Size != 4 || info.Modified.IsZero() {
			t.Errorf("%+v %v", info, err)
		}
	}
	for _, err := range s.List(t.Context(), "../") {
		if err == nil {
			t.Error("a prefix outside was listed")
		}
	}
}

func testListStops(t *testing.T, s objstore.Store) {
	for _, k := range []string{"a", "b", "c/d", "c/e"} {
		Put(t, s, k, k)
	}
	n := 0
	for _, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Fatal(n)
	}
}

func testDelete(t *testing.T, s objstore.Store) {
	Put(t, s, "a/x", "1")
	Put(t, s, "a/y", "2")
	for range 2 {
		if err := s.Delete(t.Context(), "a/x"); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.Head(t.Context(), "a/x")
	is(t, err, objstore.ErrNotFound)
	if got := Keys(t, s, "a/"); !slices.Equal(got, []string{"a/y"}) {
		t.Fatal(got)
	}
	Put(t, s, "a/x", "another")
	if got := Get(t, s, "a/x", 0, -1); got != "another" {
		t.Fatal(got)
	}
}

func testKeys(t *testing.T, s objstore.Store) {
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../../b", "a/./b", "a/..", "a\x00b", "a\nb", `a\b`, "a\xff",
		strings.Repeat("x", 201), strings.Repeat("x/", 600) + "y", "a/.sluice-tmp-1",
	} {
		_, perr := s.Put(t.Context(), key, objstore.BytesBody(nil), objstore.PutOptions{})
		_, gerr := s.Get(t.Context(), key, 0, -1)
		_, herr := s.Head(t.Context(), key)
		for i, err := range []error{perr, gerr, herr, s.Delete(t.Context(), key)} {
			if flow.ClassOf(err) != flow.Config {
				t.Errorf("key %.40q, call %d: %v", key, i, err)
			}
		}
	}
	for _, key := range []string{"a b", "ä/ö", "a+b", "a%2Fb", "a%b", "a&b=c;d,e:f@g", "a?b#c", "日本/語", ".hidden", "...", "a'b(c)*!~$"} {
		Put(t, s, key, key)
		if got := Get(t, s, key, 0, -1); got != key {
			t.Errorf("%s: %q", key, got)
		}
		if got := Keys(t, s, key); !slices.Contains(got, key) {
			t.Errorf("%s is not listed: %q", key, got)
		}
	}
}

func testContexts(t *testing.T, s objstore.Store) {
	Put(t, s, "x", "1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, perr := s.Put(ctx, "y", objstore.BytesBody([]byte("1")), objstore.PutOptions{})
	_, gerr := s.Get(ctx, "x", 0, -1)
	_, herr := s.Head(ctx, "x")
	var lerr error
	for _, err := range s.List(ctx, "") {
		lerr = err
	}
	for i, err := range []error{perr, gerr, herr, s.Delete(ctx, "x"), lerr} {
		if !errors.Is(err, context.Canceled) || flow.ClassOf(err) == flow.Transient {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if keys := Keys(t, s, ""); !slices.Equal(keys, []string{"x"}) {
		t.Fatal(keys)
	}
}

func testOptions(t *testing.T, s objstore.Store) {
	text := "with all that a bucket without locks takes"
	_, err := s.Put(t.Context(), "x", objstore.BytesBody([]byte(text)), objstore.PutOptions{
		SHA256: sha256.Sum256([]byte(text)), ContentType: "application/zstd", StorageClass: "STANDARD",
		Tags: map[string]string{"rule": "orders of 2019 + before: all", "run": "r/1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := Get(t, s, "x", 0, -1); got != text {
		t.Fatal(got)
	}
}

func testProbe(t *testing.T, s objstore.Store) {
	if err := objstore.Probe(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if keys := Keys(t, s, ""); len(keys) > 0 {
		t.Fatal(keys)
	}
}
