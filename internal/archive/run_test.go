package archive

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/lease"
	"sluice/internal/pack"
)

// run runs a rule to its end, and holds A1 afterwards.
func run(t *testing.T, w *world, r *Runner, rule Rule) Report {
	t.Helper()
	rep, err := r.Run(t.Context(), rule)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.broken(); err != nil {
		t.Fatal(err)
	}
	return rep
}

func TestRunArchivesAndDeletes(t *testing.T) {
	for name, change := range map[string]func(*Rule){
		"plain": func(*Rule) {}, "parallel": func(r *Rule) { r.Parallel = 3 },
		"gzip": func(r *Rule) { r.Codec = pack.Gzip }, "without transactions": func(r *Rule) { r.WithoutTransactions = true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(95)
				w.write(500, w.doc(500, time.Hour, "young"))
				_, r := w.process(t, "one", nil)
				rule := rule()
				change(&rule)
				time.Sleep(time.Second)
				rep := run(t, w, r, rule)
				if ids := w.ids(); len(ids) != 1 || ids[0] != 500 {
					t.Errorf("live are %v", ids)
				}
				if rep.Deleted != 95 || rep.Run.State != cold.RunClosed || !rep.Run.Complete || rep.Run.Docs != 95 || rep.Run.Deleted != 95 {
					t.Errorf("report %+v, run %+v", rep, rep.Run)
				}
				if s := w.states(); s[cold.PackClosed] != rep.Run.Packs || len(s) != 1 || rep.Run.Packs < 10 {
					t.Errorf("packs %v", s)
				}
				if rep := run(t, w, r, rule); rep.Run != nil {
					t.Errorf("a second run found %+v", rep.Run)
				}
				empty(t, r)
				p := r.Progress()
				if len(p) != 1 || p[0].State != "idle" {
					t.Errorf("progress %+v", p)
				}
			})
		})
	}
}

// empty fails if something is left in the spool.
func empty(t *testing.T, r *Runner) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(r.deps.SpoolDir, "*", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in the spool: %v, %v", left, err)
	}
}

// A3: what changed, was replaced or came again between read and delete stays.
func TestA3ChangedStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(9)
		var once atomic.Bool
		_, r := w.process(t, "one", func(p *proc, edge string) error {
			if edge == StepCommitted+atAfter && !once.Swap(true) {
				p.write(1, p.doc(1, 101*time.Hour, "changed"))
				p.write(2, nil)
				p.write(3, nil)
				p.write(3, p.doc(3, 2*time.Hour, "again"))
				p.write(4, p.doc(4, 104*time.Hour, "first")) // the same again
			}
			return nil
		})
		time.Sleep(time.Second)
		rep := run(t, w, r, rule())
		if rep.Deleted != 6 || rep.Changed != 2 || rep.Gone != 1 {
			t.Errorf("deleted %d, changed %d, gone %d", rep.Deleted, rep.Changed, rep.Gone)
		}
		if ids := w.ids(); len(ids) != 2 {
			t.Errorf("live are %v", ids)
		}
		if rep := run(t, w, r, rule()); rep.Deleted != 1 {
			t.Errorf("the next run has deleted %d", rep.Deleted)
		}
	})
}

func TestA2SoakDeletesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(25)
		_, r := w.process(t, "one", nil)
		rule := rule()
		rule.Soak = 48 * time.Hour
		time.Sleep(time.Second)
		rep := run(t, w, r, rule)
		if rep.Run.State != cold.RunSoaking || len(w.ids()) != 25 || rep.Waiting != 3 {
			t.Fatalf("after the first run: %+v, %d live", rep, len(w.ids()))
		}
		// Nothing is read twice, and what changes while it soaks comes again.
		if rep := run(t, w, r, rule); rep.Run != nil {
			t.Fatalf("a second run reads again: %+v", rep.Run)
		}
		w.write(7, w.doc(7, 150*time.Hour, "changed"))
		w.write(8, nil)
		time.Sleep(47 * time.Hour)
		if run(t, w, r, rule); len(w.ids()) != 24 {
			t.Fatalf("deleted before its time: %d live", len(w.ids()))
		}
		time.Sleep(2 * time.Hour)
		_, other := w.process(t, "two", nil)
		rep = run(t, w, other, rule)
		if rep.Deleted != 23 || rep.Changed != 1 || rep.Gone != 1 || rep.Resumed != 3 {
			t.Fatalf("when it is due: %+v", rep)
		}
		if rep.Run == nil || rep.Run.Docs != 1 {
			t.Fatalf("the changed document was not archived again: %+v", rep.Run)
		}
		time.Sleep(49 * time.Hour)
		if run(t, w, other, rule); len(w.ids()) != 0 {
			t.Errorf("live are %v", w.ids())
		}
		for _, r := range w.runs {
			if r.State != cold.RunClosed {
				t.Errorf("run %s is %s", r.ID, r.State)
			}
		}
		if len(w.except) != 1 || w.except[0].Outcome != cold.Gone {
			t.Errorf("exceptions %v", w.except)
		}
	})
}

