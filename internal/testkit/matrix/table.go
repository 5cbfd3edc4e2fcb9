package main

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
)

// row is what the table says of one engine.
type row struct {
	product, version, day string
	ran, missing          []string
	failed                error
}

// Between these lines the table belongs to this command.
const (
	tableBegin = "<!-- make test-matrix writes from here -->"
	tableEnd   = "<!-- to here -->"
	tableHead  = "| Product | Version | What ran | Result | Missing in this build |\n|---|---|---|---|---|\n"
)

var errNoTable = errors.New("the lines that mark the place of the table are not in it")

// String is the row in Markdown.
func (r row) String() string {
	result := "passed on " + r.day
	if r.failed != nil {
		result = "FAILED on " + r.day
	}
	missing := strings.Join(r.missing, ", ")
	if missing == "" {
		missing = "nothing that was looked for"
	}
	return "| " + strings.Join([]string{r.product, r.version, strings.Join(r.ran, "; "), result, missing}, " | ") + " |\n"
}

// rewrite puts rows into the table of the file; rows of other engines stay.
func rewrite(path string, rows []row) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text, err := replaced(string(b), rows)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

func replaced(text string, rows []row) (string, error) {
	head, rest, ok := strings.Cut(text, tableBegin+"\n")
	old, tail, ok2 := strings.Cut(rest, tableEnd+"\n")
	if !ok || !ok2 {
		return "", errNoTable
	}
	lines := map[string]string{}
	for line := range strings.Lines(old) {
		if key := keyOf(line); key != "" {
			lines[key] = line
		}
	}
	for _, r := range rows {
		lines[keyOf(r.String())] = r.String()
	}
	keys := make([]string, 0, len(lines))
	for k := range lines {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, newestFirst)
	var b strings.Builder
	b.WriteString(head + tableBegin + "\n" + tableHead)
	for _, k := range keys {
		b.WriteString(lines[k])
	}
	b.WriteString(tableEnd + "\n" + tail)
	return b.String(), nil
}

// keyOf is product and version of a row, "" for the head.
func keyOf(line string) string {
	cells := strings.Split(line, "|")
	if len(cells) < 4 {
		return ""
	}
	product, version := strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2])
	if product == "Product" || strings.HasPrefix(product, "---") {
		return ""
	}
	return product + " " + version
}

// newestFirst sorts keys by product, the newest version first.
func newestFirst(a, b string) int {
	pa, va, _ := strings.Cut(a, " ")
	pb, vb, _ := strings.Cut(b, " ")
	if c := cmp.Compare(pa, pb); c != 0 {
		return c
	}
	return slices.Compare(numbers(vb), numbers(va))
}

func numbers(version string) []int {
	var all []int
	for part := range strings.SplitSeq(version, ".") {
		n, _ := strconv.Atoi(part) // what is no number sorts as 0
		all = append(all, n)
	}
	return all
}
