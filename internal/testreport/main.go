package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

func main() {
	os.Exit(report(os.Stdin, os.Stdout))
}

// event is one line of `go test -json`.
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Elapsed    float64
	Output     string
}

// result is what one package did.
type result struct {
	name                    string
	passed, failed, skipped int
	seconds                 float64
	state                   string
}

// summary grows as the events come.
type summary struct {
	out      io.Writer
	packages map[string]*result
	// output is kept by test until the test is known to have passed.
	output map[[2]string]*strings.Builder
	// servers maps a line about a server to the packages that used it.
	servers map[string]map[string]bool
	bad     []string
}

func report(in io.Reader, out io.Writer) int {
	s := &summary{
		out: out, packages: map[string]*result{}, output: map[[2]string]*strings.Builder{},
		servers: map[string]map[string]bool{},
	}
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, 64<<20)
	for sc.Scan() {
		var e event
		if json.Unmarshal(sc.Bytes(), &e) != nil {
			_, _ = fmt.Fprintln(out, sc.Text())
			continue
		}
		s.add(e)
	}
	if err := sc.Err(); err != nil {
		s.bad = append(s.bad, "reading the events: "+err.Error())
	}
	return s.finish()
}

const mark = "TESTKIT "

func (s *summary) add(e event) {
	switch e.Action {
	case "build-output":
		_, _ = fmt.Fprint(s.out, e.Output)
	case "build-fail":
		s.bad = append(s.bad, "build of "+e.ImportPath)
	case "output":
		s.note(e)
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(e)
		} else {
			s.endTest(e)
		}
	}
}

// note keeps the output, and takes out what it says of a server.
func (s *summary) note(e event) {
	if _, text, ok := strings.Cut(e.Output, mark); ok {
		text = strings.TrimSpace(text)
		if s.servers[text] == nil {
			s.servers[text] = map[string]bool{}
		}
		s.servers[text][short(e.Package)] = true
	}
	key := [2]string{e.Package, e.Test}
	if s.output[key] == nil {
		s.output[key] = &strings.Builder{}
	}
	s.output[key].WriteString(e.Output)
}

func (s *summary) endTest(e event) {
	p := s.of(e.Package)
	name := short(e.Package) + " " + e.Test
	switch e.Action {
	case "pass":
		p.passed++
	case "fail":
		p.failed++
		s.bad = append(s.bad, name)
		s.print(e)
	case "skip":
		p.skipped++
		s.bad = append(s.bad, name+" (skipped)")
		s.print(e)
	}
	delete(s.output, [2]string{e.Package, e.Test})
}

func (s *summary) endPackage(e event) {
	p := s.of(e.Package)
	p.seconds, p.state = e.Elapsed, e.Action
	if e.Action == "fail" {
		if p.failed == 0 {
			s.bad = append(s.bad, p.name)
		}
		// What did not come to an end, such as the test that panicked.
		for key := range s.output {
			if key[0] == e.Package {
				s.print(event{Package: key[0], Test: key[1]})
			}
		}
	}
	if e.Action != "skip" {
		_, _ = fmt.Fprintf(s.out, "%-5s%s  %d tests, %.1f s\n", e.Action, p.name, p.passed+p.failed+p.skipped, e.Elapsed)
	}
	delete(s.output, [2]string{e.Package, ""})
}

func (s *summary) print(e event) {
	if b := s.output[[2]string{e.Package, e.Test}]; b != nil {
		_, _ = fmt.Fprintf(s.out, "---- %s %s\n%s", short(e.Package), e.Test, b.String())
	}
}

func (s *summary) of(pkg string) *result {
	if s.packages[pkg] == nil {
		s.packages[pkg] = &result{name: short(pkg)}
	}
	return s.packages[pkg]
}

// short leaves out what all our packages start with.
func short(pkg string) string { return strings.TrimPrefix(pkg, "sluice/") }

func (s *summary) finish() int {
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "\nPACKAGE\tPASSED\tFAILED\tSECONDS")
	total := result{name: "all"}
	for _, p := range slices.SortedFunc(maps.Values(s.packages), func(a, b *result) int { return cmp.Compare(a.name, b.name) }) {
		total.passed += p.passed
		total.failed += p.failed + p.skipped
		total.seconds += p.seconds
		if p.state != "skip" {
			_, _ = fmt.Fprintf(table, "%s\t%d\t%d\t%.1f\n", p.name, p.passed, p.failed+p.skipped, p.seconds)
		}
	}
	_, _ = fmt.Fprintf(table, "%s\t%d\t%d\t%.1f\n", total.name, total.passed, total.failed, total.seconds)
	if len(s.servers) > 0 {
		_, _ = fmt.Fprintln(table, "\nRAN AGAINST\tUSED BY")
		for _, server := range slices.Sorted(maps.Keys(s.servers)) {
			_, _ = fmt.Fprintf(table, "%s\t%s\n", server, strings.Join(slices.Sorted(maps.Keys(s.servers[server])), ", "))
		}
	}
	_ = table.Flush()
	_, _ = fmt.Fprintf(s.out, "\n%d passed, %d failed\n", total.passed, total.failed)
	if total.passed == 0 && len(s.bad) == 0 {
		s.bad = append(s.bad, "no test ran")
	}
	if len(s.bad) == 0 {
		return 0
	}
	_, _ = fmt.Fprintf(s.out, "\nFAILED\n  %s\n", strings.Join(s.bad, "\n  "))
	return 1
}
