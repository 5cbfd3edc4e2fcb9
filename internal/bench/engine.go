package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"sluice/internal/transcode/shapes"
)

// engineNS is copied into the engine; its alias has the same name.
const engineNS = "bench.engine"

// intoEngine compares sluice with a loader that sends bodies it has prepared.
func (b *bench) intoEngine(ctx context.Context) error {
	if err := b.servers(ctx, true); err != nil {
		return err
	}
	if b.engine.PID() == 0 {
		return errors.New("the engine runs in a container, where its CPU can't be read")
	}
	n := b.n(300_000)
	if err := b.fill(ctx, engineNS, n, shapes.Small); err != nil {
		return err
	}
	p := b.params(engineNS, n)
	p.Search, p.PID = b.engine.URL(), b.engine.PID()
	clean := func(ctx context.Context, _ int) error { return b.deleteIndexes(ctx) }
	// The first rounds let the engine's compiler get warm.
	all, err := b.duel(ctx, 2, [2]contender{
		{piece: "loader", before: clean, params: func(int) params { return p }},
		{piece: "sluice-snapshot", before: clean, params: func(round int) params {
			p := p
			p.State = b.state(fmt.Sprintf("engine-%d", round))
			return p
		}},
	})
	if err != nil {
		return err
	}
	load, ours := all[0], all[1]
	b.atMost("snapshot, small, into the engine: its CPU over a loader's", ours.engine()/load.engine(), 1.05,
		"%.1f and %.1f µs of the engine's CPU a document, %d documents, %s", ours.engine(), load.engine(), n, b.engineVersion)
	b.atLeast("snapshot, small, into the engine: rate over a loader's", ours.rate()/load.rate(), 0.9,
		"%.1f k and %.1f k documents/s", ours.rate()/1000, load.rate()/1000)
	return nil
}

func (b *bench) deleteIndexes(ctx context.Context) error {
	url := b.engine.URL() + "/" + engineNS + "-000001," + loaderIndex + "-000001?ignore_unavailable=true"
	return send(ctx, http.MethodDelete, url, "", nil, nil)
}
