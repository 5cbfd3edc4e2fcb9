package objstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/flow"
)

// flaky is a store in memory that fails when it is told to.
type flaky struct {
	objects map[string][]byte
	fail    func(call int, op string) error // before the effect
	lose    func(call int, op string) error // after it
	chunk   int                             // bytes that a Get gives before it breaks; 0: all
	calls   []string
}

func passingError() error {
	return &flow.Error{Op: "try", Object: "x", Class: flow.Transient, Err: errors.New("passing")}
}

func (f *flaky) begin(op string) error {
	f.calls = append(f.calls, op)
	if f.fail != nil {
		return f.fail(len(f.calls), op)
	}
	return nil
}

func (f *flaky) Put(_ context.Context, key string, b Body, _ PutOptions) (Info, error) {
	if err := f.begin("put"); err != nil {
		return Info{}, err
	}
	if _, ok := f.objects[key]; ok {
		return Info{}, &flow.Error{Op: "put", Object: key, Class: flow.Conflict, Err: ErrExists}
	}
	all, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
	f.objects[key] = all
	if f.lose != nil && err == nil {
		err = f.lose(len(f.calls), "put")
	}
	return Info{Key: key, Size: b.Size()}, err
}

func (f *flaky) Delete(_ context.Context, key string) error {
	if err := f.begin("delete"); err != nil {
		return err
	}
	delete(f.objects, key)
	return nil
}

func (f *flaky) Head(_ context.Context, key string) (Info, error) {
	if err := f.begin("head"); err != nil {
		return Info{}, err
	}
	b := f.objects[key]
	h := sha256.Sum256(b)
	return Info{Key: key, Size: int64(len(b)), SHA256: hex.EncodeToString(h[:])}, nil
}

func (f *flaky) Get(_ context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if err := f.begin(fmt.Sprintf("get %d %d", off, n)); err != nil {
		return nil, err
	}
	b := f.objects[key][off:]
	if n >= 0 {
		b = b[:min(n, int64(len(b)))]
	}
	if f.chunk > 0 && f.chunk < len(b) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(b[:f.chunk]), brokenReader{})), nil
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, passingError() }

func (f *flaky) List(_ context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		if err := f.begin("list"); err != nil {
			yield(Info{}, err)
			return
		}
		n := 0
		for _, k := range slices.Sorted(keysOf(f.objects)) {
			if !strings.HasPrefix(k, prefix) {
				continue
			}
			if n++; f.chunk > 0 && n > f.chunk*len(f.calls) {
				yield(Info{}, passingError())
				return
			}
			if !yield(Info{Key: k}, nil) {
				return
			}
		}
	}
}

func keysOf(m map[string][]byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func newFlaky() *flaky { return &flaky{objects: map[string][]byte{}} }

func TestRetryIsBoundedAndOfPassingFailuresOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := func(class flow.Class, tries int) {
			t.Helper()
			s := newFlaky()
			s.fail = func(int, string) error { return &flow.Error{Op: "try", Class: class, Err: errors.New("no")} }
			r := WithRetry(s, RetryOptions{Attempts: 4, First: time.Second, Max: 3 * time.Second})
			began := time.Now()
			for i, call := range []func() error{
				func() error { _, err := r.Put(t.Context(), "x", BytesBody(nil), PutOptions{}); return err },
				func() error { _, err := r.Head(t.Context(), "x"); return err },
				func() error { _, err := r.Get(t.Context(), "x", 0, -1); return err },
				func() error { return r.Delete(t.Context(), "x") },
				func() error {
					for _, err := range r.List(t.Context(), "") {
						return err
					}
					return nil
				},
			} {
				s.calls = nil
				if err := call(); flow.ClassOf(err) != class || len(s.calls) != tries {
					t.Errorf("%s, call %d: %v after %v", class, i, err, s.calls)
				}
			}
			// 1 + 2 + 3 s, of which at least half, for each of five calls.
			if d := time.Since(began); tries > 1 && (d < 15*time.Second || d > 30*time.Second) || tries == 1 && d > 0 {
				t.Errorf("%s: %s", class, d)
			}
		}
		f(flow.Transient, 4)
		f(flow.Auth, 1)
		f(flow.Config, 1)
		f(flow.Conflict, 1)
		f(flow.Fatal, 1)
		f(flow.Unknown, 1)
	})
}

func TestRetryEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFlaky()
		s.fail = func(int, string) error { return passingError() }
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := WithRetry(s, RetryOptions{First: time.Hour, Max: time.Hour}).Head(ctx, "x")
		if err == nil || time.Since(began) != time.Second {
			t.Fatal(err, time.Since(began))
		}
	})
}

func TestA4RetryOfAPutThatSucceeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		once := func(call int, _ string) error {
			if call == 1 {
				return passingError()
			}
			return nil
		}
		for _, o := range []PutOptions{{}, {SHA256: sha256.Sum256([]byte("mine"))}} {
			s := newFlaky()
			s.lose = once
			info, err := WithRetry(s, RetryOptions{}).Put(t.Context(), "x", BytesBody([]byte("mine")), o)
			if err != nil || info.Size != 4 || !slices.Equal(s.calls, []string{"put", "put", "head"}) {
				t.Fatal(info, err, s.calls)
			}
			// Somebody else's object is not ours, before or after a failure.
			s = newFlaky()
			s.objects["x"], s.fail = []byte("them"), once
			if _, err = WithRetry(s, RetryOptions{}).Put(t.Context(), "x", BytesBody([]byte("mine")), o); !errors.Is(err, ErrExists) {
				t.Fatal(err)
			}
			s.fail = nil
			if _, err = WithRetry(s, RetryOptions{}).Put(t.Context(), "x", BytesBody([]byte("them")), PutOptions{}); !errors.Is(err, ErrExists) {
				t.Fatal(err)
			}
		}
	})
}

func TestRetryReadsOnWhereItBroke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const text = "0123456789"
		s := newFlaky()
		s.objects["x"], s.chunk = []byte(text), 3
		r := WithRetry(s, RetryOptions{Attempts: 2})
		f := func(off, n int64, want string, calls ...string) {
			t.Helper()
			s.calls = nil
			rc, err := r.Get(t.Context(), "x", off, n)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(rc)
			if err != nil || string(b) != want || !slices.Equal(s.calls, calls) {
				t.Errorf("%q %v %q", b, err, s.calls)
			}
			_ = rc.Close()
		}
		f(0, -1, text, "get 0 -1", "get 3 -1", "get 6 -1", "get 9 -1")
		f(1, 5, "12345", "get 1 5", "get 4 2")
		f(2, 2, "23", "get 2 2")
		// What gives no byte at all is bounded.
		s.chunk = 0
		s.fail = func(call int, _ string) error {
			if call > 1 {
				return passingError()
			}
			return nil
		}
		s.chunk, s.calls = 3, nil
		rc, err := r.Get(t.Context(), "x", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(rc)
		if string(b) != "012" || flow.ClassOf(err) != flow.Transient || len(s.calls) > 3 {
			t.Fatal(string(b), err, s.calls)
		}
	})
}

func TestRetryListsOnWhereItBroke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFlaky()
		for _, k := range []string{"a", "b", "c", "d", "e"} {
			s.objects[k] = nil
		}
		s.chunk = 2
		var keys []string
		for info, err := range WithRetry(s, RetryOptions{Attempts: 2}).List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, info.Key)
		}
		if strings.Join(keys, "") != "abcde" || len(s.calls) != 3 {
			t.Fatal(keys, s.calls)
		}
	})
}

func TestLimitKeepsTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDir(t)
		s := WithRetry(WithLimit(d, LimitOptions{BytesPerSecond: 1 << 20}), RetryOptions{})
		body := bytes.Repeat([]byte("x"), 10<<20)
		f := func(call func()) {
			t.Helper()
			began := time.Now()
			call()
			if took := time.Since(began); took < 9900*time.Millisecond || took > 11*time.Second {
				t.Errorf("10 MiB at 1 MiB/s took %s", took)
			}
		}
		f(func() {
			if _, err := s.Put(t.Context(), "x", BytesBody(body), PutOptions{}); err != nil {
				t.Error(err)
			}
		})
		f(func() { _ = get(t, s, "x") })
	})
}

func TestLimitOfZeroIsNone(t *testing.T) {
	d := newDir(t)
	if WithLimit(d, LimitOptions{}) != Store(d) {
		t.Fatal("wrapped")
	}
}

func TestAsLooksThroughWrappers(t *testing.T) {
	d := newDir(t)
	w := WithRetry(WithLimit(d, LimitOptions{BytesPerSecond: 1}), RetryOptions{})
	if s, ok := As[Sweeper](w); !ok || s != Sweeper(d) {
		t.Fatal("no sweeper")
	}
	if _, ok := As[Thawer](w); ok {
		t.Fatal("a directory does not thaw")
	}
}
