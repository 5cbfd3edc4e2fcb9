package script

import (
	"runtime/metrics"
	"sync"
	"time"
)

// heapAge is how old what is known of the heap may be: to look costs more than most calls.
const heapAge = 100 * time.Millisecond

// heapWatch tells calls how far the memory of the process may grow.
type heapWatch struct {
	mu        sync.Mutex
	at        time.Time
	live, all uint64
}

// most is how large the heap may become during a call that begins now: garbage is let
// grow to the size of what is in use before it is collected.
func (w *heapWatch) most(now time.Time) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(w.at) > heapAge {
		w.at = now
		w.live, w.all = heap()
	}
	return w.all + w.live + maxHeap
}

// heap is what the last collection has left, and what there is with what came since
// and with what is garbage by now.
func heap() (live, all uint64) {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64(), s[1].Value.Uint64()
}
