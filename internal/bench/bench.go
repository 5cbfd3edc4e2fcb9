package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/testkit"
)

// row is one line of the results: a ratio, what it has to be, and what it was
// made of.
type row struct {
	what, got, want string
	ok              bool
	detail          string
}

// bench holds the servers, started when first needed, and the results.
type bench struct {
	scale float64
	only  *regexp.Regexp
	rows  []row
	dir   string

	mongod *testkit.Mongo
	engine *testkit.Search
	client *mongo.Client
}

// benchCase is one group of measurements.
type benchCase struct {
	name string
	run  func(*bench, context.Context) error
}

func cases() []benchCase {
	return []benchCase{
		{"transcode", (*bench).transcode},
		{"snapshot-discard", (*bench).snapshotDiscard},
		{"stream-inserts", (*bench).streamInserts},
		{"stream-updates", (*bench).streamUpdates},
		{"engine", (*bench).intoEngine},
		{"latency", (*bench).idleLatency},
		{"memory-small", (*bench).memorySmall},
		{"memory-large", (*bench).memoryLarge},
	}
}

func (b *bench) runAll(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return err
	}
	b.dir = dir
	for _, c := range cases() {
		if !b.only.MatchString(c.name) {
			continue
		}
		b.say("== %s", c.name)
		start := time.Now()
		if err := c.run(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		b.say("   (%.0f s)", since(start))
	}
	for _, r := range b.rows {
		if !r.ok {
			return fmt.Errorf("%s: %s, want %s", r.what, r.got, r.want)
		}
	}
	return nil
}

func (b *bench) say(format string, args ...any) { _, _ = fmt.Fprintf(os.Stderr, format+"\n", args...) }

func (b *bench) n(full int) int { return max(1, int(float64(full)*b.scale)) }

// atMost and atLeast note a ratio and whether it is as it should be.
func (b *bench) atMost(what string, got, want float64, detail string, args ...any) {
	b.note(what, fmt.Sprintf("%.2f", got), fmt.Sprintf("at most %.2f", want), got <= want, fmt.Sprintf(detail, args...))
}

func (b *bench) atLeast(what string, got, want float64, detail string, args ...any) {
	b.note(what, fmt.Sprintf("%.2f", got), fmt.Sprintf("at least %.2f", want), got >= want, fmt.Sprintf(detail, args...))
}

func (b *bench) note(what, got, want string, ok bool, detail string) {
	b.rows = append(b.rows, row{what, got, want, ok, detail})
	mark := "ok"
	if !ok {
		mark = "MISSED"
	}
	b.say("   %-52s %8s  (%s) %s\n      %s", what, got, want, mark, detail)
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
		b.engine, err = testkit.StartSearch(ctx, testkit.SearchOptions{Own: true, FullJIT: true, HeapMB: 1024})
	}
	return err
}

func (b *bench) close() {
	if b.client != nil {
		_ = b.client.Disconnect(context.Background())
	}
	if b.engine != nil {
		_ = b.engine.Stop()
	}
	if b.mongod != nil {
		_ = b.mongod.Stop()
	}
	if b.dir != "" {
		_ = os.RemoveAll(b.dir)
	}
}

// write puts the table where it was asked for.
func (b *bench) write(path string) error {
	if path == "" || len(b.rows) == 0 {
		return nil
	}
	var t strings.Builder
	fmt.Fprintf(&t, "Measured on %s by `make bench`: %d cores, %s, %s/%s.\n\n", time.Now().UTC().Format("2006-01-02"),
		runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	t.WriteString("| What | Ratio | Wanted | Made of |\n|---|---|---|---|\n")
	for _, r := range b.rows {
		fmt.Fprintf(&t, "| %s | %s | %s | %s |\n", r.what, r.got, r.want, r.detail)
	}
	return os.WriteFile(path, []byte(t.String()), 0o600)
}
