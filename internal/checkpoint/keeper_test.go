package checkpoint

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/flow"
)

// memory is a Store that fails as it is told to.
type memory struct {
	mu    sync.Mutex
	rec   Record
	n     int
	saves int
	// fail is the answer to a Save; with lost, it is written all the same.
	fail error
	lost bool
}

func (m *memory) Load(ctx context.Context) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rec, ctx.Err()
}

func (m *memory) Save(ctx context.Context, r Record) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	m.saves++
	if m.fail != nil && !m.lost {
		return Record{}, m.fail
	}
	if m.rec.Rev != r.Rev {
		return Record{}, &flow.Error{Op: "save", Class: flow.Conflict, Err: ErrConflict}
	}
	m.n++
	r.Rev = fmt.Sprint(m.n)
	m.rec = r
	if m.fail != nil {
		return Record{}, m.fail
	}
	return r, nil
}

func (m *memory) answer(err error, lost bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail, m.lost = err, lost
}

func (m *memory) stored(t testing.TB) (position string, saves int) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := DecodeState(m.rec.Data)
	if err != nil {
		t.Fatal(err)
	}
	return string(s.Position), m.saves
}

var errDown = &flow.Error{Op: "save", Class: flow.Transient, Err: errors.New("the store is down")}

func acquired(t testing.TB, o KeeperOptions) *Keeper {
	t.Helper()
	o.Flow = "shop"
	k := NewKeeper(o)
	if _, err := k.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	return k
}

func at(n int) State { return State{Position: json.RawMessage(fmt.Sprint(n))} }

func TestKeeperGoesOnWhereTheLastOneStopped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	for life := range 3 {
		s := openAt(t, path)
		k := NewKeeper(KeeperOptions{Store: s, Flow: "shop"})
		state, err := k.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := ""
		if life > 0 {
			want = fmt.Sprint(life - 1)
		}
		if string(state.Position) != want || state.Flow != "shop" {
			t.Fatalf("life %d starts with %+v", life, state)
		}
		if err := k.Save(t.Context(), at(life)); err != nil {
			t.Fatal(err)
		}
		rec, err := s.Load(t.Context())
		if err != nil || rec.Fence != int64(life)+1 {
			t.Fatalf("life %d has fence %d, %v", life, rec.Fence, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestKeeperRefusesAnothersState(t *testing.T) {
	f := func(s string, class flow.Class, says string) {
		t.Helper()
		m := &memory{rec: Record{Rev: "x", Fence: 3, Data: []byte(s)}}
		_, err := NewKeeper(KeeperOptions{Store: m, Flow: "shop"}).Acquire(t.Context())
		if flow.ClassOf(err) != class || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want class %v with %q", err, class, says)
		}
		if m.rec.Fence != 3 || m.saves != 0 {
			t.Error("it was taken over all the same")
		}
	}
	f(`{"format":1,"flow":"other"}`, flow.Config, `"other"`)
	f(`{"format":9,"flow":"shop"}`, flow.Fatal, "newer")
	f(`{`, flow.Fatal, "backup")
}

// Who was overtaken learns it at its next save, and never writes again.
func TestS3KeeperOvertaken(t *testing.T) {
	m := &memory{}
	old := acquired(t, KeeperOptions{Store: m, Owner: "old"})
	if err := old.Save(t.Context(), at(5)); err != nil {
		t.Fatal(err)
	}
	young := acquired(t, KeeperOptions{Store: m, Owner: "young"})
	for range 3 {
		err := old.Save(t.Context(), at(6))
		if !errors.Is(err, ErrConflict) || flow.ClassOf(err) != flow.Conflict || !strings.Contains(err.Error(), "another sluice took over (young") {
			t.Fatalf("%v, want ErrConflict that names the other", err)
		}
	}
	if err := young.Save(t.Context(), at(7)); err != nil {
		t.Fatal(err)
	}
	if got, _ := m.stored(t); got != "7" {
		t.Fatalf("position %s", got)
	}
}

func TestKeeperOfManyOneKeeps(t *testing.T) {
	m := &memory{}
	keepers := make([]*Keeper, 6)
	var wg sync.WaitGroup
	for i := range keepers {
		wg.Go(func() {
			k := NewKeeper(KeeperOptions{Store: m, Flow: "shop"})
			if _, err := k.Acquire(t.Context()); err == nil {
				keepers[i] = k
			} else if !errors.Is(err, ErrConflict) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	can := 0
	for i, k := range keepers {
		if k == nil {
			continue
		}
		if err := k.Save(t.Context(), at(i)); err == nil {
			can++
		} else if !errors.Is(err, ErrConflict) {
			t.Error(err)
		}
	}
	if can != 1 {
		t.Fatalf("%d can save, not one", can)
	}
}

// A save whose answer was lost is neither a conflict nor forgotten.
func TestKeeperAfterALostAnswer(t *testing.T) {
	for _, lost := range []bool{true, false} {
		m := &memory{}
		k := acquired(t, KeeperOptions{Store: m})
		m.answer(errDown, lost)
		if err := k.Save(t.Context(), at(1)); !errors.Is(err, errDown) {
			t.Fatalf("lost %v: %v", lost, err)
		}
		m.answer(nil, false)
		for n := 2; n < 4; n++ {
			if err := k.Save(t.Context(), at(n)); err != nil {
				t.Fatalf("lost %v: %v", lost, err)
			}
		}
		if got, _ := m.stored(t); got != "3" {
			t.Fatalf("lost %v: position %s", lost, got)
		}
	}
}

// A client that sends its write twice sees a conflict with itself.
func TestKeeperConflictWithItself(t *testing.T) {
	m := &memory{}
	k := acquired(t, KeeperOptions{Store: m})
	m.rec.Rev = "written again"
	if err := k.Save(t.Context(), at(1)); err != nil {
		t.Fatal(err)
	}
}

func TestKeeperStateRemoved(t *testing.T) {
	m := &memory{}
	k := acquired(t, KeeperOptions{Store: m})
	m.rec = Record{}
	err := k.Save(t.Context(), at(1))
	if !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "was removed") {
		t.Fatalf("%v", err)
	}
}

func TestKeeperRunSavesOnlyWhatHasChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		k := acquired(t, KeeperOptions{Store: m})
		var mu sync.Mutex
		now := 1
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- k.Run(ctx, time.Second, func() State {
				mu.Lock()
				defer mu.Unlock()
				return at(now)
			})
		}()
		time.Sleep(100*time.Second + time.Millisecond)
		if got, saves := m.stored(t); got != "1" || saves != 2 {
			t.Errorf("position %s after %d saves, want 1 after 2 (one to acquire)", got, saves)
		}
		if age := time.Since(k.Saved()); age > time.Second {
			t.Errorf("known to be saved %v ago", age)
		}
		mu.Lock()
		now = 2
		mu.Unlock()
		// The last save comes although the context is done.
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got, saves := m.stored(t); got != "2" || saves != 3 {
			t.Errorf("position %s after %d saves, want 2 after 3", got, saves)
		}
	})
}

