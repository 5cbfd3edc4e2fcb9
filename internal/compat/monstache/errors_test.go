package monstache

import (
	"os"
	"path/filepath"
	"testing"
)

// TestMistakesInFiles: each mistake gives one message, with its place and cure. The
// files and messages are in testdata/mistakes.
func TestMistakesInFiles(t *testing.T) {
	each(t, "mistakes", func(t *testing.T, input string) Input {
		t.Chdir(t.TempDir())
		if err := os.WriteFile("monstache.toml", []byte(input), 0o600); err != nil {
			t.Fatal(err)
		}
		return Input{Args: []string{"-f", "monstache.toml"}}
	})
}

// TestMistakesInCommands is the same for command lines.
func TestMistakesInCommands(t *testing.T) {
	dir := t.TempDir()
	for _, x := range []struct {
		args []string
		want string
	}{
		{[]string{"-gzpi"}, "exit 2\n! unknown flag -gzpi; did you mean -gzip?\n"},
		{[]string{"--elasticsearch-urls", "x"}, "exit 2\n! unknown flag -elasticsearch-urls; the flag is -elasticsearch-url, once for each entry\n"},
		{[]string{"-logs.info", "x"}, "exit 2\n! unknown flag -logs.info; logs.info is a key of the file alone, and no flag\n"},
		{[]string{"-mongo-url"}, "exit 2\n! -mongo-url has no value: write -mongo-url VALUE\n"},
		{[]string{"-gzip=ja"}, "exit 2\n! -gzip wants true or false\n"},
		{[]string{"-elasticsearch-max-conns", "s3cret"}, "exit 2\n! -elasticsearch-max-conns wants a whole number\n"},
		{[]string{"-f", "/nowhere/a.toml"}, "exit 1\n! /nowhere/a.toml: can't be read: no such file or directory\n"},
		{[]string{"-f", dir}, "exit 1\n! " + dir + ": can't be read: is a directory\n"},
	} {
		_, err := Read(Input{Args: x.args})
		if err == nil {
			t.Errorf("%v is taken", x.args)
			continue
		}
		if got := told(t, err); got != x.want {
			t.Errorf("%v: %q, want %q", x.args, got, x.want)
		}
	}
}

// TestBareWord: what stands behind a bare word counts for nothing, and that is told.
func TestBareWord(t *testing.T) {
	s := layered(t, "", nil, "-gzip", "true", "-verbose")
	if s.on("verbose") || len(s.Warnings) != 1 {
		t.Error(s.on("verbose"), s.Warnings)
	}
}

// TestMistakesInTemplates: what Monstache panics at ends with 2, and shows nothing
// of the environment.
func TestMistakesInTemplates(t *testing.T) {
	for text, want := range map[string]string{
		"gzip = {{if}}":                         "exit 2\n! F: the template can't be read: F:1: missing value for if\n",
		"mongo-url = \"{{.SECRET | len 1}}\"\n": "exit 2\n! F: the template can't be carried out: line 1 fails\n",
	} {
		path := filepath.Join(t.TempDir(), "F")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Chdir(filepath.Dir(path))
		_, err := Read(Input{Args: []string{"-tpl", "-f", "F"}, Environ: []string{"SECRET=s3cret"}})
		if err == nil {
			t.Errorf("%s is taken", text)
			continue
		}
		if got := told(t, err); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// TestScriptsAreNamed: a message that counts scripts names the table.
func TestScriptsAreNamed(t *testing.T) {
	s := layered(t, "[[script]]\nnamespace = \"a.b\"\nscript = \"x\"\n[[filter]]\nscript = \"y\"\n", nil)
	tr, err := s.Translate()
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"read scripts[0]:1:5: bad": "read " + s.File + ":5:1: [[filter]]:1:5: bad",
		"scripts[1]: bad":          s.File + ":2:1: [[script]]: bad",
	} {
		if got := tr.NameScripts(in); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