func TestA2CopyKeepsAMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(25)
		_, r := w.process(t, "one", nil)
		rule := rule()
		rule.Delete = false
		time.Sleep(time.Second)
		rep := run(t, w, r, rule)
		if rep.Run.State != cold.RunClosed || rep.Run.Docs != 25 || len(w.ids()) != 25 {
			t.Fatalf("first %+v", rep.Run)
		}
		w.write(100, w.doc(100, 99*time.Hour, "young"))
		time.Sleep(2 * time.Hour)
		if rep := run(t, w, r, rule); rep.Run == nil || rep.Run.Docs != 1 {
			t.Fatalf("second %+v", rep.Run)
		}
		for key := range w.store {
			if strings.HasSuffix(key, ".outcome") {
				t.Errorf("a copy has an outcome: %s", key)
			}
		}
		// What was only copied does not count once the rule deletes.
		rule.Delete = true
		if rep := run(t, w, r, rule); rep.Deleted != 26 {
			t.Errorf("deleted %d", rep.Deleted)
		}
	})
}

func TestA2ShadowDeletesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(9)
		_, r := w.process(t, "one", func(p *proc, edge string) error {
			if edge == StepCommitted+atAfter {
				p.write(1, p.doc(1, 101*time.Hour, "changed"))
				p.write(2, nil)
			}
			return nil
		})
		rule := rule()
		rule.Shadow = true
		time.Sleep(time.Second)
		rep := run(t, w, r, rule)
		if rep.Deleted != 7 || rep.Changed != 1 || rep.Gone != 1 || len(w.ids()) != 8 || len(w.deletedBy) != 0 {
			t.Errorf("%+v, %d live, deletes %v", rep, len(w.ids()), w.deletedBy)
		}
	})
}

func TestA8HeldKeysStay(t *testing.T) {
	plain := rule()
	plain.WithoutTransactions = true
	t.Run("transactions", func(t *testing.T) { heldKeysStay(t, rule()) })
	t.Run("without transactions", func(t *testing.T) { heldKeysStay(t, plain) })
}

func heldKeysStay(t *testing.T, rule Rule) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(20)
		w.holds[3] = true
		_, r := w.process(t, "one", func(p *proc, edge string) error {
			if edge == StepCommitted+atAfter {
				p.world.mu.Lock()
				defer p.world.mu.Unlock()
				p.holds[15] = true // restored from an older pack, equal to what this one has
			}
			return nil
		})
		time.Sleep(time.Second)
		rep := run(t, w, r, rule)
		ids := w.ids()
		if len(ids) != 2 || ids[0] != 3 || ids[1] != 15 || rep.Held != 1 {
			t.Errorf("live are %v, held %d", ids, rep.Held)
		}
	})
}

// A rule that was told to keep deletes nothing of earlier runs either.
func TestA2DeleteTurnedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(9)
		soak := rule()
		soak.Soak = time.Hour
		_, r := w.process(t, "one", nil)
		time.Sleep(time.Second)
		run(t, w, r, soak)
		time.Sleep(2 * time.Hour)
		keep := soak
		keep.Delete, keep.Soak = false, 0
		run(t, w, r, keep)
		if len(w.ids()) != 9 {
			t.Fatalf("%d are left", len(w.ids()))
		}
		run(t, w, r, soak)
		if len(w.ids()) != 0 {
			t.Errorf("%d are left", len(w.ids()))
		}
	})
}

func TestSpoolDiskTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(9)
		_, r := w.process(t, "one", nil)
		if err := os.Remove(r.deps.SpoolDir); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(r.deps.SpoolDir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := r.Run(t.Context(), rule())
		var f *flow.Error
		if !errors.As(err, &f) || f.Class != flow.Fatal {
			t.Fatalf("got %v", err)
		}
		if err := os.Remove(r.deps.SpoolDir); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if rep := run(t, w, r, rule()); rep.Deleted != 9 {
			t.Errorf("deleted %d", rep.Deleted)
		}
	})
}

