package archive

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"sluice/internal/cold"
	"sluice/internal/flow"
)

// A1, A2: killed at every edge, first or later; the next owner finishes.
func TestA1KilledAtEveryEdge(t *testing.T) {
	for _, edge := range Edges() {
		for _, nth := range []int{1, 2} {
			for _, soak := range []time.Duration{0, time.Hour} {
				t.Run(fmt.Sprintf("%s/%d/soak=%v", edge, nth, soak), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { killAt(t, edge, nth, soak) })
				})
			}
		}
	}
}

// once tells whether an edge is passed once in a run.
func once(edge string) bool {
	return edge[:3] == StepRun || edge[:3] == StepEnd
}

func killAt(t *testing.T, edge string, nth int, soak time.Duration) {
	w := newWorld(25)
	time.Sleep(time.Second)
	rule := rule()
	rule.Soak = soak
	n := 0
	killed := false
	at := func(p *proc, e string) error {
		if e == edge {
			if n++; n == nth {
				killed = true
				p.kill()
				return errDead
			}
		}
		return p.still()
	}
	// With a soak the deletes are those of a second process.
	for i := 0; !killed && i < 2; i++ {
		_, r := w.process(t, fmt.Sprint("one", i), at)
		_, err := r.Run(t.Context(), rule)
		if killed && err == nil && edge != StepEnd+atAfter {
			t.Fatal("a killed process has ended well")
		}
		time.Sleep(soak + time.Minute)
	}
	never := nth == 2 && once(edge) || soak == 0 && edge[:4] == StepMark
	if !killed && !never {
		t.Fatal("the edge was not passed")
	}
	if err := w.broken(); err != nil {
		t.Fatal("when it was killed: ", err)
	}
	for i := range 2 {
		_, r := w.process(t, fmt.Sprint("two", i), nil)
		run(t, w, r, rule)
		time.Sleep(soak + time.Minute)
	}
	_, r := w.process(t, "three", nil)
	run(t, w, r, rule)
	if ids := w.ids(); len(ids) != 0 {
		t.Errorf("live are %v", ids)
	}
	settled(t, w)
	empty(t, r)
}

// settled: nothing is left half done, and what was deleted adds up.
func settled(t interface{ Errorf(string, ...any) }, w *world) {
	deleted := 0
	for _, p := range w.packs {
		switch p.State {
		case cold.PackClosed, cold.PackAbandoned:
		default:
			t.Errorf("pack %s is %s", p.ID, p.State)
		}
		if p.State == cold.PackClosed && (p.Next != p.Docs || p.Deleted+p.Changed+p.Gone != p.Docs) {
			t.Errorf("pack %s: %d of %d have an outcome (%d, %d, %d)", p.ID, p.Next, p.Docs, p.Deleted, p.Changed, p.Gone)
		}
		deleted += p.Deleted
	}
	by := 0
	for _, n := range w.deletedBy {
		by += n
	}
	if by != deleted {
		t.Errorf("%d were deleted, and the packs tell of %d", by, deleted)
	}
	for _, r := range w.runs {
		switch r.State {
		case cold.RunClosed, cold.RunAbandoned, cold.RunFailed:
		default:
			t.Errorf("run %s is %s", r.ID, r.State)
		}
	}
}

// chaos is one world in which users write, and processes die, at any call.
type chaos struct {
	Seed         uint64
	Docs         int
	Parallel     int
	Soak         time.Duration
	Transactions bool
	Kill, Fail   float64 // per call
	User         float64 // per call
}

