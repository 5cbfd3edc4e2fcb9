package monstache

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// docsPage is the page that holds the table, between two marks.
const docsPage = "../../../docs/migrating-from-monstache.md"

const (
	tableBegins = "<!-- The table is written by go test ./internal/compat/monstache -update. -->\n"
	tableEnds   = "<!-- End of the table. -->\n"
)

// markdown is the table of all keys.
func markdown() string {
	var b strings.Builder
	for _, g := range Groups() {
		fmt.Fprintf(&b, "\n### %s\n\n| Key | Flag | Variable | State | What sluice does |\n|---|---|---|---|---|\n", g.Title)
		for _, k := range g.Keys {
			name, flag, env := "`"+k.Name+"`", "–", "–"
			if k.FlagOnly {
				name = "–"
			}
			if k.Flag != "" {
				flag = "`-" + k.Flag + "`"
			}
			if k.Env != "" {
				env = "`" + prefix + k.Env + "`"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", name, flag, env, k.State, strings.ReplaceAll(k.Does, "|", `\|`))
		}
	}
	return b.String() + "\n"
}

// TestDocsAreFresh fails when the page is not what the table says; with -update it
// writes the table.
func TestDocsAreFresh(t *testing.T) {
	raw, err := os.ReadFile(docsPage)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(raw), tableBegins)
	_, tail, ends := strings.Cut(rest, tableEnds)
	if !ok || !ends {
		t.Fatal("the page lacks the marks of the table")
	}
	want := head + tableBegins + markdown() + tableEnds + tail
	if update() {
		if err := os.WriteFile(docsPage, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(raw) != want {
		t.Error("docs/migrating-from-monstache.md is stale: run go test ./internal/compat/monstache -update")
	}
}
