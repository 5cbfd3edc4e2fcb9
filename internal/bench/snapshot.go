package main

import (
	"context"
	"fmt"

	"sluice/internal/transcode/shapes"
)

// snapshotDiscard compares the CPU of a whole copy into nothing with that of
// the least that has to be done: read, and transcode.
func (b *bench) snapshotDiscard(ctx context.Context) error {
	if err := b.servers(ctx, false); err != nil {
		return err
	}
	for _, k := range []struct {
		name string
		n    int
		doc  shape
	}{{"small", b.n(2_000_000), shapes.Small}, {"medium", b.n(400_000), shapes.Medium}} {
		ns := "bench." + k.name
		if err := b.fill(ctx, ns, k.n, k.doc); err != nil {
			return err
		}
		p := b.params(ns, k.n)
		all, err := b.duel(ctx, 0, [2]contender{
			{piece: "raw-find", params: func(int) params { return p }},
			{piece: "sluice-snapshot", params: func(round int) params {
				p := p
				p.State = b.state(fmt.Sprintf("snapshot-%s-%d", k.name, round))
				return p
			}},
		})
		if err != nil {
			return err
		}
		raw, ours := all[0], all[1]
		b.atMost("snapshot, "+k.name+", discarding: CPU over raw find and transcode", ours.cpu()/raw.cpu(), 2,
			"%.2f and %.2f µs of CPU a document; %.0f k and %.0f k documents/s; %d documents; peak RSS %.0f MiB",
			ours.cpu(), raw.cpu(), ours.rate()/1000, raw.rate()/1000, k.n, ours.rss())
	}
	return nil
}
