package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The list fits the tree: each old text is there once, each test exists.
func TestEveryMutantFits(t *testing.T) {
	root, err := moduleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := load(".")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no mutants")
	}
	for _, m := range all {
		for _, e := range m.edits {
			text, err := os.ReadFile(filepath.Join(root, e.file))
			if err != nil {
				t.Errorf("%s: %v", m.name, err)
			} else if n := strings.Count(string(text), e.old); n != 1 {
				t.Errorf("%s: its old text occurs %d times in %s, not once", m.name, n, e.file)
			}
		}
		if !testExists(t, filepath.Join(root, m.pkg), m.test) {
			t.Errorf("%s: %s has no test %s", m.name, m.pkg, m.test)
		}
	}
}

func testExists(t *testing.T, dir, test string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	// A test may be named down to a subtest; its function is the first part.
	name := regexp.MustCompile(`^(?:` + strings.Split(test, "/")[0] + `)$`)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+|Fuzz\w+)\(`).FindAllSubmatch(text, -1) {
			if name.Match(m[1]) {
				return true
			}
		}
	}
	return false
}

const sample = `# why
name: a
rule: S3
package: ./p
test: TestA|TestB
file: p/p.go
tags: integration
quick: true
--- old
	x := 1
--- new
	x := 2

--- file q/q.go
--- old
y
--- new
`

func TestParse(t *testing.T) {
	m, err := parse(sample)
	if err != nil {
		t.Fatal(err)
	}
	if m.name != "a" || m.rule != "S3" || m.pkg != "./p" || m.test != "TestA|TestB" || m.tags != "integration" || !m.quick {
		t.Errorf("%+v", m)
	}
	want := []edit{{"p/p.go", "\tx := 1\n", "\tx := 2\n\n"}, {"q/q.go", "y\n", ""}}
	if len(m.edits) != 2 || m.edits[0] != want[0] || m.edits[1] != want[1] {
		t.Errorf("%q", m.edits)
	}
}

func TestParseRefuses(t *testing.T) {
	f := func(from, to, says string) {
		t.Helper()
		_, err := parse(strings.Replace(sample, from, to, 1))
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q for %q: %v", to, from, err)
		}
	}
	f("name: a", "", "are needed")
	f("rule: S3", "rule: three", "rule")
	f("quick", "quickly", "unknown key")
	f("file: p/p.go", "", "needs a file")
	f("\tx := 2\n\n", "\tx := 1\n", "differs")
	f("--- old\n\tx := 1\n", "", "new before old")
	f("TestA|", "(", "missing closing")
	f("package: ./p", "package", "not `key: value`")
}

func TestRequired(t *testing.T) {
	all := []mutant{{rule: "S1"}, {rule: "S2"}, {rule: "A1"}}
	f := func(spec, want string) {
		t.Helper()
		got := ""
		if err := required(all, spec); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", spec, got, want)
		}
	}
	f("", "")
	f("S1-S2,A1", "")
	f("S1-S4,A1-A2", "no mutant for S3, S4, A2")
	f("S", "--require S: rules such as S1 or S1-S15 are needed")
}

// The runner itself, on a module of two lines.
func TestTryAll(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module two\n\ngo 1.26\n")
	write("two.go", "package two\n\nfunc two() int { return 2 }\n")
	write("two_test.go", "package two\n\nimport \"testing\"\n\n"+
		"func TestTwo(t *testing.T) {\n\tif two() != 2 {\n\t\tt.Fatal()\n\t}\n}\n\nfunc TestNothing(*testing.T) {}\n")
	one := func(name, test, text string) mutant {
		return mutant{name: name, rule: "S1", pkg: ".", test: test, edits: []edit{{"two.go", "return 2", text}}}
	}
	f := func(all []mutant, says ...string) {
		t.Helper()
		var out bytes.Buffer
		if err := tryAll(t.Context(), root, all, &out); err != nil {
			out.WriteString(err.Error())
		}
		for _, want := range says {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s\nshould say %q", out.String(), want)
			}
		}
	}
	misfit := one("no-fit", "TestTwo", "return 3")
	misfit.edits[0].old = "return 7"
	f([]mutant{
		one("caught", "TestTwo", "return 3"), one("not-caught", "TestNothing", "return 3"),
		one("no-build", "TestTwo", "return"), misfit,
	},
		"killed", "3 of 4 were not caught", "SURVIVED not-caught", "does not compile", "occurs 0 times")
	f([]mutant{one("no-test", "TestThree", "return 3")}, "do not pass")
	if text, _ := os.ReadFile(filepath.Join(root, "two.go")); !strings.Contains(string(text), "return 2") {
		t.Errorf("the tree itself was patched: %s", text)
	}
}
