package archive

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"sluice/internal/cold"
)

// process starts a process with a runner.
func (w *world) process(t testing.TB, name string, edge func(p *proc, edge string) error) (*proc, *Runner) {
	p := &proc{world: w, name: name}
	o := Options{DeleteBatch: 4, LeaseTTL: 30 * time.Second, LeaseClock: func() time.Duration { return time.Since(w.start) }}
	if edge != nil {
		o.Edge = func(_ context.Context, e string) error { return edge(p, e) }
	}
	s := procShelf{p}
	return p, NewRunner(Deps{
		DB: p, Leases: procLease{p}, Place: Place{Shelf: s, Objects: s}, Owner: name, Tool: "sluice test", SpoolDir: t.TempDir(),
	}, o)
}

// states counts the packs by state.
func (w *world) states() map[cold.PackState]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := map[cold.PackState]int{}
	for _, p := range w.packs {
		n[p.State]++
	}
	return n
}

func (w *world) ids() []int32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.live))
}

// rule archives what is older than 100 hours, in small packs.
func rule() Rule {
	return Rule{
		Name: "old", NS: orders, Field: "at", Kind: cold.AgeDate, Delete: true, BatchDocs: 7, PackDocs: 10,
		Cutoff: func(now time.Time) time.Time { return now.Add(-100 * time.Hour) },
	}
}
