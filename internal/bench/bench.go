package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/testkit"
)

// rounds is how often each piece runs.
const rounds = 5

// bench holds the servers, started when first needed, and the results.
type bench struct {
	scale   float64
	only    *regexp.Regexp
	profile string
	rows    []row
	dir     string

	mongod *testkit.Mongo
	engine *testkit.Search
	// engineVersion stays when the engine is stopped.
	engineVersion string
	client        *mongo.Client
}

// benchCase is one group of measurements.
type benchCase struct {
	name string
	run  func(*bench, context.Context) error
}

func cases() []benchCase {
	return []benchCase{
		{"transcode", (*bench).transcode},
		{"transform", (*bench).transform},
		{"scripts", (*bench).scripts},
		{"pack", (*bench).pack},
		{"snapshot-discard", (*bench).snapshotDiscard},
		{"stream-inserts", (*bench).streamInserts},
		{"stream-updates", (*bench).streamUpdates},
		{"engine", (*bench).intoEngine},
		{"latency", (*bench).idleLatency},
		{"deletes", (*bench).deletes},
		{"restores", (*bench).restores},
		{"archive-end-to-end", (*bench).archiveEndToEnd},
		{"archive-restore", (*bench).archiveRestore},
		{"archive-linear", (*bench).archiveLinear},
		{"archive-memory", (*bench).archiveMemory},
		{"memory-small", (*bench).memorySmall},
		{"memory-large", (*bench).memoryLarge},
	}
}

// runAll runs the cases that were asked for. A case that fails does not keep
// the others from running.
func (b *bench) runAll(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return err
	}
	b.dir = dir
	var errs []error
	for _, c := range cases() {
		if !b.only.MatchString(c.name) || ctx.Err() != nil {
			continue
		}
		b.say("== %s", c.name)
		start := time.Now()
		if err := c.run(b, ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.name, err))
			b.say("   FAILED: %v", err)
		}
		b.say("   (%.0f s)", since(start))
	}
	var missed []string
	for _, r := range b.rows {
		if !r.ok {
			missed = append(missed, fmt.Sprintf("%s: %s, wanted %s", r.what, r.got, r.want))
		}
	}
	if len(missed) > 0 && b.scale >= 1 {
		errs = append(errs, errors.New("bounds missed:\n  "+strings.Join(missed, "\n  ")))
	}
	return errors.Join(append(errs, ctx.Err())...)
}

func (b *bench) say(format string, args ...any) { _, _ = fmt.Fprintf(os.Stderr, format+"\n", args...) }

// n scales a number of documents.
func (b *bench) n(full int) int { return max(1, int(float64(full)*b.scale)) }

// state is a folder for the position of a flow.
func (b *bench) state(name string) string { return filepath.Join(b.dir, "state-"+name) }

// params are those that every piece gets.
func (b *bench) params(ns string, n int) params {
	return params{URI: b.mongod.URI(), Namespaces: []string{ns}, N: int64(n), Profile: b.profile}
}

// servers starts mongod, and the engine if wanted.
func (b *bench) servers(ctx context.Context, engine bool) error {
	var err error
	if b.mongod == nil {
		if b.mongod, err = testkit.StartMongo(ctx, testkit.MongoOptions{Own: true, CacheGB: 1, OplogMB: 4000}); err != nil {
			return err
		}
		if b.client, err = connect(b.mongod.URI()); err != nil {
			return err
		}
	}
	if engine && b.engine == nil {
		if b.engine, err = testkit.StartSearch(ctx, testkit.SearchOptions{Own: true, FullJIT: true, HeapMB: 1024}); err != nil {
			return err
		}
		b.engineVersion = b.engine.Version()
	}
	return nil
}

// stopEngine ends the engine, so that cases without it have the machine to themselves.
func (b *bench) stopEngine() {
	if b.engine != nil {
		_ = b.engine.Stop()
		b.engine = nil
	}
}

func (b *bench) close() {
	if b.client != nil {
		_ = b.client.Disconnect(context.Background())
	}
	b.stopEngine()
	if b.mongod != nil {
		_ = b.mongod.Stop()
	}
	if b.dir != "" {
		_ = os.RemoveAll(b.dir)
	}
}
