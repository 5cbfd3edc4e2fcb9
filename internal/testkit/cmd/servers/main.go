// Command servers starts a mongod, a search engine and an S3 server for use by
// hand, prints where they are, and ends them at Ctrl-C. With -prefetch it only fills the cache.
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

	"sluice/internal/testkit"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		_, _ = fmt.Fprintln(os.Stderr, "servers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("servers", flag.ContinueOnError)
	prefetch := flags.Bool("prefetch", false, "only fetch what is needed, start nothing")
	all := flags.Bool("all", false, "with -prefetch: every search engine, not only the default one")
	nodes := flags.Int("nodes", 1, "nodes of the replica set: 1 or 3")
	auth := flags.Bool("auth", false, "MongoDB with users")
	product := flags.String("product", "", "opensearch or elasticsearch")
	version := flags.String("version", "", "version of the product")
	fullJIT := flags.Bool("full-jit", false, "search engine at full speed, slower to start")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *prefetch {
		have, err := testkit.Prefetch(ctx, *all)
		for _, line := range have {
			_, _ = fmt.Fprintln(out, line)
		}
		return err
	}
	m, err := testkit.StartMongo(ctx, testkit.MongoOptions{Nodes: *nodes, Auth: *auth, Own: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Stop()) }()
	_, _ = fmt.Fprintf(out, "%s\n  %s\n", m, m.URI())
	s, err := testkit.StartSearch(ctx, testkit.SearchOptions{Product: *product, Version: *version, FullJIT: *fullJIT, Own: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	_, _ = fmt.Fprintf(out, "%s\n  %s\n", s, s.URL())
	b, err := testkit.StartS3(ctx, testkit.S3Options{Own: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Stop()) }()
	_, _ = fmt.Fprintf(out, "%s\n  %s, bucket %s, access key %s, secret key %s\nCtrl-C ends all.\n",
		b, b.Endpoint(), b.Bucket(), b.AccessKey(), b.SecretKey())
	<-ctx.Done()
	return nil
}
