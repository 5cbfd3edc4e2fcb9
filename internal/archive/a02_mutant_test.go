package archive

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/flow"
	"sluice/internal/governor"
	"sluice/internal/objstore"
)

// The mark of a rule tells that all before it was committed, so one of several
// ranges that are read at a time never moves it.
func TestA2MarkOfARangeIsNotThatOfAll(t *testing.T) {
	for nth := 1; nth <= 4; nth++ {
		synctest.Test(t, func(t *testing.T) {
			const docs = 60
			w := newWorld(docs)
			rule := rule()
			rule.Delete, rule.Parallel = false, 3
			n := 0
			_, one := w.process(t, "one", func(p *proc, edge string) error {
				if edge == StepMark+atAfter {
					w.mu.Lock()
					n++
					last := n == nth
					w.mu.Unlock()
					if last {
						p.kill()
					}
				}
				return p.still()
			})
			time.Sleep(time.Second)
			_, _ = one.Run(t.Context(), rule)
			time.Sleep(time.Minute)
			_, two := w.process(t, "two", nil)
			run(t, w, two, rule)
			w.mu.Lock()
			defer w.mu.Unlock()
			archived, err := w.archived()
			if err != nil {
				t.Fatal(err)
			}
			for id := range int32(docs) {
				if len(archived[id]) == 0 {
					t.Errorf("killed after mark %d: document %d is in no pack, and below the mark", nth, id)
				}
			}
		})
	}
}

// A pack whose manifest is not there deletes nothing, though its object is whole:
// that alone is not part of the archive.
func TestA1ObjectAloneIsNotTheManifest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(9)
		_, r := w.process(t, "one", nil)
		rule := rule()
		rule.Soak = time.Hour
		time.Sleep(time.Second)
		run(t, w, r, rule)
		w.mu.Lock()
		maps.DeleteFunc(w.store, func(key string, _ []byte) bool { return strings.HasSuffix(key, ".manifest") })
		w.mu.Unlock()
		time.Sleep(2 * time.Hour)
		if _, err := r.Run(t.Context(), rule); !errors.Is(err, objstore.ErrNotFound) {
			t.Errorf("without the manifest it gave %v", err)
		}
		if err := w.broken(); err != nil || len(w.ids()) != 9 {
			t.Errorf("%d are left: %v", len(w.ids()), err)
		}
	})
}

func TestA7NothingIsReadOrDeletedWhilePaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(25)
		g := governor.New(governor.Options{})
		paused := false
		_, r := w.process(t, "one", func(_ *proc, edge string) error {
			if edge == StepDeleting+atAfter && !paused {
				paused = true
				g.Pause("release night")
			}
			return nil
		})
		r.deps.Governor = g
		g.Pause("backup")
		time.Sleep(time.Second)
		ended := make(chan error, 1)
		go func() {
			_, err := r.Run(t.Context(), rule())
			ended <- err
		}()
		time.Sleep(time.Hour)
		if s := w.states(); len(s) > 0 {
			t.Errorf("while all is paused, it has packs: %v", s)
		}
		g.Resume()
		time.Sleep(time.Hour)
		if n := len(w.ids()); n != 25 {
			t.Errorf("while deletes are paused, %d of 25 are left", n)
		}
		g.Resume()
		if err := <-ended; err != nil || len(w.ids()) != 0 {
			t.Errorf("%d are left: %v", len(w.ids()), err)
		}
	})
}

// A manifest under the key of a pack that is that of another one deletes nothing.
func TestA2ManifestOfAnotherPackDeletesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(25)
		_, r := w.process(t, "one", nil)
		rule := rule()
		rule.Soak = time.Hour
		time.Sleep(time.Second)
		run(t, w, r, rule)
		w.mu.Lock()
		var keys []string
		for _, p := range w.packs {
			keys = append(keys, p.Manifest)
		}
		w.store[keys[0]], w.store[keys[1]] = w.store[keys[1]], w.store[keys[0]]
		w.mu.Unlock()
		time.Sleep(2 * time.Hour)
		_, err := r.Run(t.Context(), rule)
		if flow.ClassOf(err) != flow.Fatal {
			t.Errorf("with the manifests of two packs exchanged it gave %v", err)
		}
		for _, p := range w.packs {
			if (p.Manifest == keys[0] || p.Manifest == keys[1]) && p.Next > 0 {
				t.Errorf("pack %s has deleted %d documents", p.ID, p.Deleted)
			}
		}
	})
}
