package governor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// well is a database that has nothing to complain of.
func well() Load {
	return Load{LagKnown: true, WindowKnown: true, Window: 24 * time.Hour, LoadKnown: true}
}

// A7: each sign of trouble stops the archive until it is gone, and is told.
func TestA7WaitsForTheDatabase(t *testing.T) {
	for name, c := range map[string]struct {
		sick Load
		err  error
		want string
	}{
		"lag":          {sick: Load{LagKnown: true, Lag: 12 * time.Second}, want: "replication lag is 12s, more than 10s"},
		"unknown lag":  {sick: Load{Missing: []string{"clusterMonitor"}}, want: "replication lag is unknown: the user lacks clusterMonitor"},
		"flow control": {sick: Load{LagKnown: true, FlowControlled: true}, want: "flow control"},
		"window":       {sick: Load{LagKnown: true, WindowKnown: true, Window: 10 * time.Minute}, want: "oplog reaches back 10m0s, less than 1h0m0s"},
		"dirty":        {sick: Load{LagKnown: true, LoadKnown: true, Dirty: 0.2}, want: "20.0 % of the cache are dirty"},
		"queue":        {sick: Load{LagKnown: true, LoadKnown: true, Queued: 101}, want: "101 operations are queued"},
		"no answer":    {err: errors.New("no primary"), want: "can't be read: no primary"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				is, fail := c.sick, c.err
				load := func(context.Context) (Load, error) {
					mu.Lock()
					defer mu.Unlock()
					return is, fail
				}
				pace, waits := -1.0, map[string]time.Duration{}
				g := New(Options{
					Load: load, Paced: func(share float64) { mu.Lock(); defer mu.Unlock(); pace = share },
					Waited: func(reason string, d time.Duration) { mu.Lock(); defer mu.Unlock(); waits[reason] += d },
				})
				start := time.Now()
				ended := make(chan error)
				go func() { ended <- g.Wait(t.Context(), 1, 1) }()
				time.Sleep(10500 * time.Millisecond)
				if r := g.Reason(); !strings.Contains(r, c.want) {
					t.Errorf("the reason is %q, want %q", r, c.want)
				}
				mu.Lock()
				if pace != 0 {
					t.Error("the metric does not tell of the pause")
				}
				is, fail = well(), nil
				mu.Unlock()
				if err := <-ended; err != nil {
					t.Fatal(err)
				}
				if d := time.Since(start); d != 11*time.Second {
					t.Errorf("waited %v", d)
				}
				if r := g.Reason(); r != "" {
					t.Errorf("still %q", r)
				}
				if len(waits) != 1 {
					t.Errorf("the wait was counted as %v, not by one reason", waits)
				}
			})
		})
	}
}

func TestA7UnknownLagAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Options{
			Load: func(context.Context) (Load, error) { return Load{}, nil }, AllowUnknownLag: true,
		})
		start := time.Now()
		if err := g.Wait(t.Context(), 1, 1); err != nil || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestA7PauseByUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "pause")
		g := New(Options{PauseFile: file})
		wait := func() chan error {
			ended := make(chan error, 1)
			go func() { ended <- g.WaitDelete(t.Context(), 1) }()
			time.Sleep(5 * time.Second)
			return ended
		}
		if err := <-wait(); err != nil {
			t.Fatal(err)
		}
		g.Pause("release night")
		ended := wait()
		if r := g.Reason(); r != "release night" || g.Paused() != r {
			t.Errorf("the reason is %q", r)
		}
		g.Resume()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		ended = wait()
		if r := g.Reason(); !strings.Contains(r, file) {
			t.Errorf("the reason is %q", r)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}

func TestA7EndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Options{})
		g.Pause("")
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := g.Wait(ctx, 1, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

// The ceilings hold, for documents and for bytes.
func TestA7Ceiling(t *testing.T) {
	for name, o := range map[string]Options{
		"docs": {DocsPerSecond: 100}, "bytes": {BytesPerSecond: 10_000}, "both": {DocsPerSecond: 100, BytesPerSecond: 1e9},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := New(o)
				start := time.Now()
				for range 100 {
					if err := g.Wait(t.Context(), 50, 5000); err != nil {
						t.Fatal(err)
					}
				}
				if d := time.Since(start); d < 49*time.Second || d > 51*time.Second {
					t.Errorf("5,000 documents, 500,000 bytes took %v", d)
				}
				if name == "docs" {
					start = time.Now()
					for range 10 {
						if err := g.WaitDelete(t.Context(), 1000); err != nil {
							t.Fatal(err)
						}
					}
					if d := time.Since(start); d < 89*time.Second || d > 91*time.Second {
						t.Errorf("10,000 deletes took %v", d)
					}
				}
			})
		})
	}
}