// A1 and A2 over random schedules of kills, faults, lost answers, updates,
// deletes and insertions again.
func TestA1RandomSchedules(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := chaos{
			Seed: rapid.Uint64().Draw(rt, "seed"), Docs: rapid.IntRange(0, 60).Draw(rt, "docs"),
			Parallel:     rapid.IntRange(1, 3).Draw(rt, "parallel"),
			Soak:         rapid.SampledFrom([]time.Duration{0, 0, 30 * time.Minute}).Draw(rt, "soak"),
			Transactions: rapid.IntRange(0, 4).Draw(rt, "transactions") > 0,
			Kill:         rapid.SampledFrom([]float64{0, 0.005, 0.02, 0.1}).Draw(rt, "kill"),
			Fail:         rapid.SampledFrom([]float64{0, 0.01, 0.05}).Draw(rt, "fail"),
			User:         rapid.SampledFrom([]float64{0, 0.1, 0.5}).Draw(rt, "user"),
		}
		var problem error
		synctest.Test(t, func(t *testing.T) { problem = c.play(t) })
		if problem != nil {
			rt.Fatal(problem)
		}
	})
}

// user changes a random document.
func (w *world) user(rnd *rand.Rand) {
	id := int32(rnd.IntN(65))
	age := time.Duration(80+rnd.IntN(100)) * time.Hour
	switch rnd.IntN(4) {
	case 0:
		w.write(id, nil)
	case 1:
		w.mu.Lock()
		was := w.truth[id]
		w.mu.Unlock()
		// Archived or not, the same bytes again are one more truth.
		w.write(id, bytes.Clone(was))
	default:
		w.write(id, w.doc(id, age, fmt.Sprint("v", rnd.IntN(3))))
	}
}

func (c chaos) play(t *testing.T) error {
	w := newWorld(c.Docs)
	rnd := rand.New(rand.NewPCG(c.Seed, 1))
	// Calls come from several goroutines.
	lock := make(chan struct{}, 1)
	chance := func(p float64) bool {
		lock <- struct{}{}
		defer func() { <-lock }()
		return rnd.Float64() < p
	}
	fault := func() error { return &flow.Error{Op: "call", Class: flow.Transient, Err: fmt.Errorf("no answer")} }
	var bad error
	calm := false
	start := func(name string) (*proc, *Runner) {
		p, r := w.process(t, name, nil)
		at := func(string) error {
			if calm {
				return nil
			}
			if chance(c.User) {
				lock <- struct{}{}
				w.user(rnd)
				<-lock
			}
			if chance(c.Kill) {
				p.kill()
				return errDead
			}
			if chance(c.Fail) {
				return fault()
			}
			return nil
		}
		p.hook, p.after = at, func(call string) error {
			if call == "delete" || call == "commit" {
				if err := w.broken(); err != nil {
					lock <- struct{}{}
					bad = err
					<-lock
				}
			}
			return at(call)
		}
		r.opts.Edge = func(_ context.Context, e string) error { return at(e) }
		return p, r
	}
	rule := rule()
	fixed := time.Now().Add(-100 * time.Hour)
	rule.Cutoff = func(time.Time) time.Time { return fixed }
	rule.Parallel, rule.Soak, rule.WithoutTransactions = c.Parallel, c.Soak, !c.Transactions
	time.Sleep(time.Second)
	for i := range 6 {
		_, r := start(fmt.Sprint("p", i))
		_, _ = r.Run(t.Context(), rule)
		time.Sleep(c.Soak/2 + time.Minute)
		if err := w.broken(); err != nil {
			return err
		}
	}
	calm = true
	if bad != nil {
		return bad
	}
	// Without trouble it comes to an end; with a soak, after three of them: what
	// had changed soaks once more.
	for i := range 4 {
		_, r := start(fmt.Sprint("last", i))
		if _, err := r.Run(t.Context(), rule); err != nil {
			return fmt.Errorf("in peace: %w", err)
		}
		time.Sleep(c.Soak + time.Minute)
	}
	if err := w.broken(); err != nil {
		return err
	}
	var e errs
	settled(&e, w)
	sel := rule.selection(time.Now(), time.Time{})
	if left := w.old(sel, cold.Bounds{}); len(left) > 0 && c.Soak == 0 {
		e.Errorf("%d old documents are left", len(left))
	}
	return e.err
}

type errs struct{ err error }

func (e *errs) Errorf(format string, args ...any) { e.err = fmt.Errorf(format, args...) }