// The answer to a transaction is lost: the row tells that it was done.
func TestA2LostAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(30)
		p, r := w.process(t, "one", nil)
		var n atomic.Int64
		p.after = func(call string) error {
			if call == "delete" && n.Add(1)%2 == 0 {
				return &flow.Error{Op: "commit", Class: flow.Transient, Err: errors.New("no answer")}
			}
			return nil
		}
		p.hook = func(call string) error {
			if call == "delete" && n.Add(1)%3 == 0 {
				return &flow.Error{Op: "delete", Class: flow.Transient, Err: errors.New("no primary")}
			}
			return nil
		}
		time.Sleep(time.Second)
		if rep := run(t, w, r, rule()); rep.Deleted != 30 || rep.Gone != 0 {
			t.Errorf("%+v", rep)
		}
	})
}

// Damage between upload and verify: nothing is deleted.
func TestA4DamagedObjectIsNeverCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(9)
		p, r := w.process(t, "one", nil)
		p.after = func(call string) error {
			if call != "upload" {
				return nil
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			for k, b := range w.store {
				w.store[k] = b[:len(b)-3]
			}
			return nil
		}
		time.Sleep(time.Second)
		if _, err := r.Run(t.Context(), rule()); err == nil {
			t.Fatal("a truncated object passed")
		}
		if len(w.ids()) != 9 {
			t.Fatalf("%d are left", len(w.ids()))
		}
		for _, r := range w.runs {
			if r.State != cold.RunFailed || r.Error == "" {
				t.Errorf("the run is %s, %q", r.State, r.Error)
			}
		}
		p.after = nil
		if rep := run(t, w, r, rule()); rep.Deleted != 9 || rep.Abandoned != 1 {
			t.Errorf("the next run: %+v", rep)
		}
	})
}

// Two processes on one rule: one works, the other waits.
func TestA2OneWorksTheOtherWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(30)
		_, one := w.process(t, "one", func(*proc, string) error { time.Sleep(time.Second); return nil })
		_, two := w.process(t, "two", func(*proc, string) error { time.Sleep(time.Second); return nil })
		time.Sleep(time.Second)
		ended := make(chan Report, 2)
		for _, r := range []*Runner{one, two} {
			go func() {
				rep, err := r.Run(t.Context(), rule())
				if err != nil {
					t.Error(err)
				}
				ended <- rep
			}()
		}
		a, b := <-ended, <-ended
		if a.Deleted != 30 || b.Deleted != 0 {
			t.Errorf("deleted %d and %d", a.Deleted, b.Deleted)
		}
		if len(w.deletedBy) != 1 {
			t.Errorf("deletes by %v", w.deletedBy)
		}
	})
}

// A frozen owner, woken after another has finished, does nothing more.
func TestA2FrozenOwnerDoesNothingMore(t *testing.T) {
	for _, edge := range Edges() {
		t.Run(edge, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { freezeAt(t, edge) })
		})
	}
}

func freezeAt(t *testing.T, edge string) {
	w := newWorld(25)
	time.Sleep(time.Second)
	frozen := make(chan struct{})
	stopped := false
	one, r1 := w.process(t, "one", func(p *proc, e string) error {
		if e != edge || stopped {
			return p.still()
		}
		stopped = true
		p.freeze()
		close(frozen)
		return p.still()
	})
	rule := rule()
	if strings.HasPrefix(edge, StepMark) {
		rule.Soak = time.Minute
	}
	ended := make(chan error, 1)
	go func() {
		_, err := r1.Run(t.Context(), rule)
		ended <- err
	}()
	<-frozen
	_, r2 := w.process(t, "two", nil)
	run(t, w, r2, rule)
	one.mu.Lock()
	before := len(one.writes)
	one.mu.Unlock()
	one.thaw()
	err := <-ended
	// After the last step nothing was left to be kept from.
	if !errors.Is(err, lease.ErrLost) && edge != StepEnd+atAfter {
		t.Errorf("the woken owner ended with %v", err)
	}
	if extra := one.writes[before:]; len(extra) > 0 {
		t.Errorf("the woken owner did %v", extra)
	}
	if err := w.broken(); err != nil {
		t.Error(err)
	}
}
