package main

import (
	"os"
	"path/filepath"
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

// TestConvert: what is printed is a configuration, and what has no equal stands
// beside it.
func TestConvert(t *testing.T) {
	oldFile(t, "mongo-url = \"mongodb://u:p@db/\"\nresume = {{.RESUME}}\nmongo-pem-file = \"x\"\nexit-after-direct-reads = true\ndirect-read-namespaces = [\"a.b\"]\n")
	t.Setenv("RESUME", "true")
	code, out, errOut := sluice(t, "config", "convert", "--from", "monstache", "--tpl", "monstache.toml", "--", "-stats")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	wantAll(t, errOut, "monstache.toml:3:1: mongo-pem-file: ", "sluice run --once", "logins in clear")
	if err := os.WriteFile("sluice.yaml", []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errOut := sluice(t, "config", "validate", "-c", filepath.Join(".", "sluice.yaml")); code != 0 {
		t.Errorf("exit code %d: %s\n%s", code, errOut, out)
	}
	wantAll(t, out, "uri: \"mongodb://u:p@db/\"  # mongo-url", "log: true  # stats")
	code, _, errOut = sluice(t, "config", "convert", "--from", "monstache", "monstache.toml")
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	wantAll(t, errOut, "monstache.toml:2:", "start with -tpl if it is a template")
}
