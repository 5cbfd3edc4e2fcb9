package archive

import (
	"bytes"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/objstore"
	"sluice/internal/pack"
)

// A pack that was damaged or lost while it soaked, or since its owner died in the
// middle of its deletes, deletes nothing: that it was whole once is no proof.
func TestA1DamagedSinceItWasVerified(t *testing.T) {
	for name, damage := range map[string]func(b []byte) []byte{
		"cut":     func(b []byte) []byte { return b[:len(b)-9] },
		"altered": func(b []byte) []byte { b = bytes.Clone(b); b[len(b)/2] ^= 1; return b },
		"lost":    func([]byte) []byte { return nil },
	} {
		for _, soak := range []time.Duration{0, time.Hour} {
			t.Run(name+" after "+soak.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { damagedSince(t, damage, soak) })
			})
		}
	}
}

func damagedSince(t *testing.T, damage func([]byte) []byte, soak time.Duration) {
	w := newWorld(9)
	rule := rule()
	rule.Soak = soak
	time.Sleep(time.Second)
	_, one := w.process(t, "one", func(p *proc, edge string) error {
		if edge == StepBatch+atAfter { // the first of three
			p.kill()
		}
		return p.still()
	})
	_, _ = one.Run(t.Context(), rule)
	time.Sleep(soak + time.Minute)
	live := w.ids()
	var object string
	for _, p := range w.packs {
		object = p.Object
	}
	whole := w.store[object]
	if w.store[object] = damage(whole); w.store[object] == nil {
		delete(w.store, object)
	}
	_, two := w.process(t, "two", nil)
	if _, err := two.Run(t.Context(), rule); err == nil {
		t.Error("it is gone on with")
	}
	if left := w.ids(); !slices.Equal(left, live) {
		t.Errorf("live were %v, and are %v", live, left)
	}
	w.store[object] = whole
	time.Sleep(time.Minute)
	_, three := w.process(t, "three", nil)
	if run(t, w, three, rule); len(w.ids()) != 0 {
		t.Errorf("live are %v", w.ids())
	}
}

// What went into a cold class while it soaked is there: its deletes go on.
func TestA2ColdWhileItSoaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(9)
		rule := rule()
		rule.Soak = time.Hour
		time.Sleep(time.Second)
		_, one := w.process(t, "one", nil)
		run(t, w, one, rule)
		time.Sleep(2 * time.Hour)
		p, two := w.process(t, "two", nil)
		p.hook = func(call string) error {
			if call == "verify" {
				return &flow.Error{Op: "read object", Class: flow.Config, Err: objstore.ErrCold}
			}
			return nil
		}
		if run(t, w, two, rule); len(w.ids()) != 0 {
			t.Errorf("live are %v", w.ids())
		}
	})
}

// A manifest that is made again tells when the documents were read, not when the
// pack was begun: else a version that another pack took in between would pass for
// the newer one, and be restored.
func TestA8RemadeManifestKeepsItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(9)
		time.Sleep(time.Second)
		p, one := w.process(t, "one", func(p *proc, edge string) error {
			if edge == StepUploaded+atAfter {
				p.kill()
			}
			return p.still()
		})
		var between bson.Timestamp
		replies := 0
		p.hook = func(call string) error {
			if call != "next" {
				return nil
			}
			if replies++; replies == 2 {
				time.Sleep(5 * time.Minute)
				between = w.at()
			}
			return nil
		}
		_, _ = one.Run(t.Context(), rule())
		time.Sleep(time.Minute)
		_, two := w.process(t, "two", nil)
		if rep := run(t, w, two, rule()); rep.Resumed != 1 {
			t.Fatalf("%+v", rep)
		}
		for key, raw := range w.store {
			if m, err := pack.DecodeManifest(bytes.NewReader(raw)); err == nil && m.Header.ReadTo.Before(between) {
				t.Errorf("%s was read until %v, and tells %v", key, between, m.Header.ReadTo)
			}
		}
	})
}

// All that is no exception counts as deleted, so exceptions that are missing from
// the journal are no outcome.
func TestA8LostExceptionsAreNoOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(9)
		_, r := w.process(t, "one", func(p *proc, edge string) error {
			switch edge {
			case StepCommitted + atAfter:
				p.write(1, p.doc(1, 101*time.Hour, "changed"))
			case StepClosed + atBefore:
				p.world.mu.Lock()
				defer p.world.mu.Unlock()
				p.except = nil
			}
			return nil
		})
		time.Sleep(time.Second)
		if _, err := r.Run(t.Context(), rule()); flow.ClassOf(err) != flow.Fatal {
			t.Errorf("got %v", err)
		}
		if n := w.states()[cold.PackDeleted]; n != 1 {
			t.Errorf("packs are %v", w.states())
		}
	})
}
