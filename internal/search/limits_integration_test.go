//go:build integration

package search

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/testkit"
)

// An engine that takes little: bodies of 1 MB, 200 KB of them at one time, and
// with a disk that can be declared full.
func TestS7LimitsOfTheEngine(t *testing.T) {
	s, err := testkit.StartSearch(t.Context(), testkit.SearchOptions{
		Own: true, DiskThreshold: true, MaxContentLength: "1mb",
		Settings: []string{"indexing_pressure.memory.limit: 200kb", "cluster.info.update.interval: 10s"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	t.Run("TooMuch", func(t *testing.T) { testTooMuch(t, s.URL()) })
	t.Run("Rejected", func(t *testing.T) { testRejected(t, s.URL()) })
	t.Run("DiskFull", func(t *testing.T) { testDiskFull(t, s.URL()) })
}

// settle writes until every change is done or put aside; it counts the reasons.
func (g *rig) settle(changes []flow.Change) map[string]int {
	g.Helper()
	reasons := map[string]int{}
	for round := 0; len(changes) > 0; round++ {
		if round > 200 {
			g.Fatalf("%d changes never got through: %v", len(changes), reasons)
		}
		vs, err := g.sink.Write(g.Context(), g.own(changes...))
		if err != nil {
			g.Fatal(err)
		}
		var again []flow.Change
		for i, v := range vs {
			reasons[v.Outcome.String()+" "+v.Reason]++
			if v.Outcome == flow.Retry {
				again = append(again, changes[i])
			}
		}
		changes = again
	}
	return reasons
}

func testTooMuch(t *testing.T, url string) {
	g := newRig(t, url, Route{}, nil)
	changes := make([]flow.Change, 0, 1501)
	for i := range 1500 {
		changes = append(changes, write(t, fmt.Sprint(i), 1, bson.E{Key: "x", Value: strings.Repeat("x", 1000)}))
	}
	changes = append(changes, write(t, "huge", 1, bson.E{Key: "x", Value: strings.Repeat("x", 3<<20)}))
	reasons := g.settle(changes)
	t.Log(reasons)
	if reasons["done "] != 1500 || reasons["dead_letter too_large"] != 1 {
		t.Error(reasons)
	}
	if target, err := g.sink.Inspect(t.Context(), g.ns); err != nil || target.Docs != 1500 {
		t.Error(target, err)
	}
	if got := g.sink.limiter.largest; got >= 1<<20 {
		t.Errorf("bodies still grow to %d", got)
	}
}

// testRejected: what the engine takes by itself, but not beside others, is sent again.
func testRejected(t *testing.T, url string) {
	g := newRig(t, url, Route{}, nil)
	testkit.Eventually(t, time.Minute, func() error {
		var rejected, other atomic.Int64
		var wg sync.WaitGroup
		for lane := range 4 {
			wg.Go(func() {
				changes := make([]flow.Change, 0, 150)
				for i := range cap(changes) {
					changes = append(changes, write(t, fmt.Sprint(lane, " ", i), 1, bson.E{Key: "x", Value: strings.Repeat("x", 1000)}))
				}
				vs, err := g.sink.Write(t.Context(), g.own(changes...))
				if err != nil {
					other.Add(1)
				}
				for _, v := range vs {
					switch v.Outcome {
					case flow.Retry:
						rejected.Add(1)
					case flow.Done:
					default:
						other.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if other.Load() > 0 {
			t.Fatal("not rejected, and not done")
		}
		if rejected.Load() == 0 {
			return errors.New("nothing was rejected")
		}
		return nil
	})
}

func testDiskFull(t *testing.T, url string) {
	g := newRig(t, url, Route{}, nil)
	g.want("done", write(t, "a", 1))
	watermarks := func(v string) {
		const prefix = "cluster.routing.allocation.disk.watermark."
		g.must("PUT", "/_cluster/settings", fmt.Sprintf(`{"transient":{"%slow":%s,"%shigh":%s,"%sflood_stage":%s}}`, prefix, v, prefix, v, prefix, v))
	}
	watermarks(`"99999gb"`)
	until := func(want string, version int64) {
		t.Helper()
		testkit.Eventually(t, 90*time.Second, func() error {
			vs, err := g.sink.Write(t.Context(), g.own(write(t, "a", version), write(t, "b", version)))
			if err != nil || outcomes(vs) != want {
				return fmt.Errorf("%s %w", outcomes(vs), err)
			}
			return nil
		})
	}
	until("retry:disk_full retry:disk_full", 2)
	watermarks(`null`)
	until("done done", 3)
}
