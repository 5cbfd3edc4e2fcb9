package main

import (
	"errors"
	"strings"
	"testing"
)

func TestReplaced(t *testing.T) {
	text := "a\n" + tableBegin + "\n" + tableHead + row{product: "Elasticsearch", version: "8.19.21", day: "2026-01-01", ran: []string{"x"}}.String() +
		row{product: "OpenSearch", version: "2.19.4", day: "2026-01-01"}.String() + tableEnd + "\nb\n"
	got, err := replaced(text, []row{
		{product: "OpenSearch", version: "2.19.4", day: "2026-02-02", ran: []string{"search: 3 tests"}, missing: []string{"painless"}},
		{product: "OpenSearch", version: "3.6.0", day: "2026-02-02", failed: errors.New("no")},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "a\n" + tableBegin + "\n" + tableHead +
		"| Elasticsearch | 8.19.21 | x | passed on 2026-01-01 | nothing that was looked for |\n" +
		"| OpenSearch | 3.6.0 |  | FAILED on 2026-02-02 | nothing that was looked for |\n" +
		"| OpenSearch | 2.19.4 | search: 3 tests | passed on 2026-02-02 | painless |\n" + tableEnd + "\nb\n"
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if _, err := replaced("nothing", nil); err == nil {
		t.Error("a file without the place")
	}
}

func TestTally(t *testing.T) {
	passed, failed := tally("=== RUN   TestA\n--- PASS: TestA (0.1s)\n    --- PASS: TestA/b (0s)\n--- FAIL: TestB (1.0s)\n--- SKIP: TestC (0.0s)\nFAIL\n")
	if passed != 1 || strings.Join(failed, " ") != "TestB TestC" {
		t.Error(passed, failed)
	}
}
