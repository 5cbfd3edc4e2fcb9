package checkpoint

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// naive is the tracker as its description says it.
type naive struct{ done []bool }

func (n *naive) low() (int, bool) {
	i := 0
	for i < len(n.done) && n.done[i] {
		i++
	}
	return i - 1, i > 0
}

func (n *naive) pending() (open int) {
	for _, d := range n.done {
		if !d {
			open++
		}
	}
	return open
}

func TestS3TrackerIsTheSettledPrefix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tracker Tracker[int]
		var model naive
		var settle []func()
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			if len(settle) == 0 || rapid.Bool().Draw(t, "add") {
				settle = append(settle, tracker.Add(len(settle)))
				model.done = append(model.done, false)
			} else {
				// Drawn from all, so some are settled twice.
				i := rapid.IntRange(0, len(settle)-1).Draw(t, "which")
				settle[i]()
				model.done[i] = true
			}
			low, ok := tracker.Low()
			wantLow, wantOK := model.low()
			if ok != wantOK || ok && low != wantLow {
				t.Fatalf("low %d %v, want %d %v of %v", low, ok, wantLow, wantOK, model.done)
			}
			if got, want := tracker.Pending(), model.pending(); got != want {
				t.Fatalf("pending %d, want %d", got, want)
			}
		}
	})
}

func TestS3TrackerNeverPassesAnOpenOne(t *testing.T) {
	const n, workers = 20_000, 8
	var tracker Tracker[int]
	type open struct {
		pos    int
		settle func()
	}
	work := make(chan open, 256)
	var settled [n]bool
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			var held []open
			finish := func() {
				i := rand.IntN(len(held))
				mu.Lock()
				settled[held[i].pos] = true
				mu.Unlock()
				held[i].settle()
				held = append(held[:i], held[i+1:]...)
			}
			for o := range work {
				if held = append(held, o); len(held) > 20 {
					finish()
				}
			}
			for len(held) > 0 {
				finish()
			}
		})
	}
	checked := 0
	for i := range n {
		work <- open{i, tracker.Add(i)}
		if low, ok := tracker.Low(); ok {
			mu.Lock()
			for ; checked <= low; checked++ {
				if !settled[checked] {
					t.Errorf("low is %d and %d is open", low, checked)
				}
			}
			mu.Unlock()
		}
	}
	close(work)
	wg.Wait()
	if low, ok := tracker.Low(); !ok || low != n-1 || tracker.Pending() != 0 {
		t.Fatalf("at the end: low %d %v, %d pending", low, ok, tracker.Pending())
	}
}

func TestTrackerMemoryIsBoundedByTheOpenOnes(t *testing.T) {
	var tracker Tracker[[]byte]
	last := tracker.Add(nil)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	kept := make([]func(), 0, 10_000)
	for range 10_000 {
		settle := tracker.Add(make([]byte, 10_000))
		settle()
		kept = append(kept, settle)
	}
	if grown := int64(heap()) - int64(before); grown > 10<<20 {
		t.Fatalf("100 MB settled above one open: %d bytes are still alive", grown)
	}
	if tracker.Pending() != 1 {
		t.Fatalf("%d pending", tracker.Pending())
	}
	last()
	for _, again := range kept {
		again()
	}
	if low, ok := tracker.Low(); !ok || len(low) != 10_000 {
		t.Fatalf("low %d bytes, %v", len(low), ok)
	}
}

func BenchmarkTracker(b *testing.B) {
	var tracker Tracker[int]
	ring := make([]func(), 1024)
	b.ReportAllocs()
	for i := range b.N {
		if at := (i * 7) % len(ring); ring[at] != nil {
			ring[at]()
			ring[at] = tracker.Add(i)
		} else {
			ring[at] = tracker.Add(i)
		}
	}
}
