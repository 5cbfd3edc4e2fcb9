package transform

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// partKind is what a part of a template stands for.
type partKind uint8

const (
	partText  partKind = iota // itself
	partDB                    // the name of the database
	partColl                  // the name of the collection
	partKey                   // the whole _id, in an id
	partField                 // the value of a field
)

// part is a piece of a template.
type part struct {
	kind partKind
	// text is that of partText; else what stands between the braces.
	text string
	path []string
	date dateFormat // nil: the value as it is
	// otherwise takes the place of a value that can't be used.
	otherwise    string
	hasOtherwise bool
	// stop may not occur in the value as it is written in an id; 0 for any.
	stop byte
}

// Words are those that a template knows beside fields.
const templateWords = "{db}, {collection}, {_id}, {field.path}, {date_field:yyyy.MM} and {field|default}"

// isTemplate tells whether text is more than a fixed name.
func isTemplate(text string) bool { return strings.ContainsAny(text, "{}") }

// parseTemplate reads a template. An error tells the position, from 1, in bytes.
func parseTemplate(text string) ([]part, error) {
	fail := func(at int, format string, args ...any) ([]part, error) {
		return nil, fmt.Errorf("at position %d: %s; a template knows %s", at+1, fmt.Sprintf(format, args...), templateWords)
	}
	if !utf8.ValidString(text) {
		return fail(0, "this is no UTF-8")
	}
	var parts []part
	for i := 0; i < len(text); {
		open := strings.IndexAny(text[i:], "{}")
		if open < 0 {
			open = len(text) - i
		}
		if open > 0 {
			parts = append(parts, part{kind: partText, text: text[i : i+open]})
			i += open
			continue
		}
		if text[i] == '}' {
			return fail(i, "a } without a {")
		}
		end := strings.IndexAny(text[i+1:], "{}")
		if end < 0 || text[i+1+end] == '{' {
			return fail(i, "this { has no }")
		}
		p, at, err := parsePart(text[i+1 : i+1+end])
		if err != "" {
			return fail(i+1+at, "%s", err)
		}
		parts = append(parts, p)
		i += end + 2
	}
	return parts, nil
}

// parsePart reads what stands between braces; a problem comes with its place.
func parsePart(text string) (p part, at int, problem string) {
	p = part{kind: partField, text: text}
	name := text
	if i := strings.IndexByte(name, '|'); i >= 0 {
		name, p.otherwise, p.hasOtherwise = name[:i], name[i+1:], true
		if p.otherwise == "" {
			return p, i, "nothing stands after |"
		}
	}
	if i := strings.IndexByte(name, ':'); i >= 0 {
		var err error
		if p.date, err = parseDate(name[i+1:]); err != nil {
			return p, i + 1, err.Error()
		}
		name = name[:i]
	}
	switch name {
	case "":
		return p, 0, "there is nothing between the braces"
	case "db":
		p.kind = partDB
	case "collection":
		p.kind = partColl
	default:
		p.path = strings.Split(name, ".")
		for _, one := range p.path {
			if one == "" || strings.ContainsAny(one, "*$\x00 ") {
				return p, 0, fmt.Sprintf("%q is no path of a field", name)
			}
		}
	}
	if p.kind != partField && (p.date != nil || p.hasOtherwise) {
		return p, 0, "{" + name + "} takes no format and no default"
	}
	return p, 0, ""
}
