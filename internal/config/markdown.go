package config

import (
	"fmt"
	"strings"
)

// intro stands at the top of the page; %s is the least that works.
const intro = "# Configuration\n\n" +
	"This page is generated from the specification in `internal/config` by `go test ./internal/config -update`; " +
	"a test fails when it is stale. `docs/sluice.schema.json` is the same as a JSON Schema, for editors: put " +
	"`# yaml-language-server: $schema=docs/sluice.schema.json` at the top of your file.\n\n" +
	"`sluice` reads one YAML file: the one named with `--config` (`-c`), else `./sluice.yaml`, else " +
	"`/etc/sluice/sluice.yaml`. The least that works:\n\n" +
	"```yaml\n%s```\n\n" +
	"`sluice config validate` reports everything that is wrong, each with file, line and column; " +
	"`sluice config print` shows the configuration in effect, where each value comes from, and no secrets.\n\n" +
	"- **Flags** come before the file, the file before defaults.\n" +
	"- **Expansion:** in any value `${NAME}` is replaced by that environment variable, which must be set; " +
	"`${NAME:-default}` has a default for one that is not set or empty; `${file:/path}` is replaced by the content of a file, " +
	"without the line break at its end. `$${` stands for `${` itself. " +
	"What is put in stays one value, whatever characters it holds. Inside `[ ]` and `{ }` put quotes around it.\n" +
	"- **Strict:** unknown fields, fields given twice, values of the wrong type and values without effect are errors. " +
	"Anchors, aliases, merge keys and tags of YAML are not read.\n" +
	"- **Sizes:** `2MB` is two million bytes, `2MiB` is 2 × 1024 × 1024, a number alone is bytes.\n" +
	"- **Durations:** `500ms`, `30s`, `5m`, `1h30m`.\n" +
	"- **Ages:** `92d`, `2w`, `36h`, `6mo`, `1y`, `1y6mo`, `90min`, or durations of ISO 8601: `P1Y6M`, `PT36H`. " +
	"`mo` is a month, `min` a minute; days have 24 hours. Months and years are those of the calendar and need a `timezone`: " +
	"they count back to the start of the day of the same number, or of the last day of a shorter month.\n\n" +
	"A configuration has `flows`, or `archive` rules, or both. The least that archives:\n\n" +
	"```yaml\n%s```\n"

// names explains the names of indexes; it ends the page.
const names = "\n## Names of indexes\n\n" +
	"A namespace `Shop.Orders` is searched under `shop.orders`, after `index_prefix` if there is one: " +
	"lower case, with `_` for spaces, control characters and each of `\\ / * ? \" < > | , # :`; " +
	"a name that would start with `-`, `_` or `+` gets an `x` before it. " +
	"Names have at most 240 bytes. Two namespaces that would reach one name are refused: " +
	"give one of them another `index` or `index_prefix`.\n"

// Markdown returns the page docs/configuration.md, generated from the specification.
func Markdown() []byte {
	var b strings.Builder
	var least strings.Builder
	minimal(&least, spec(new(Config)), "")
	fmt.Fprintf(&b, intro, least.String(), leastArchive())
	for _, f := range spec(new(Config)) {
		markdownSection(&b, f.Name, f)
	}
	b.WriteString(names)
	return []byte(b.String())
}

// leastArchive is the least that works without flows.
func leastArchive() string {
	c := Config{Archive: make([]Archive, 1)}
	var b strings.Builder
	minimal(&b, spec(&c), "")
	minimalEntry(&b, "archive", archiveSpec(new(Archive)), "")
	return b.String()
}

// minimal writes the required fields with their examples.
func minimal(b *strings.Builder, fields []field, indent string) {
	lead := indent
	for _, f := range fields {
		if !f.Required || f.When != nil && !f.When() || f.Waived != nil && f.Waived() {
			continue
		}
		switch {
		case f.Into.list:
			minimalEntry(b, f.Name, f.Into.fields(), indent)
		case f.Into.fields != nil:
			b.WriteString(lead + f.Name + ":\n")
			minimal(b, f.Into.fields(), indent+"  ")
		default:
			b.WriteString(lead + f.Name + ": " + f.Example + "\n")
		}
	}
}

// minimalEntry writes a list of one entry.
func minimalEntry(b *strings.Builder, name string, fields []field, indent string) {
	b.WriteString(indent + name + ":\n")
	var entry strings.Builder
	minimal(&entry, fields, indent+"    ")
	b.WriteString(strings.Replace(entry.String(), indent+"    ", indent+"  - ", 1))
}

func markdownSection(b *strings.Builder, path string, f field) {
	fmt.Fprintf(b, "\n## `%s`\n\n%s", path, f.Doc)
	if f.Into.list {
		b.WriteString(" A list; each entry has these fields.")
	}
	switch {
	case f.Required && f.WhenDoc != "":
		fmt.Fprintf(b, " Required with `%s`, and only then.", f.WhenDoc)
	case f.Required && f.Or != "":
		fmt.Fprintf(b, " Required, or `%s`.", f.Or)
	case f.Required:
		b.WriteString(" Required.")
	case f.WhenDoc != "":
		fmt.Fprintf(b, " Only with `%s`.", f.WhenDoc)
	}
	b.WriteString("\n\n")
	var below []field
	header := false
	for _, sub := range f.Into.fields() {
		if sub.Into.fields != nil {
			below = append(below, sub)
			continue
		}
		if !header {
			b.WriteString("| Field | Value | Default | Example | What it does |\n|---|---|---|---|---|\n")
			header = true
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", sub.Name, valueCell(sub), defaultCell(sub), codeCell(sub.Example), docCell(sub))
	}
	if f.Into.list {
		path += "[]"
	}
	for _, sub := range below {
		markdownSection(b, join(path, sub.Name), sub)
	}
}

func valueCell(f field) string {
	if f.Into.allowed == nil {
		return f.Into.typ
	}
	words := make([]string, len(f.Into.allowed))
	for i, a := range f.Into.allowed {
		words[i] = "`" + a + "`"
	}
	return oneOf(words)
}

func defaultCell(f field) string {
	if f.Required && f.Or != "" {
		return "required, or `" + f.Or + "`"
	}
	if f.Required {
		return "required"
	}
	return codeCell(f.Default)
}

func codeCell(s string) string {
	if s == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(s, "|", "\\|") + "`"
}

func docCell(f field) string {
	doc := strings.ReplaceAll(f.Doc, "|", "\\|")
	if f.WhenDoc != "" {
		doc += " Only with `" + f.WhenDoc + "`."
	}
	switch f.Into.typ {
	case "number":
		if limits, ok := strings.CutPrefix(f.Into.want, "a whole number "); ok {
			doc += " A whole number " + limits + "."
		}
	case "size", "duration", "days":
		span, _, _ := strings.Cut(f.Into.want, ",")
		span, _, _ = strings.Cut(span, " with its unit")
		doc += " " + strings.ToUpper(span[:1]) + span[1:] + "."
	}
	if f.Flag != "" {
		doc += " Flag: `" + f.Flag + "`."
	}
	return doc
}
