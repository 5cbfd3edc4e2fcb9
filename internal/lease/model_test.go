package lease_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"sluice/internal/lease"
	"sluice/internal/lease/leasetest"
)

// deed is one thing that happens to one owner.
type deed struct {
	Owner int
	What  string
	After time.Duration
}

// machine is an owner on a machine of its own: it can freeze, and its clock
// runs at its own speed.
type machine struct {
	store  *leasetest.Memory
	frozen atomic.Bool
	faulty atomic.Int64
	speed  float64
	start  time.Time

	mu   sync.Mutex
	held *lease.Lease
	busy bool
}

func (m *machine) clock() time.Duration {
	return time.Duration(float64(time.Since(m.start)) * m.speed)
}

// thaw blocks while the machine is frozen.
func (m *machine) thaw(ctx context.Context) error {
	for m.frozen.Load() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return ctx.Err()
}

func (m *machine) Load(ctx context.Context, name string) (lease.Row, error) {
	if err := m.thaw(ctx); err != nil {
		return lease.Row{}, err
	}
	if m.faulty.Load() > 0 && m.faulty.Add(-1)%2 == 0 {
		return lease.Row{}, down()
	}
	return m.store.Load(ctx, name)
}

func (m *machine) Save(ctx context.Context, old, next lease.Row) error {
	if err := m.thaw(ctx); err != nil {
		return err
	}
	if m.faulty.Load() == 0 {
		return m.store.Save(ctx, old, next)
	}
	if m.faulty.Add(-1)%2 == 0 {
		return down()
	}
	if err := m.store.Save(ctx, old, next); err != nil {
		return err
	}
	if err := m.thaw(ctx); err != nil {
		return err
	}
	return down()
}

// TestModel: at most one machine that is awake passes Check at any time, and
// fences strictly rise, whatever freezes, dies, fails or gives back.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		deeds := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) deed {
			return deed{
				Owner: rapid.IntRange(0, 2).Draw(rt, "owner"),
				What:  rapid.SampledFrom([]string{"want", "want", "freeze", "thaw", "die", "release", "fault", "bump", "wait"}).Draw(rt, "what"),
				After: time.Duration(rapid.IntRange(0, 40_000).Draw(rt, "after")) * time.Millisecond,
			}
		}), 1, 40).Draw(rt, "deeds")
		var problem string
		synctest.Test(t, func(t *testing.T) { problem = play(deeds) })
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

func play(deeds []deed) (problem string) {
	ctx, cancel := context.WithCancel(context.Background())
	store := leasetest.NewMemory()
	var machines []*machine
	for i := range 3 {
		machines = append(machines, &machine{store: store, speed: 1 + float64(i-1)*0.01, start: time.Now()})
	}
	var (
		mu     sync.Mutex
		fences []int64
	)
	want := func(m *machine, name string) {
		l, err := lease.Acquire(ctx, lease.Options{Store: m, Name: "a", Owner: name, TTL: ttl, Clock: m.clock})
		m.mu.Lock()
		defer m.mu.Unlock()
		m.busy = false
		if err != nil {
			return
		}
		m.held = l
		mu.Lock()
		defer mu.Unlock()
		_, f := l.Fence()
		fences = append(fences, f)
	}
	watch := func() string {
		for range 20 {
			var awake []string
			for i, m := range machines {
				m.mu.Lock()
				if !m.frozen.Load() && m.held != nil && m.held.Check(0) == nil {
					awake = append(awake, fmt.Sprint(i))
				}
				m.mu.Unlock()
			}
			if len(awake) > 1 {
				return fmt.Sprintf("owners %v pass Check at the same time", awake)
			}
			time.Sleep(10 * time.Millisecond)
		}
		return ""
	}
	for _, d := range deeds {
		m := machines[d.Owner]
		m.mu.Lock()
		switch {
		case d.What == "freeze":
			m.frozen.Store(true)
		case d.What == "thaw":
			m.frozen.Store(false)
		case d.What == "fault":
			m.faulty.Store(4)
		case d.What == "want" && m.held == nil && !m.busy && !m.frozen.Load():
			m.busy = true
			go want(m, fmt.Sprint(d.Owner))
		case d.What == "die" && m.held != nil:
			m.held.Abandon()
			m.held = nil
		case d.What == "release" && m.held != nil && !m.frozen.Load():
			_ = m.held.Release(ctx)
			m.held = nil
		case d.What == "bump" && m.held != nil && !m.frozen.Load() && m.held.Check(time.Second) == nil:
			owner, fence := m.held.Fence()
			if err := store.Bump("a", owner, fence); err != nil {
				problem = "an owner that passed Check could not work: " + err.Error()
			}
		}
		m.mu.Unlock()
		if problem == "" {
			problem = watch()
		}
		time.Sleep(d.After)
		if problem == "" {
			problem = watch()
		}
	}
	cancel()
	for _, m := range machines {
		m.frozen.Store(false)
	}
	synctest.Wait()
	for _, m := range machines {
		if m.held != nil {
			m.held.Abandon()
		}
	}
	time.Sleep(time.Second)
	seen := slices.Clone(fences)
	slices.Sort(seen)
	if len(slices.Compact(seen)) != len(fences) {
		problem = fmt.Sprintf("a fence was given twice: %v", fences)
	}
	return problem
}
