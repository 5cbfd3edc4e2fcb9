package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"sluice/internal/testkit"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	set := flag.NewFlagSet("matrix", flag.ContinueOnError)
	set.SetOutput(stderr)
	only := set.String("only", "", `only this one, such as "elasticsearch 8.19.21"; the rows of the others stay`)
	doc := set.String("doc", filepath.Join("docs", "compatibility.md"), "the file that gets the table; empty for none")
	if err := set.Parse(args); err != nil {
		return 2
	}
	if err := matrix(ctx, *only, *doc, stdout); err != nil {
		_, _ = fmt.Fprintln(stderr, "matrix:", err)
		return 1
	}
	return 0
}

// suite is what runs against each engine.
type suite struct {
	name, pkg, run string
}

// suites are all of internal/search, and of the whole binary what an engine has
// a part in: copy, follow, drop, kills, outages, dead letters.
func suites() []suite {
	return []suite{
		{"search", "./internal/search", "."},
		{"end to end", "./internal/e2e", "^(TestCopyFollowDrop|TestOnce|TestS12IndexDeletedByHand|TestNamespaceAdded|TestKillNine|" +
			"TestS9SearchOutage|TestErrorMappingConflict|TestErrorIDOver512Bytes|TestErrorForeignVersions|TestErrorIndexBlocked|TestErrorDiskFull)$"},
	}
}

// matrix runs them and writes the table.
func matrix(ctx context.Context, only, doc string, out io.Writer) error {
	var rows []row
	var errs []error
	for _, v := range testkit.Versions() {
		if name := v[0] + " " + v[1]; only != "" && only != name {
			continue
		}
		r := one(ctx, v[0], v[1], out)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		rows = append(rows, r)
		if r.failed != nil {
			errs = append(errs, fmt.Errorf("%s %s: %w", r.product, r.version, r.failed))
		}
	}
	if len(rows) == 0 {
		return fmt.Errorf("there is no recipe for %q", only)
	}
	if doc != "" {
		if err := rewrite(doc, rows); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// one runs the suites against one engine.
func one(ctx context.Context, product, version string, out io.Writer) row {
	r := row{product: title(product), version: version, day: time.Now().UTC().Format(time.DateOnly)}
	_, _ = fmt.Fprintf(out, "%s %s\n", product, version)
	s, err := testkit.StartSearch(ctx, testkit.SearchOptions{Product: product, Version: version, Own: true})
	if err != nil {
		r.failed = err
		return r
	}
	r.missing, err = missing(ctx, product, s.URL())
	if err := errors.Join(err, s.Stop()); err != nil {
		r.failed = err
		return r
	}
	for _, su := range suites() {
		began := time.Now()
		n, err := goTest(ctx, su, product+" "+version, out)
		_, _ = fmt.Fprintf(out, "  %-10s %d tests in %s: %s\n", su.name, n, time.Since(began).Round(time.Second), outcome(err))
		r.ran = append(r.ran, fmt.Sprintf("%s: %d tests", su.name, n))
		if err != nil {
			r.failed = errors.Join(r.failed, fmt.Errorf("%s: %w", su.name, err))
		}
	}
	return r
}

func outcome(err error) string {
	if err != nil {
		return "FAILED"
	}
	return "passed"
}

func title(product string) string {
	if product == testkit.OpenSearch {
		return "OpenSearch"
	}
	return "Elasticsearch"
}

// goTest runs one suite and returns how many tests, without their parts, passed.
func goTest(ctx context.Context, su suite, engine string, out io.Writer) (int, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-tags", "integration", "-count=1", "-timeout", "20m", "-v", "-run", su.run, su.pkg)
	cmd.Env = append(os.Environ(), "SLUICE_TEST_SEARCH_VERSION="+engine, "SLUICE_TEST_SEARCH_URL=")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	text, err := cmd.CombinedOutput()
	passed, failed := tally(string(text))
	switch {
	case err == nil && len(failed) == 0 && passed > 0:
		return passed, nil
	case len(failed) > 0:
		err = errors.New(strings.Join(failed, ", "))
	case err == nil:
		err = errors.New("nothing ran")
	}
	_, _ = out.Write(text)
	return passed, err
}

// tally counts the tests at the top in the output of go test -v. A skipped one
// has failed: it did not run.
func tally(text string) (passed int, failed []string) {
	for line := range strings.Lines(text) {
		name, _, _ := strings.Cut(strings.TrimSpace(line[min(len(line), len("--- PASS: ")):]), " ")
		switch {
		case strings.HasPrefix(line, "--- PASS: "):
			passed++
		case strings.HasPrefix(line, "--- FAIL: "), strings.HasPrefix(line, "--- SKIP: "):
			failed = append(failed, name)
		}
	}
	return passed, failed
}
