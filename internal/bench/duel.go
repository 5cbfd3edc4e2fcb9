package main

import (
	"context"
	"fmt"
	"slices"
)

// contender is a piece with its parameters in each round.
type contender struct {
	piece  string
	params func(round int) params
	// before, if not nil, prepares a round and is not measured.
	before func(ctx context.Context, round int) error
}

// duel lets two pieces take turns and returns the runs of each. Those of the
// warm rounds, which come before, are not among them.
func (b *bench) duel(ctx context.Context, warm int, pair [2]contender) (all [2]runs, err error) {
	for round := -warm; round < rounds; round++ {
		for turn := range pair {
			i := (turn + round&1) & 1 // who begins, changes
			c := pair[i]
			if c.before != nil {
				if err := c.before(ctx, round); err != nil {
					return all, err
				}
			}
			r, err := measure(ctx, c.piece, c.params(round))
			if err != nil {
				return all, err
			}
			b.say("      %-16s %9.1f k/s, %6.2f µs of CPU each, peak RSS %.0f MiB%s", c.piece, r.rate()/1000, r.perDoc(), r.RSSMiB, r.engineText())
			if round >= 0 {
				all[i] = append(all[i], r)
			}
		}
	}
	return all, nil
}

// runs are those of one piece. What disturbs a run only ever adds to it, so the
// best one says most of the piece.
type runs []result

func (all runs) best(of func(result) float64, better func(a, b float64) float64) float64 {
	best := of(all[0])
	for _, r := range all[1:] {
		best = better(best, of(r))
	}
	return best
}

// cpu and rate are the best; rss, which is no matter of luck, the worst.
func (all runs) cpu() float64  { return all.best(result.perDoc, lower) }
func (all runs) rate() float64 { return all.best(result.rate, higher) }
func (all runs) rss() float64  { return all.best(func(r result) float64 { return r.RSSMiB }, higher) }

// middle returns the median. It is for work in an engine, where chance goes both
// ways: whether a merge falls into a run or not.
func (all runs) middle(of func(result) float64) float64 {
	values := make([]float64, len(all))
	for i, r := range all {
		values[i] = of(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func lower(a, b float64) float64  { return min(a, b) }
func higher(a, b float64) float64 { return max(a, b) }

func (r result) engineText() string {
	if r.Engine == 0 {
		return ""
	}
	return fmt.Sprintf(", engine %.1f µs each", r.enginePerDoc())
}
