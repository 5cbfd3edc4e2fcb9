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
	for _, k := range []struct {
		name string
		n    int
		doc  shape
	}{{"small", b.n(300_000), shapes.Small}, {"medium", b.n(80_000), shapes.Medium}} {
		if err := b.loadAndCopy(ctx, k.name, k.n, k.doc); err != nil {
			return err
		}
	}
	return nil
}

// loadAndCopy lets the loader and sluice fill the engine in turn.
func (b *bench) loadAndCopy(ctx context.Context, name string, n int, doc shape) error {
	if err := b.fill(ctx, engineNS, n, doc); err != nil {
		return err
	}
	p := b.params(engineNS, n)
	p.Search, p.PID = b.engine.URL(), b.engine.PID()
	clean := func(ctx context.Context, _ int) error { return b.deleteIndexes(ctx) }
	// The first rounds let the engine's compiler get warm.
	all, err := b.duel(ctx, 4, [2]contender{
		{piece: "loader", before: clean, params: func(int) params { return p }},
		{piece: "sluice-snapshot", before: clean, params: func(round int) params {
			p := p
			p.State = b.state(fmt.Sprintf("engine-%s-%d", name, round))
			return p
		}},
	})
	if err != nil {
		return err
	}
	load, ours := all[0].middle(result.enginePerDoc), all[1].middle(result.enginePerDoc)
	b.atMost("snapshot, "+name+", into the engine: its CPU over a loader's", ours/load, 1.05,
		"%.1f and %.1f µs of the engine's CPU a document, %d documents, %s", ours, load, n, b.engineVersion)
	load, ours = all[0].middle(result.rate), all[1].middle(result.rate)
	b.atLeast("snapshot, "+name+", into the engine: rate over a loader's", ours/load, 0.9,
		"%.1f k and %.1f k documents/s", ours/1000, load/1000)
	return nil
}

func (b *bench) deleteIndexes(ctx context.Context) error {
	url := b.engine.URL() + "/" + engineNS + "-000001," + loaderIndex + "-000001?ignore_unavailable=true"
	return send(ctx, http.MethodDelete, url, "", nil, nil)
}
