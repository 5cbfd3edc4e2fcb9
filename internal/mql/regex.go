package mql

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// regexTest matches strings and symbols, and regular expressions that are the
// same.
type regexTest struct {
	pattern, options string
	re               *regexp.Regexp
}

func newRegex(pattern, options string) (regexTest, error) {
	flags, extended := "", false
	for _, o := range options {
		switch o {
		case 'i', 'm', 's':
			if !strings.ContainsRune(flags, o) {
				flags += string(o)
			}
		case 'x':
			extended = true
		case 'u': // always on
		default:
			return regexTest{}, fmt.Errorf("the regular expression /%s/ has the option %q; known are i, m, s, u and x", pattern, o)
		}
	}
	goes := translate(pattern, extended, strings.Contains(flags, "m"))
	if flags != "" {
		goes = "(?" + flags + ")" + goes
	}
	re, err := regexp.Compile(goes)
	if err != nil {
		return regexTest{}, fmt.Errorf("the regular expression /%s/ can't be used: %w (look-around and back references are not supported)", pattern, err)
	}
	return regexTest{pattern, options, re}, nil
}

func (t regexTest) test(v value) bool {
	switch v.t {
	case bson.TypeString, bson.TypeSymbol:
		return t.re.Match(v.text())
	case bson.TypeRegex:
		p, o := v.pattern()
		return string(p) == t.pattern && string(o) == t.options
	}
	return false
}

// translate writes what PCRE and Go read differently in Go's terms: `$` without
// the option m and `\Z` match before a last line feed too, and the option x
// ignores white space and comments.
func translate(p string, extended, multiline bool) string {
	const end = `(?:\n?\z)`
	var b bytes.Buffer
	class := false
	for i := 0; i < len(p); i++ {
		c := p[i]
		switch {
		case c == '\\' && i+1 < len(p):
			i++
			if p[i] == 'Z' && !class {
				b.WriteString(end)
			} else {
				b.Write([]byte{c, p[i]})
			}
			continue
		case c == '[' && !class:
			class = true
			var head string
			head, i = classHead(p, i)
			b.WriteString(head)
			continue
		case c == '[' && strings.HasPrefix(p[i:], "[:"):
			if n := strings.Index(p[i:], ":]"); n > 0 {
				b.WriteString(p[i : i+n+2])
				i += n + 1
				continue
			}
		case c == ']':
			class = false
		case class:
		case c == '$' && !multiline:
			b.WriteString(end)
			continue
		case extended && strings.IndexByte(" \t\n\v\f\r", c) >= 0:
			continue
		case extended && c == '#':
			n := strings.IndexByte(p[i:], '\n')
			if n < 0 {
				return b.String()
			}
			i += n
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// classHead writes the start of a class at p[i]: a bracket that is the first in
// it stands for itself. It returns where the start ends.
func classHead(p string, i int) (head string, end int) {
	head = "["
	if strings.HasPrefix(p[i+1:], "^") {
		i++
		head += "^"
	}
	if strings.HasPrefix(p[i+1:], "]") {
		i++
		head += `\]`
	}
	return head, i
}
