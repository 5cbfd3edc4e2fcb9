package config

import (
	"fmt"
	"io"
	"regexp"
	"strings"
)

// Print writes the effective configuration as YAML, each value with a comment
// that tells where it comes from. Secrets are hidden; with them put back, what
// it writes loads and means the same.
func (c *Config) Print(w io.Writer) error {
	p := &printer{places: c.places}
	for _, f := range spec(c) {
		p.field("", f)
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

type printer struct {
	b      strings.Builder
	indent int
	places map[string]place
	// dash: the next line is the first of an entry of a list.
	dash bool
}

func (p *printer) line(s string) {
	lead := strings.Repeat("  ", p.indent)
	if p.dash {
		lead = lead[:len(lead)-2] + "- "
		p.dash = false
	}
	p.b.WriteString(lead + s + "\n")
}

func (p *printer) field(path string, f field) {
	path = join(path, f.Name)
	if f.When != nil && !f.When() {
		return
	}
	if f.Into.print != nil {
		f.Into.print(p, path, f)
		return
	}
	value := f.Into.show()
	at, given := p.places[path]
	if value == "" || value == `""` && !given {
		return
	}
	p.line(fmt.Sprintf("%s: %s  # %s", f.Name, value, at.source()))
}

func (p *printer) section(path, name string, fields []field) {
	before, dash := p.b.Len(), p.dash
	p.line(name + ":")
	after := p.b.Len()
	p.indent++
	for _, f := range fields {
		p.field(path, f)
	}
	p.indent--
	if p.b.Len() == after { // nothing in it
		s := p.b.String()[:before]
		p.b.Reset()
		p.b.WriteString(s)
		p.dash = dash
	}
}

func (p *printer) list(path, name string, n int, fields func(i int) []field) {
	if n == 0 {
		return
	}
	p.line(name + ":")
	p.indent += 2
	for i := range n {
		p.dash = true
		for _, f := range fields(i) {
			p.field(fmt.Sprintf("%s[%d]", path, i), f)
		}
	}
	p.indent -= 2
}

// plainText is text that YAML reads as text without quotes, anywhere.
const plainText = `^[A-Za-z/][A-Za-z0-9_./-]*$`

// plain writes text without quotes where it can.
func plain(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		return quoted(s)
	}
	if regexp.MustCompile(plainText).MatchString(s) {
		return s
	}
	return quoted(s)
}

// quoted writes text in double quotes, safe from expansion.
func quoted(s string) string { return jsonString(strings.ReplaceAll(s, "${", "$${")) }

// quotedKey is for keys, which aren't expanded.
func quotedKey(s string) string { return jsonString(s) }

func flowList(items []string) string {
	if len(items) == 0 {
		return ""
	}
	return "[" + strings.Join(items, ", ") + "]"
}

func flowMap(items []string) string {
	if len(items) == 0 {
		return ""
	}
	return "{" + strings.Join(items, ", ") + "}"
}
