// Command demo shows sluice at work on real servers of its own: it starts a
// mongod and an OpenSearch on loopback, fills a collection, runs the sluice
// binary, kills it in the middle, starts it again, and compares both sides; then
// it archives old documents, finds them, and restores them bit for bit.
//
// It is for `make demo`; nothing in the product imports it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("demo", flag.ContinueOnError)
	fs.SetOutput(stderr)
	once := fs.Bool("once", false, "copy, archive, restore, compare both sides, and end")
	docs := fs.Int("docs", 200_000, "documents in the collection")
	keep := fs.Bool("keep", false, "with -once: leave the servers' data for a look")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := (&demo{out: stdout, once: *once, docs: *docs, keep: *keep}).run(ctx)
	if err != nil && !errors.Is(err, context.Canceled) {
		_, _ = fmt.Fprintln(stderr, "demo:", err)
		return 1
	}
	return 0
}
