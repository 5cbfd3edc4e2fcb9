package logs

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/internal/flow"
)

// hidden is what a secret of the configuration looks like to a log.
type hidden string

func (hidden) LogValue() slog.Value { return slog.StringValue("***") }

func mustOpen(t *testing.T, o Options) *slog.Logger {
	t.Helper()
	l, done, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := done(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// write lets a line of each level come at a fixed time.
func write(t *testing.T, l *slog.Logger, at time.Time) {
	t.Helper()
	for _, level := range []slog.Level{flow.LevelTrace, slog.LevelDebug, slog.LevelInfo, flow.LevelStats, slog.LevelWarn, slog.LevelError} {
		if !l.Enabled(t.Context(), level) {
			continue
		}
		if err := l.Handler().Handle(t.Context(), slog.NewRecord(at, level, "a line", 0)); err != nil {
			t.Fatal(err)
		}
	}
}

func at() time.Time { return time.Date(2026, 3, 4, 22, 6, 7, 890, time.UTC) }

func TestPlainLines(t *testing.T) {
	var out, errOut bytes.Buffer
	o := Options{Format: Plain, Console: &out, Errors: &errOut, Location: time.FixedZone("there", 3*3600)}
	write(t, mustOpen(t, o), at())
	want := "TRACE 2026/03/05 01:06:07 a line\nINFO 2026/03/05 01:06:07 a line\nSTATS 2026/03/05 01:06:07 a line\nWARN 2026/03/05 01:06:07 a line\n"
	if out.String() != want {
		t.Errorf("the output has\n%swant\n%s", &out, want)
	}
	if want := "ERROR 2026/03/05 01:06:07 a line\n"; errOut.String() != want {
		t.Errorf("the error output has\n%swant\n%s", &errOut, want)
	}
	out.Reset()
	o.Level = slog.LevelDebug
	write(t, mustOpen(t, o), at())
	if !strings.Contains(out.String(), "\nDEBUG 2026/03/05 01:06:07 a line\n") {
		t.Errorf("no line of level debug:\n%s", &out)
	}
}

func TestPlainAttributes(t *testing.T) {
	var out bytes.Buffer
	l := mustOpen(t, Options{Format: Plain, Console: &out, Errors: &out, Location: time.UTC}).With("flow", "shop", "password", hidden("hunter2")).WithGroup("g").With("n", 1)
	r := slog.NewRecord(at(), slog.LevelInfo, "two\nlines of \"text\"", 0)
	r.AddAttrs(slog.String("empty", ""), slog.Any("error", errors.New("open x: refused\n  cure")), slog.Duration("took", 1500*time.Millisecond),
		slog.Group("in", slog.Bool("b", true)), slog.Time("at", at()), slog.Any("raw", []byte("ab")), slog.String("eq", "a=b"), slog.Attr{})
	if err := l.Handler().Handle(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	want := `INFO 2026/03/04 22:06:07 two\nlines of "text" flow=shop password=*** g.n=1 g.empty="" g.error="open x: refused\n  cure" ` +
		`g.took=1.5s g.in.b=true g.at=2026-03-04T22:06:07Z g.raw=ab g.eq="a=b"` + "\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
}

// TestLevelNames: our own levels have names in slog's formats too, and are written
// whatever the least level is.
func TestLevelNames(t *testing.T) {
	for format, want := range map[Format]string{Text: "level=", JSON: `"level":"`} {
		var out bytes.Buffer
		write(t, mustOpen(t, Options{Format: format, Level: slog.LevelError, Console: &out, Errors: &out}), at())
		for _, level := range []string{"TRACE", "STATS", "ERROR"} {
			if !strings.Contains(out.String(), want+level) {
				t.Errorf("%s has no line of level %s:\n%s", format, level, &out)
			}
		}
		if n := strings.Count(out.String(), "\n"); n != 3 {
			t.Errorf("%s has %d lines:\n%s", format, n, &out)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestFiles: each level goes to its file, two to the same one, the rest to the console.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, "made", name) }
	var out, errOut bytes.Buffer
	l := mustOpen(t, Options{
		Format: Plain, Console: &out, Errors: &errOut, Location: time.UTC,
		Files: Files{Info: in("all.log"), Warn: in("./all.log"), Error: in("error.log"), Stats: in("stats.log")},
	})
	write(t, l, at())
	for name, want := range map[string]string{
		"all.log":   "INFO 2026/03/04 22:06:07 a line\nWARN 2026/03/04 22:06:07 a line\n",
		"error.log": "ERROR 2026/03/04 22:06:07 a line\n",
		"stats.log": "STATS 2026/03/04 22:06:07 a line\n",
	} {
		if got := read(t, in(name)); got != want {
			t.Errorf("%s has\n%swant\n%s", name, got, want)
		}
	}
	if want := "TRACE 2026/03/04 22:06:07 a line\n"; out.String() != want || errOut.Len() > 0 {
		t.Errorf("the console has %q and %q, want %q", &out, &errOut, want)
	}
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	o := Options{
		Format: Plain, Location: time.UTC, Files: Files{Info: filepath.Join(dir, "info.log")},
		Rotate: Rotate{MaxBytes: 1e6, MaxBackups: 1},
	}
	l := mustOpen(t, o)
	line := strings.Repeat("x", 300<<10)
	for range 11 { // three go into a file of 1 MiB
		l.Info(line)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		names, err := filepath.Glob(filepath.Join(dir, "info*.log"))
		if err != nil {
			t.Fatal(err)
		}
		if len(names) == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("there are %v, want the file and one that was put aside", names)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func TestFilesThatCantBe(t *testing.T) {
	dir := t.TempDir()
	plainFile := filepath.Join(dir, "file")
	if err := os.WriteFile(plainFile, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := Open(Options{Files: Files{Info: filepath.Join(plainFile, "info.log"), Trace: dir}})
	if err == nil || flow.ClassOf(err) != flow.Config {
		t.Fatalf("%v, of class %v", err, flow.ClassOf(err))
	}
	for _, want := range []string{"open the log file " + plainFile, "not a directory", "logs.info", "open the log file " + dir, "is a directory", "logs.trace"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
}

func TestEnabled(t *testing.T) {
	l := mustOpen(t, Options{Format: Text, Level: slog.LevelWarn, Console: &bytes.Buffer{}, Errors: &bytes.Buffer{}})
	for level, want := range map[slog.Level]bool{slog.LevelInfo: false, slog.LevelWarn: true, flow.LevelTrace: true, flow.LevelStats: true} {
		if got := l.Enabled(context.Background(), level); got != want {
			t.Errorf("level %v: %v", level, got)
		}
	}
}