func TestKeeperRunGoesOnWhileTheStoreIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		reg := prometheus.NewPedanticRegistry()
		var log bytes.Buffer
		k := acquired(t, KeeperOptions{Store: m, Metrics: NewMetrics(reg), Logger: slog.New(slog.NewTextHandler(&log, nil))})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		n := 0
		go func() {
			done <- k.Run(ctx, time.Second, func() State { n++; return at(n) })
		}()
		m.answer(errDown, false)
		time.Sleep(150*time.Second + time.Millisecond)
		synctest.Wait()
		if !errors.Is(k.Err(), errDown) {
			t.Errorf("down: Err is %v", k.Err())
		}
		if got := strings.Count(log.String(), "state not saved"); got != 3 {
			t.Errorf("%d lines in 150 s of failure, want one a minute:\n%s", got, log.String())
		}
		m.answer(nil, false)
		time.Sleep(time.Second)
		synctest.Wait()
		if k.Err() != nil {
			t.Errorf("up again: Err is %v", k.Err())
		}
		if got, _ := m.stored(t); got != "151" {
			t.Errorf("position %s, want the newest", got)
		}
		if !strings.Contains(log.String(), "saved again") {
			t.Errorf("no line about the end of it:\n%s", log.String())
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := counted(t, reg, "failed"); got != 150 {
			t.Errorf("%v failed saves counted", got)
		}
		if got := counted(t, reg, "saved"); got != 2 {
			t.Errorf("%v saves counted", got)
		}
	})
}

// counted reads the counter of saves with this result.
func counted(t testing.TB, reg prometheus.Gatherer, result string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "result" && l.GetValue() == result {
					return m.GetCounter().GetValue()
				}
			}
		}
	}
	return 0
}

func TestKeeperRunEndsWhenOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		k := acquired(t, KeeperOptions{Store: m})
		acquired(t, KeeperOptions{Store: m})
		n := 0
		err := k.Run(t.Context(), time.Second, func() State { n++; return at(n) })
		if !errors.Is(err, ErrConflict) || n != 1 || !errors.Is(k.Err(), ErrConflict) {
			t.Errorf("%v after %d saves; Err %v", err, n, k.Err())
		}
	})
}

func TestKeeperLastSave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		k := acquired(t, KeeperOptions{Store: m, Grace: 10 * time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		m.answer(errDown, false)
		time.AfterFunc(5*time.Second, func() { m.answer(nil, false) })
		if err := k.Run(ctx, time.Second, func() State { return at(1) }); err != nil {
			t.Errorf("the store came back within the grace: %v", err)
		}
		if got, _ := m.stored(t); got != "1" {
			t.Errorf("position %s", got)
		}
		m.answer(errDown, false)
		began := time.Now()
		err := k.Run(ctx, time.Second, func() State { return at(2) })
		if !errors.Is(err, errDown) || time.Since(began) != 10*time.Second {
			t.Errorf("%v after %v, want the failure after the grace", err, time.Since(began))
		}
	})
}

// What Run saves is never ahead of what the tracker has settled, whatever fails.
func TestS3WhatIsSavedIsSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		k := acquired(t, KeeperOptions{Store: m})
		var tracker Tracker[int]
		settle := make([]func(), 10)
		for i := range settle {
			settle[i] = tracker.Add(i)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- k.Run(ctx, time.Second, func() State {
				if low, ok := tracker.Low(); ok {
					return at(low)
				}
				return State{}
			})
		}()
		f := func(i int, want string) {
			t.Helper()
			settle[i]()
			time.Sleep(2 * time.Second)
			if got, _ := m.stored(t); got != want {
				t.Errorf("after %d: saved %q, want %q", i, got, want)
			}
		}
		f(1, "")
		f(2, "")
		f(0, "2")
		f(4, "2")
		f(3, "4")
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
