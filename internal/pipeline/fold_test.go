package pipeline

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"sluice/internal/flow"
)

// merged returns what a lane sends for changes that gather while it is busy
// with another one.
func merged(t *testing.T, opts Options, batches ...flow.Batch) (string, Status) {
	t.Helper()
	var text string
	var status Status
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{answer: func(n int, _ flow.Batch) ([]flow.Verdict, error) {
			if n == 0 {
				<-time.After(time.Second)
			}
			return nil, nil
		}}
		src := &fakeSource{batches: append([]flow.Batch{batchOf(write("first", 1))}, batches...)}
		opts.Stream, opts.Sink, opts.Lanes = src, rec, 1
		// The others must not be read before the first is being written.
		src.onRead = func(context.Context, int) error { synctestYield(); return nil }
		p := New(opts)
		if err := p.Run(t.Context(), nil); err != nil {
			t.Error(err)
		}
		for i := range src.batches {
			if got := src.acked(i); len(got) != 1 || got[0] != nil {
				t.Errorf("batch %d: acks %v", i, got)
			}
		}
		text, status = rec.text(), p.Status()
	})
	return text, status
}

// synctestYield lets every other goroutine of the bubble go on until it waits.
func synctestYield() { <-time.After(time.Millisecond) }

func TestS1FoldSameVersion(t *testing.T) {
	f := func(want string, changes ...flow.Change) {
		t.Helper()
		got, status := merged(t, Options{}, batchOf(changes...))
		if want = "write first@1 | " + want; got != want {
			t.Errorf("sent %q, want %q", got, want)
		}
		if n := int64(len(changes) + 1); status.Total.Sum() != n || status.Read != n {
			t.Errorf("%d verdicts of %d read, want %d", status.Total.Sum(), status.Read, n)
		}
	}
	skip := write("a", 7)
	skip.Op = flow.OpSkip
	f("write a@5", write("a", 5), write("a", 5))
	f("delete a@5", write("a", 5), remove("a", 5))
	f("write a@5", remove("a", 5), write("a", 5))
	f("write a@5", write("a", 5), remove("a", 5), write("a", 5))
	f("delete a@7", write("a", 5), write("a", 6), remove("a", 7))
	f("write a@7", remove("a", 6), write("a", 7))
	f("write a@7 write b@6", write("a", 5), write("b", 6), write("a", 7))
	f("write a@6", write("a", 6), skip)
	f("write a@7", write("a", 7), remove("a", 6)) // a stream that was opened again earlier
	f("write 1@8", write(int32(1), 5), write(1.0, 6), remove(int64(1), 7), write(int32(1), 8))
}

func TestS2FoldHundredUpdates(t *testing.T) {
	var changes []flow.Change
	for n := range 100 {
		changes = append(changes, write("hot", 5+n))
	}
	got, status := merged(t, Options{}, batchOf(changes[:50]...), batchOf(changes[50:]...))
	if want := "write first@1 | write hot@104"; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
	if status.Total.Folded != 99 || status.Total.Done != 2 {
		t.Errorf("counts %+v, want 99 folded and 2 done", status.Total)
	}
}

// TestMergeBytes: a batch ends at its bytes, one change may be larger, and
// what folding saves does not count.
func TestMergeBytes(t *testing.T) {
	one := size(ptr(write("a", 5)))
	f := func(limit int, want string, changes ...flow.Change) {
		t.Helper()
		got, _ := merged(t, Options{BatchBytes: limit}, batchOf(changes...))
		if want = "write first@1 | " + want; got != want {
			t.Errorf("limit %d: sent %q, want %q", limit, got, want)
		}
	}
	f(2*one, "write a@5 write b@6 | write c@7", write("a", 5), write("b", 6), write("c", 7))
	f(1, "write a@5 | write b@6", write("a", 5), write("b", 6))
	f(2*one, "write a@9 write b@8", write("a", 5), write("b", 6), write("a", 7), write("b", 8), write("a", 9))
}

func ptr[T any](v T) *T { return &v }

// TestFoldMissingIsDelete: what one change of a key knows of a missing document
// is not lost when a later one takes its place.
func TestFoldMissingIsDelete(t *testing.T) {
	var got bool
	stage := stageFunc(func(_ context.Context, b flow.Batch) (flow.Batch, error) {
		for i := range b.Changes {
			got = b.Changes[i].MissingIsDelete
			b.Changes[i].Op = flow.OpSkip
		}
		return b, nil
	})
	a, b := write("a", 5), write("a", 6)
	a.Op, b.Op, a.Doc, b.Doc, a.MissingIsDelete = flow.OpReread, flow.OpReread, nil, nil, true
	if merged(t, Options{Reread: stage}, batchOf(a, b)); !got {
		t.Error("the mark was lost")
	}
}

func TestFolderIsAMap(t *testing.T) {
	var f folder
	rapid.Check(t, func(t *rapid.T) {
		f.begin()
		model := make(map[key]int)
		span := rapid.SampledFrom([]uint64{1, 10, 5000}).Draw(t, "span")
		for at := range rapid.IntRange(0, 3000).Draw(t, "n") {
			k := key{hi: uint64(at*at) % span, lo: uint64(at) % 2}
			want, known := model[k]
			if !known {
				model[k], want = at, at
			}
			s := f.find(k)
			if f.has(s) != known || known && int(s.at) != want {
				t.Fatalf("find %v: %v at %d; want %v at %d", k, f.has(s), s.at, known, want)
			}
			if !known {
				f.put(s, k, at)
			}
		}
	})
}

func TestFolderGenerationWraps(t *testing.T) {
	f := folder{slots: make([]foldSlot, minFoldSlots), gen: 1<<32 - 1}
	old := key{200, 0}
	*f.find(old) = foldSlot{k: old, at: 7, gen: 1} // of four billion batches ago
	f.begin()
	if f.has(f.find(old)) {
		t.Error("an old mark came alive")
	}
}
