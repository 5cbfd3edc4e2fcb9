package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// options are the flags.
type options struct {
	rules, names, require string
	quick, list           bool
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	set := flag.NewFlagSet("mutants", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.StringVar(&o.rules, "rules", "", "only the mutants of these rules, such as S1,S3")
	set.StringVar(&o.names, "names", "", "only the mutants whose name fits this regular expression")
	set.StringVar(&o.require, "require", "", "fail if a rule has no mutant; rules or ranges, such as S1-S15,A1")
	set.BoolVar(&o.quick, "quick", false, "only those marked quick")
	set.BoolVar(&o.list, "list", false, "list them and end")
	if err := set.Parse(args); err != nil {
		return 2
	}
	if err := o.run(ctx, stdout); err != nil {
		_, _ = fmt.Fprintln(stderr, "mutants:", err)
		return 1
	}
	return 0
}

func (o options) run(ctx context.Context, out io.Writer) error {
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	all, err := load(filepath.Join(root, "internal", "testkit", "mutants"))
	if err != nil {
		return err
	}
	if err := required(all, o.require); err != nil {
		return err
	}
	names, err := regexp.Compile(o.names)
	if err != nil {
		return fmt.Errorf("--names: %w", err)
	}
	chosen := slices.DeleteFunc(all, func(m mutant) bool {
		return o.quick && !m.quick || !names.MatchString(m.name) || o.rules != "" && !slices.Contains(strings.Split(o.rules, ","), m.rule)
	})
	slices.SortStableFunc(chosen, func(a, b mutant) int { return cmp.Compare(ruleOrder(a.rule), ruleOrder(b.rule)) })
	if len(chosen) == 0 {
		return errors.New("no mutant matches")
	}
	if o.list {
		for _, m := range chosen {
			_, _ = fmt.Fprintf(out, "%-4s %-45s %s %s\n", m.rule, m.name, m.pkg, m.test)
		}
		return nil
	}
	return tryAll(ctx, root, chosen, out)
}

// tryAll runs the mutants one by one in one scratch copy and prints the table.
func tryAll(ctx context.Context, root string, all []mutant, out io.Writer) (err error) {
	scratch, err := os.MkdirTemp("", "sluice-mutants-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	if err := copyTree(root, scratch); err != nil {
		return err
	}
	if err := baseline(ctx, scratch, all); err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "RULE\tMUTANT\tRESULT\tSECONDS\tTEST")
	var bad []string
	for _, m := range all {
		began := time.Now()
		result, why, err := try(ctx, scratch, m)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%.1f\t%s\n", m.rule, m.name, result, time.Since(began).Seconds(), m.test)
		if result != killed {
			bad = append(bad, fmt.Sprintf("%s %s: %s", result, m.name, why))
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(bad) > 0 {
		return fmt.Errorf("%d of %d were not caught\n%s", len(bad), len(all), strings.Join(bad, "\n"))
	}
	_, _ = fmt.Fprintf(out, "all %d mutants were caught\n", len(all))
	return nil
}

// required fails for the first rule of spec ("S1-S15,A1") without a mutant.
func required(all []mutant, spec string) error {
	have := map[int]bool{}
	for _, m := range all {
		have[ruleOrder(m.rule)] = true
	}
	var missing []string
	for part := range strings.SplitSeq(spec, ",") {
		if part == "" {
			continue
		}
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		if !ruleName.MatchString(from) || !ruleName.MatchString(to) {
			return fmt.Errorf("--require %s: rules such as S1 or S1-S15 are needed", part)
		}
		for n := ruleOrder(from); n <= ruleOrder(to); n++ {
			if !have[n] {
				missing = append(missing, fmt.Sprintf("%c%d", from[0], n%1000))
			}
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("no mutant for %s", strings.Join(missing, ", "))
	}
	return nil
}

// ruleOrder sorts S2 before S10, and S before A.
func ruleOrder(rule string) int {
	n, _ := strconv.Atoi(rule[1:])
	if rule[0] == 'A' {
		n += 1000
	}
	return n
}

func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", err
	}
	file := strings.TrimSpace(string(out))
	if filepath.Base(file) != "go.mod" {
		return "", errors.New("run it inside the source tree")
	}
	return filepath.Dir(file), nil
}