// Near a limit the rate sinks, to the floor and not below; then it comes back.
func TestA7PressureLowersTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := well()
		g := New(Options{
			Load:          func(context.Context) (Load, error) { return is, nil },
			DocsPerSecond: 1000, FloorDocs: 100,
		})
		rate := func(d time.Duration) float64 {
			start, n := time.Now(), 0
			for time.Since(start) < d {
				if err := g.Wait(t.Context(), 10, 0); err != nil {
					t.Fatal(err)
				}
				n += 10
			}
			return float64(n) / time.Since(start).Seconds()
		}
		if r := rate(20 * time.Second); r < 950 || r > 1050 {
			t.Errorf("%.0f/s while it is well", r)
		}
		is.Lag = 6 * time.Second
		rate(20 * time.Second)
		if r := rate(20 * time.Second); r < 90 || r > 115 {
			t.Errorf("%.0f/s under pressure, the floor is 100", r)
		}
		if r := g.Reason(); !strings.Contains(r, "slower: replication lag is 6s of 10s") {
			t.Errorf("the reason is %q", r)
		}
		is.Lag = 0
		rate(40 * time.Second)
		if r := rate(20 * time.Second); r < 950 || r > 1050 {
			t.Errorf("%.0f/s when it is well again", r)
		}
	})
}

// TestA7LagBelowTheHeartbeats: with a small limit, a lag that is no more than what
// heartbeats can tell slows nothing down; above the limit all waits as ever.
func TestA7LagBelowTheHeartbeats(t *testing.T) {
	f := func(most, lag time.Duration, want string) {
		t.Helper()
		g := New(Options{MaxLag: most})
		is := well()
		is.Lag = lag
		v := g.weigh(is)
		if !strings.HasPrefix(v.reason, want) || (want == "") != (v.reason == "") || v.stop != strings.HasPrefix(want, "replication") || v.pressed != strings.HasPrefix(want, "slower") {
			t.Errorf("a lag of %v of %v: %+v, want %q", lag, most, v, want)
		}
	}
	f(3*time.Second, 2*time.Second, "")
	f(3*time.Second, 3*time.Second, "")
	f(3*time.Second, 4*time.Second, "replication lag is 4s, more than 3s")
	f(6*time.Second, 4*time.Second, "")
	f(6*time.Second, 5*time.Second, "slower: replication lag is 5s of 6s")
	f(10*time.Second, 5*time.Second, "")
	f(10*time.Second, 6*time.Second, "slower: replication lag is 6s of 10s")
	f(time.Minute, 29*time.Second, "")
	f(time.Minute, 31*time.Second, "slower: replication lag is 31s of 1m0s")
}

func TestA7AsksOncePerInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		g := New(Options{DocsPerSecond: 1000, Load: func(context.Context) (Load, error) { n++; return well(), nil }})
		for range 10_000 {
			if err := g.Wait(t.Context(), 1, 1); err != nil {
				t.Fatal(err)
			}
		}
		if n < 9 || n > 12 {
			t.Errorf("asked %d times in 10 s", n)
		}
	})
}

// Who comes while another asks for the first time waits for the answer.
func TestA7NobodyPassesBeforeTheFirstLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Options{MaxLag: time.Second, Load: func(context.Context) (Load, error) {
			time.Sleep(100 * time.Millisecond)
			return Load{LagKnown: true, Lag: time.Hour}, nil
		}})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var passed atomic.Int32
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if g.Wait(ctx, 1, 1) == nil {
					passed.Add(1)
				}
			})
		}
		all.Wait()
		if n := passed.Load(); n > 0 {
			t.Errorf("%d passed while the lag was an hour", n)
		}
	})
}
