// Command bench measures sluice against baselines in the same run, on real
// servers of its own, and prints ratios: absolute times say little on a noisy
// machine. Each measured piece is a process of its own, so that its CPU and
// its peak memory are the kernel's figures.
//
//	go run ./internal/bench                         # everything, at full size
//	go run ./internal/bench -run snapshot           # some cases
//	go run ./internal/bench -scale 0.05             # quickly, to see that it works
//	go run ./internal/bench -out FILE               # write the document as Markdown
//	go run ./internal/bench -run snap -profile DIR  # CPU and heap profiles of each piece
//
// It must not grow into a test: whether a result is right is for the suites to
// say. It fails (exit code 1) when a server can't be had, when a piece does not
// do all of its work, and, at full size, when a bound is missed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

func main() {
	os.Exit(run())
}

func run() int {
	child := flag.String("child", "", "internal: the piece to measure")
	params := flag.String("params", "", "internal: its parameters as JSON")
	only := flag.String("run", "", "regular expression of the cases to run")
	out := flag.String("out", "", "write the document with the results to this file, as Markdown")
	scale := flag.Float64("scale", 1, "size of the data, 1 is the full size")
	profile := flag.String("profile", "", "folder for CPU and heap profiles of what is measured")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *child != "" {
		return runChild(ctx, *child, *params)
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "bench: -run:", err)
		return 2
	}
	b := &bench{scale: *scale, only: pattern, profile: *profile}
	defer b.close()
	err = b.runAll(ctx)
	if werr := b.write(*out); err == nil {
		err = werr
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}
