package monstache

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// text is the sluice.yaml that is written, and the keys that each line is from.
type text struct {
	lines []string
	// keys are those of the line of the same number.
	keys [][]string
	// open are the headers of sections, which are written with their first line.
	open []header
	// given tells whether a key was given.
	given func(key string) bool
}

type header struct {
	indent int
	name   string
}

// section begins a section, which is written only if something is in it.
func (t *text) section(indent int, name string) {
	for len(t.open) > 0 && t.open[len(t.open)-1].indent >= indent {
		t.open = t.open[:len(t.open)-1]
	}
	t.open = append(t.open, header{indent: indent, name: name})
}

// put writes "name: value", with the keys that it is from as a comment.
func (t *text) put(indent int, name, value string, keys ...string) {
	line := strings.Repeat("  ", indent) + name + ": " + value
	if len(keys) > 0 {
		keys = t.named(keys)
		line += "  # " + strings.Join(keys, ", ")
	}
	t.flush(indent)
	t.add(line, keys)
}

// named are those of the keys that were given; the first, if it is a default.
func (t *text) named(keys []string) []string {
	out := slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return !t.given(k) })
	if len(out) == 0 {
		return keys[:1]
	}
	return out
}

// flush writes the headers that the next line, at this indent, stands under.
func (t *text) flush(indent int) {
	for len(t.open) > 0 && t.open[0].indent < indent {
		h := t.open[0]
		t.open = t.open[1:]
		t.add(strings.Repeat("  ", h.indent)+h.name+":", nil)
	}
	t.open = nil
}

// item begins an entry of a list: its first line is put as any other.
func (t *text) item(indent int, name, value string, keys ...string) {
	before := len(t.lines)
	t.put(indent, name, value, keys...)
	at := len(t.lines) - 1
	for at > before && !strings.HasPrefix(t.lines[at], strings.Repeat("  ", indent)+name+":") {
		at--
	}
	lead := strings.Repeat("  ", indent-1)
	t.lines[at] = lead + "- " + strings.TrimPrefix(t.lines[at], lead+"  ")
}

// block writes text of several lines.
func (t *text) block(indent int, name, value string, keys ...string) {
	if !plainBlock(value) {
		t.put(indent, name, quote(value), keys...)
		return
	}
	body := strings.TrimRight(value, "\n")
	chomp := "|-"
	if strings.HasSuffix(value, "\n") {
		chomp = "|"
	}
	t.put(indent, name, chomp, keys...)
	for line := range strings.SplitSeq(escape(body), "\n") {
		if line != "" {
			line = strings.Repeat("  ", indent+1) + line
		}
		t.add(line, keys)
	}
}

// plainBlock tells whether YAML's block style keeps the text as it is.
func plainBlock(s string) bool {
	if strings.HasSuffix(s, "\n\n") || strings.Trim(s, "\n") == "" {
		return false
	}
	first := s[0]
	if first == ' ' || first == '\t' || first == '\n' {
		return false
	}
	for line := range strings.SplitSeq(s, "\n") {
		if strings.TrimSpace(line) == "" && line != "" {
			return false
		}
	}
	for _, r := range s {
		if r != '\n' && r != '\t' && (r < ' ' || r == 0x7f || r == 0xfffd || r == 0xfeff || r == 0x85 || r == 0x2028 || r == 0x2029) {
			return false
		}
	}
	return true
}

func (t *text) comment(indent int, line string) {
	t.flush(indent)
	t.add(strings.Repeat("  ", indent)+"# "+line, nil)
}

func (t *text) add(line string, keys []string) {
	t.lines = append(t.lines, line)
	t.keys = append(t.keys, keys)
}

// String is the whole text.
func (t *text) String() string { return strings.Join(t.lines, "\n") + "\n" }

// escape keeps what looks like an expansion as it is.
func escape(s string) string { return strings.ReplaceAll(s, "${", "$${") }

// quote writes text so that the loader reads the same.
func quote(s string) string { return quoteRaw(escape(s)) }

// quoteRaw is quote for text with expansions that are meant.
func quoteRaw(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return `""` // can't be: text always encodes
	}
	return strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "\x7f", `\u007f`)
}

// quoteList writes a list on one line.
func quoteList(all []string) string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = quote(s)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func boolean(on bool) string { return strconv.FormatBool(on) }

func whole(n int64) string { return strconv.FormatInt(n, 10) }

// secret writes a value that should not stand in a file: as the variable or file
// that it came from, if it did.
func secret(v Value) string {
	switch {
	case v.From.Path != "":
		return quoteRaw(fmt.Sprintf("${file:%s}", v.From.Path))
	case v.From.Env != "":
		return quoteRaw(fmt.Sprintf("${%s}", v.From.Env))
	}
	return quote(v.Text)
}
