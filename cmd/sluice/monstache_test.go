package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// oldFile writes a file of Monstache and works beside it.
func oldFile(t *testing.T, text string) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("monstache.toml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestMonstacheAnswers: what needs no server, with Monstache's exit codes.
func TestMonstacheAnswers(t *testing.T) {
	oldFile(t, "gzpi = true\n")
	for _, x := range []struct {
		args     []string
		code     int
		out, err string
	}{
		{[]string{"monstache", "-v"}, 0, "6.7.17\n", ""},
		{[]string{"--log-level", "debug", "monstache", "--v"}, 0, "6.7.17\n", ""},
		{[]string{"monstache", "-h"}, 0, "", "-direct-read-namespace TEXT"},
		{[]string{"monstache", "--help"}, 0, "", "-direct-read-namespace TEXT"},
		{[]string{"monstache", "-print-config"}, 0, "  \"MongoURL\": \"mongodb://localhost:27017\",\n", ""},
		{[]string{"monstache", "-gzpi"}, 2, "", "sluice: unknown flag -gzpi; did you mean -gzip?\n"},
		{[]string{"monstache", "-f", "monstache.toml"}, 1, "", "monstache.toml:1:1: gzpi is no key of Monstache; did you mean gzip?\n"},
		{[]string{"monstache", "-mongo-url", "mongodb:/u:s3cret@db"}, 1, "", "sluice: -mongo-url: mongo-url: mongodb.uri: "},
	} {
		code, out, errOut := sluice(t, x.args...)
		if code != x.code || !strings.Contains(out, x.out) || !strings.Contains(errOut, x.err) || strings.Contains(errOut, "s3cret") {
			t.Errorf("%v: exit code %d, output %q, errors %q", x.args, code, out, errOut)
		}
	}
}

// TestCalledMonstache: by that name the program is that verb.
func TestCalledMonstache(t *testing.T) {
	for program, want := range map[string][]string{
		"/bin/monstache": {"monstache", "-v"}, "monstache.exe": {"monstache", "-v"}, "/opt/monstache/sluice": {"-v"}, "sluice": {"-v"},
	} {
		if got := calledAs(program, []string{"-v"}); !slices.Equal(got, want) {
			t.Errorf("%s: %q", program, got)
		}
	}
}
