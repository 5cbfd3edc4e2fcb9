package mongo

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// While a copy goes on, its estimate of what is left comes nearer to what it
// takes, however uneven it goes.
func TestEstimateConverges(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	f := func(name string, perSecond func(second int) float64) {
		t.Helper()
		const all = 1e9
		var v speed
		var left []time.Duration
		done := 0.0
		for second := 0; done < all; second++ {
			d := min(perSecond(second), all-done)
			done += d
			v.add(d, time.Second)
			left = append(left, v.left(all-done))
		}
		whole := len(left)
		for i, d := range left[whole/2:] {
			really := time.Duration(whole-whole/2-i-1) * time.Second
			if off := (d - really).Abs(); off > time.Duration(whole)*time.Second/8+2*time.Second {
				t.Fatalf("%s: after %d of %d s it says %v, and it is %v", name, whole/2+i, whole, d, really)
			}
		}
	}
	f("even", func(int) float64 { return 1e6 })
	f("noise", func(int) float64 { return 2e6 * r.Float64() })
	f("bursts", func(s int) float64 { return []float64{0, 0, 0, 4e6}[s%4] })
	f("slower in its first quarter", func(s int) float64 {
		if s < 300 {
			return 7e5
		}
		return 1e6
	})
	f("pauses", func(s int) float64 {
		if s%60 < 15 {
			return 0
		}
		return 1e6
	})
}

func TestEstimateOfNothing(t *testing.T) {
	var v speed
	if d := v.left(5); d != -1 {
		t.Errorf("%v without a pace", d)
	}
	if d := v.left(0); d != 0 {
		t.Errorf("%v for nothing", d)
	}
}

// What is done never goes past what there is, and is all of it at the end; what
// the server guessed at the start matters less and less.
func TestProgressEndsAtTheWhole(t *testing.T) {
	id := rawID(t, 1)
	end := &id
	rapid.Check(t, func(t *rapid.T) {
		c := &nsCopy{estimated: int64(rapid.IntRange(-1, 5000).Draw(t, "guess"))}
		held := rapid.SliceOfN(rapid.IntRange(1, 900), 1, 12).Draw(t, "chunks")
		for i, n := range held {
			ch := &chunk{docs: int64(n), stage: stageRead, max: end}
			if i == len(held)-1 {
				ch.docs = c.tailDocs(1000)
				c.cut = true
			}
			c.cutDocs += ch.docs
			c.chunks = append(c.chunks, ch)
			c.check(t)
		}
		for len(c.chunks) > 0 {
			ch := c.chunks[rapid.IntRange(0, len(c.chunks)-1).Draw(t, "which")]
			if ch.stage < stageSettled {
				ch.settled += int64(rapid.IntRange(0, 400).Draw(t, "settled")) // more or fewer than at the cut
				if rapid.Bool().Draw(t, "end") {
					c.settleIfDone(ch)
				}
			}
			c.check(t)
			if rapid.Bool().Draw(t, "sweep") {
				c.sweep(tick(9))
			}
			st := c.state()
			again := &nsCopy{estimated: -1}
			if err := again.takeOver(st); err != nil {
				t.Fatal(err)
			}
			if again.done() != c.done() || again.total() != c.total() {
				t.Fatalf("after a restart %d of %d, before %d of %d", again.done(), again.total(), c.done(), c.total())
			}
		}
		if c.done() != c.total() {
			t.Fatalf("at the end %d of %d", c.done(), c.total())
		}
	})
}

func (c *nsCopy) check(t *rapid.T) {
	if total := c.total(); total >= 0 && c.done() > total {
		t.Fatalf("%d of %d", c.done(), total)
	}
}
