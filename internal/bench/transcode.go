package main

import (
	"context"
	"encoding/json"
	"math"
	"syscall"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/transcode"
	"sluice/internal/transcode/shapes"
)

// slice is how much CPU one look at a piece in memory takes; looks is how often
// the two pieces take turns. The least of each counts.
const (
	slice = 150 * time.Millisecond
	looks = 6
)

// transcode compares one pass over raw BSON with what such tools do today:
// decode to a map by the driver, then encoding/json. It compares CPU, with that
// of the garbage collector, as other work on the machine makes time look longer.
func (b *bench) transcode(ctx context.Context) error {
	plan, err := transcode.Compile(transcode.Options{}, transcode.Fields{})
	if err != nil {
		return err
	}
	wanted := map[string]float64{"small": 25, "medium": 25, "wide": 20, "large": 6}
	for _, k := range shapes.All() {
		docs := make([]bson.Raw, 200)
		for i := range docs {
			docs[i] = k.Make(i)
		}
		var st transcode.Stats
		buf := make([]byte, 0, 1<<20)
		onePass := func(i int) (err error) {
			buf, err = plan.Append(buf[:0], docs[i%len(docs)], &st)
			return err
		}
		byMap := func(i int) error {
			var m bson.M
			if err := bson.Unmarshal(docs[i%len(docs)], &m); err != nil {
				return err
			}
			_, err := json.Marshal(m)
			return err
		}
		ours, base := math.Inf(1), math.Inf(1)
		for range looks {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			one, err := costOf(onePass)
			if err != nil {
				return err
			}
			other, err := costOf(byMap)
			if err != nil {
				return err
			}
			ours, base = min(ours, one), min(base, other)
		}
		b.atLeast("transcoder, "+k.Name+": speed over decode-to-map", base/ours, wanted[k.Name],
			"%.0f ns of CPU a document of %d bytes, %.0f ns when decoded to a map", ours, k.Bytes, base)
		allocs := testing.AllocsPerRun(100, func() { _ = onePass(0) })
		if allocs > 0 {
			b.atMost("transcoder, "+k.Name+": allocations per document", allocs, 0, "there must be none")
		}
	}
	return nil
}

// costOf returns the CPU that f takes, in nanoseconds.
func costOf(f func(i int) error) (float64, error) {
	before, n := ourCPU(), 0
	for {
		for range 200 {
			if err := f(n); err != nil {
				return 0, err
			}
			n++
		}
		if used := ourCPU() - before; used > slice {
			return float64(used) / float64(n), nil
		}
	}
}

// ourCPU is the CPU that this process has used.
func ourCPU() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
