package config

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const docsDir = "../../docs"

// TestDocsAreFresh fails when a generated file is not what the specification
// says; with -update it writes them.
func TestDocsAreFresh(t *testing.T) {
	for name, want := range map[string][]byte{"configuration.md": Markdown(), "sluice.schema.json": Schema()} {
		path := filepath.Join(docsDir, name)
		if update() {
			if err := os.MkdirAll(docsDir, 0o750); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, want, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("docs/%s is stale (%v): run go test ./internal/config -update", name, err)
		}
	}
}

// TestDocsExamplesLoad: the least that works, as documented, works.
func TestDocsExamplesLoad(t *testing.T) {
	parts := strings.Split(string(Markdown()), "```yaml\n")
	if len(parts) != 3 {
		t.Fatalf("%d examples", len(parts)-1)
	}
	for i, part := range parts[1:] {
		text, _, _ := strings.Cut(part, "```")
		c := mustLoad(t, text)
		if len(c.Flows) != 1-i || len(c.Archive) != i {
			t.Errorf("%d flows, %d rules in\n%s", len(c.Flows), len(c.Archive), text)
		}
	}
}

// TestDocsNameEveryField: nothing is left out of the page and the schema.
func TestDocsNameEveryField(t *testing.T) {
	md := string(Markdown())
	each("", spec(new(Config)), func(path string, f field) {
		if !strings.Contains(md, "`"+f.Name+"`") && !strings.Contains(md, f.Name+"`\n") {
			t.Errorf("%s is not on the page", path)
		}
	})
}

// TestSchemaAgrees validates the good files with the schema, as far as this
// small validator goes, and finds the faults of a few bad ones.
func TestSchemaAgrees(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	if schema["$schema"] != "https://json-schema.org/draft/2020-12/schema" {
		t.Error(schema["$schema"])
	}
	paths, err := filepath.Glob("testdata/*.good.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bad := against(schema, treeOf(t, string(text)), ""); bad != "" {
			t.Errorf("%s: %s", path, bad)
		}
	}
	f := func(text, want string) {
		t.Helper()
		if bad := against(schema, treeOf(t, text), ""); bad != want {
			t.Errorf("%q; want %q:\n%s", bad, want, text)
		}
	}
	f(least+"x: 1\n", ".x: unknown")
	f(least+"limits: {lanes: 0}\n", ".limits.lanes: no alternative fits")
	f(least+"limits: {lanes: a}\n", ".limits.lanes: no alternative fits")
	f(least+"state: {store: redis}\n", ".state.store: no alternative fits")
	f("mongodb: {}\n", ".mongodb.uri: missing")
}

// treeOf reads YAML into the values that JSON has.
func treeOf(t *testing.T, text string) any {
	t.Helper()
	look := lookup{env: func(n string) (string, bool) { return "${" + n + "}", true }, file: func(string) ([]byte, error) { return []byte("${x}"), nil }}
	r := &reader{lookup: look}
	n := r.read([]byte(text))
	if len(r.errs) > 0 {
		t.Fatal(r.errs)
	}
	var v any
	if err := json.Unmarshal((&decoder{}).json(nil, "", n), &v); err != nil {
		t.Fatal(err)
	}
	return v
}
