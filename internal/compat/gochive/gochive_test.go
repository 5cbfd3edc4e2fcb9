package gochive

import (
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files and the page anew")

// theirs is a command line as users of go-chive have it.
var theirs = []string{
	"-age-limit", "1d", "-archive-check-interval", "60", "-collection", "test", "-database", "test",
	"-host", "mongodb://127.0.0.1:27017/?replicaSet=rs0", "-s3-bucket-uri", "bucket/test/", "-s3-upload-interval", "80",
	"-archive-field", "createdAt", "-query-limit", "1000",
}

// with is theirs with one flag said otherwise; without a value it is left out.
func with(name string, value ...string) []string {
	var out []string
	for i := 0; i < len(theirs); i += 2 {
		if theirs[i] != name {
			out = append(out, theirs[i], theirs[i+1])
		}
	}
	if len(value) > 0 {
		out = append(out, name, value[0])
	}
	return out
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path) //nolint:gosec // a golden file
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: it is\n%s", name, got)
	}
}

func translated(t *testing.T, args []string) string {
	t.Helper()
	s, err := Read(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	all, notes, err := s.Translate("/tmp/spool")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, c := range all {
		b.WriteString(c.Text + "---\n")
	}
	return b.String() + strings.Join(notes, "\n") + "\n"
}

func TestCommandLine(t *testing.T) {
	golden(t, "flags.txt", translated(t, theirs))
	if a, b := translated(t, with("-query-limit", "7")), translated(t, append(with("-query-limit"), "--queryLimit=7")); a != b {
		t.Errorf("-queryLimit is not -query-limit:\n%s\n%s", a, b)
	}
	ours := append(with("-host", "db1:27017,db2:27017"), "-s3-endpoint", "http://127.0.0.1:9000", "-s3-region", "eu-west-1", "-listen", "127.0.0.1:9630", "-allow-collscan")
	golden(t, "ours.txt", translated(t, ours))
}

func TestList(t *testing.T) {
	template := "mongodb://u:${MONGODB_PASSWORD}@{hostAddress}-0.example:27017/?replicaSet=rs0"
	for _, name := range []string{"list", "keyed"} {
		golden(t, name+".txt", translated(t, []string{"-values", "testdata/" + name + ".yaml", "-host-template", template, "-listen", "127.0.0.1:9630"}))
	}
}

// Each mistake gives one line that names the flag or key, and the cure.
func TestMistakes(t *testing.T) {
	f := func(args []string, want ...string) {
		t.Helper()
		s, err := Read(args, io.Discard)
		if err == nil {
			_, _, err = s.Translate("/tmp/spool")
		}
		var e *Error
		if !errors.As(err, &e) || len(e.Lines) != len(want) {
			t.Errorf("%q: %v", args, err)
			return
		}
		for i, w := range want {
			if !strings.Contains(e.Lines[i], w) {
				t.Errorf("%q: %q, want %q", args, e.Lines[i], w)
			}
		}
	}
	f(with("-age-limit", "-1d"), "-age-limit is negative")
	f(with("-age-limit", "1d12h"), "-age-limit wants whole days")
	f(with("-age-limit", "92"), `"92d"`)
	f(with("-age-limit", "0d"), "at once")
	f(with("-age-limit"), "-age-limit is missing")
	f(with("-archive-check-interval", "60s"), "without the unit: 60")
	f(with("-archive-check-interval", "0"), "from 1 to")
	f(with("-s3-upload-interval", "1h"), "whole number of seconds")
	f(with("-query-limit", "0"), "from 1 to")
	f(with("-query-limit", "many"), "from 1 to")
	f(with("-s3-bucket-uri", "https://bucket/x"), "bucket/prefix")
	f(with("-s3-bucket-uri", "/"), "bucket/prefix")
	f([]string{"-bogus"}, "there is no flag -bogus")
	f(append(slices.Clone(theirs), "word"), "is no flag")
	f([]string{"-query-limit"}, "needs an argument")
	f(nil, "-host", "-database", "-collection", "-archive-field", "-age-limit", "-s3-bucket-uri")
	f(append(slices.Clone(theirs), "-listen", "9630"), "HOST:PORT")
	f(append(slices.Clone(theirs), "-values", "testdata/list.yaml"), "none of it by a flag")
	f(append(slices.Clone(theirs), "-host-template", "mongodb://x/"), "{hostAddress}")
	f([]string{"-values", "testdata/missing.yaml"}, "can't be read")
	f([]string{"-values", "testdata/list.yaml"}, "-host-template", "-host-template", "-host-template")

	yaml := func(text string) []string {
		path := filepath.Join(t.TempDir(), "values.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{"-values", path, "-host-template", "mongodb://{hostAddress}/"}
	}
	const entry = "- {name: a, hostAddress: h, ageLimit: 92d, queryLimit: 5, archiveCheckInterval: 9, collection: c, database: d, archiveField: f, s3: {bucket: b/c, uploadInterval: 65}}\n"
	f(yaml(strings.Replace(entry, "92d", "92", 1)), "entry 1 (a): ageLimit")
	f(yaml(strings.Replace(entry, "queryLimit: 5", "queryLimit: -5", 1)), "entry 1 (a): queryLimit wants")
	f(yaml(strings.Replace(entry, ", ageLimit: 92d", "", 1)), "entry 1 (a): ageLimit is missing")
	f(yaml(strings.Replace(entry, "ageLimit", "agelimit", 1)), "agelimit")
	f(yaml(strings.Replace(entry, "queryLimit: 5", "queryLimit: [5]", 1)), "single value")
	f(yaml(entry+entry), "several entries have the name a")
	f(yaml("a: 1\nb: 2\n"), "one key that holds the list")
	f(yaml("[]"), "no entry")
	f(yaml("- {"), "values")
}

// A number that is not given is go-chive's: its own charts leave out the limit.
func TestDefaults(t *testing.T) {
	for name, value := range map[string]string{"-archive-check-interval": "60", "-s3-upload-interval": "120", "-query-limit": "100"} {
		if a, b := translated(t, with(name)), translated(t, with(name, value)); a != b {
			t.Errorf("without %s it is\n%s", name, a)
		}
	}
}

func TestUsageNamesEveryFlag(t *testing.T) {
	var b strings.Builder
	s, err := Read([]string{"-h"}, &b)
	if err != nil || !s.Help {
		t.Fatal(err)
	}
	for _, k := range Keys() {
		if k.Flag != "" && !strings.Contains(b.String(), "  -"+k.Flag) {
			t.Errorf("%s is not told", k.Flag)
		}
	}
}

// contract are the flags and keys of go-chive, as its users have them.
var contract = []string{
	"-age-limit", "-archive-check-interval", "-collection", "-database", "-host", "-s3-bucket-uri", "-s3-upload-interval",
	"-archive-field", "-query-limit", "-queryLimit",
	"name", "hostAddress", "ageLimit", "queryLimit", "archiveCheckInterval", "collection", "database", "archiveField", "s3.bucket", "s3.uploadInterval",
}

func TestEveryKeyOfTheContract(t *testing.T) {
	var have []string
	for _, k := range Keys() {
		if k.Ours {
			continue
		}
		for _, name := range []string{k.Flag, k.Alias} {
			if name != "" {
				have = append(have, "-"+name)
			}
		}
		if k.List != "" {
			have = append(have, k.List)
		}
	}
	slices.Sort(have)
	want := slices.Sorted(slices.Values(contract))
	if !slices.Equal(have, want) {
		t.Errorf("the table has %v, want %v", have, want)
	}
	list, err := os.ReadFile("testdata/list.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range contract {
		if strings.HasPrefix(name, "-") {
			continue
		}
		if !strings.Contains(string(list), name[strings.LastIndexByte(name, '.')+1:]+":") {
			t.Errorf("no fixture has %s", name)
		}
	}
}

var rows = regexp.MustCompile(`(?s)(<!-- rows: go test ./internal/compat/gochive -update -->\n).*?(<!-- to here -->)`)

func TestPageIsOfTheTable(t *testing.T) {
	const path = "../../../docs/migrating-from-go-chive.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| Flag | In a list | In sluice.yaml | What sluice does |\n|---|---|---|---|\n")
	code := func(s, lead string) string {
		if s == "" {
			return ""
		}
		return "`" + lead + s + "`"
	}
	for _, k := range Keys() {
		name := code(k.Flag, "-")
		if k.Alias != "" {
			name += ", " + code(k.Alias, "-")
		}
		if k.Ours {
			name += " (not of go-chive)"
		}
		b.WriteString("| " + name + " | " + code(k.List, "") + " | " + code(k.Native, "") + " | " + k.Means + " |\n")
	}
	want := rows.ReplaceAllString(string(page), "${1}"+strings.ReplaceAll(b.String(), "$", "$$")+"$2")
	if !strings.Contains(want, b.String()) {
		t.Fatal("the page has no place for the rows")
	}
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(page) {
		t.Error("the page is stale: go test ./internal/compat/gochive -update")
	}
}
