package monstache

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/internal/config"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the files that are compared")
	os.Exit(m.Run())
}

// update tells whether golden files are written.
func update() bool { return flag.Lookup("update").Value.String() == "true" }

// compare holds got against what is in a file behind its line "---".
func compare(t *testing.T, path, got string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, want, ok := strings.Cut(string(raw), "---\n")
	if !ok {
		t.Fatalf("%s has no line ---", path)
	}
	if update() {
		if err := os.WriteFile(path, []byte(head+"---\n"+got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Errorf("%s: it gives\n%s\nwant (go test -update writes it)\n%s", path, got, want)
	}
}

// outcome is everything that an input leads to: the lines of the sluice.yaml that
// are not those of no input at all, or what is said instead.
func outcome(t *testing.T, in Input) string {
	t.Helper()
	s, err := Read(in)
	if err != nil {
		return told(t, err)
	}
	switch {
	case s.Help:
		return "usage\n"
	case s.Version:
		return Version + "\n"
	case s.Print:
		return s.PrintConfig(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	}
	tr, err := s.Translate()
	if err != nil {
		return told(t, err)
	}
	loads(t, tr)
	var b strings.Builder
	b.WriteString(difference(base(t), tr.Text))
	if tr.Once {
		b.WriteString("once\n")
	}
	for _, w := range tr.Warnings {
		b.WriteString("? " + w + "\n")
	}
	return b.String()
}

func told(t *testing.T, err error) string {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%T: %v", err, err)
	}
	return "exit " + string(rune('0'+e.Code)) + "\n! " + strings.ReplaceAll(e.Message, "\n", "\n! ") + "\n"
}

// base is the translation of nothing.
func base(t *testing.T) string {
	t.Helper()
	s, err := Read(Input{})
	if err != nil {
		t.Fatal(err)
	}
	tr, err := s.Translate()
	if err != nil {
		t.Fatal(err)
	}
	return tr.Text
}

// difference are the lines of b that a has not, with +, and those that it lacks,
// with -, below the headers that they stand under. Comments alone don't count.
func difference(a, b string) string {
	was, is := lines(a), lines(b)
	var out strings.Builder
	var path []string
	for _, l := range is {
		depth := (len(l) - len(strings.TrimLeft(l, " -"))) / 2
		if added := !slices.Contains(was, l); added {
			for _, p := range path[:min(depth, len(path))] {
				if p != "" {
					out.WriteString("  " + p + "\n")
				}
			}
			clear(path)
			out.WriteString("+ " + l + "\n")
		}
		path = slices.Concat(path, make([]string, depth+1))[:depth+1]
		path[depth] = ""
		if strings.HasSuffix(l, ":") && slices.Contains(was, l) {
			path[depth] = l
		}
	}
	for _, l := range was {
		if !slices.Contains(is, l) {
			out.WriteString("- " + l + "\n")
		}
	}
	return out.String()
}

func lines(s string) []string {
	return slices.DeleteFunc(strings.Split(strings.TrimSuffix(s, "\n"), "\n"), func(l string) bool { return strings.HasPrefix(strings.TrimSpace(l), "#") })
}

// loads wants the text to load, without a fault.
func loads(t *testing.T, tr *Translation) {
	t.Helper()
	_, err := config.Parse("monstache.toml", []byte(tr.Text), config.Overrides{})
	var bad config.Errors
	if err != nil && !errors.As(err, &bad) {
		t.Fatal(err)
	}
	for _, one := range bad {
		t.Errorf("the text does not load: line %d (%s): %s\n%s", one.Line, tr.Blame(one.Line), one.Message, tr.Text)
	}
}

// TestKeys: each key of the file becomes what its fixture says.
func TestKeys(t *testing.T) {
	each(t, "keys", func(t *testing.T, input string) Input {
		dir := t.TempDir()
		t.Chdir(dir)
		if err := errors.Join(os.WriteFile("monstache.toml", []byte(input), 0o600), os.Mkdir("scripts", 0o700), os.WriteFile("scripts/a.js", []byte("module.exports = function(doc) { return doc }"), 0o600)); err != nil {
			t.Fatal(err)
		}
		return Input{Args: []string{"-f", "monstache.toml"}}
	})
}

// TestFlags is TestKeys for the command line: one argument a line.
func TestFlags(t *testing.T) {
	each(t, "flags", func(_ *testing.T, input string) Input {
		return Input{Args: strings.Split(strings.TrimSuffix(input, "\n"), "\n"), Environ: []string{"NAME=from-env", "SHELL_LIKE="}}
	})
}

// TestEnvironment is TestKeys for variables; lines with a dash are arguments.
func TestEnvironment(t *testing.T) {
	each(t, "env", func(t *testing.T, input string) Input {
		var in Input
		for line := range strings.SplitSeq(strings.TrimSuffix(input, "\n"), "\n") {
			if strings.HasPrefix(line, "-") {
				in.Args = append(in.Args, line)
				continue
			}
			name, value, _ := strings.Cut(line, "=")
			t.Setenv(name, value)
			in.Environ = append(in.Environ, line)
		}
		return in
	})
}

func each(t *testing.T, dir string, input func(*testing.T, string) Input) {
	t.Helper()
	paths, err := filepath.Glob("testdata/" + dir + "/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			path, err := filepath.Abs(path)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			head, _, _ := strings.Cut(string(raw), "---\n")
			compare(t, path, outcome(t, input(t, head)))
		})
	}
}
