package config

import (
	"slices"
	"strings"
)

// field declares one field of the configuration: everything that loading,
// printing and documenting need to know of it.
type field struct {
	Name string
	// Into binds the field to where its value goes, and gives its type.
	Into binding
	// Default is the YAML text of the value when none is given, "" for none.
	Default string
	// Doc is plain text with `code`; full sentences.
	Doc string
	// Example is the YAML text of a sensible value.
	Example string
	// Flag is the flag of the command line that sets it.
	Flag string
	// Required: there must be a value, if the field applies.
	Required bool
	// Waived tells whether a Required field may be missing; Or says when, in words.
	Waived func() bool
	Or     string
	// When tells whether the field applies, given its neighbours; WhenDoc says it in words.
	When    func() bool
	WhenDoc string
	// Check validates the value that was just set; a scalar's or a list's.
	Check func() error
}

// binding is the type of a field and where its value lives.
type binding struct {
	// typ names the type in documentation: "text", "size", "list of text".
	typ string
	// secret: the value is never shown.
	secret bool
	// allowed lists the values of a choice.
	allowed []string
	// want completes "wants …" in messages.
	want string
	// kinds are those of the YAML scalars that are taken.
	kinds []nodeKind
	// schema is the JSON Schema of the type.
	schema map[string]any

	// set parses and stores a scalar; nil for the rest.
	set func(text string) error
	// show returns the YAML text of the value.
	show func() string

	// decode reads what is no scalar.
	decode func(d *decoder, path string, n *node)
	// print writes what is no scalar.
	print func(p *printer, path string, f field)
	// fields are those of a section, or of each entry of a list of sections,
	// bound to an empty value.
	fields func() []field
	// list: fields are of each entry of a list.
	list bool
}

// decoder reads nodes into fields.
type decoder struct {
	places map[string]place
	errs   Errors
}

func (d *decoder) fail(at place, path, format string, args ...any) {
	e := at.fault(format, args...)
	if path != "" {
		e.Message = path + ": " + e.Message
	}
	d.errs = append(d.errs, e)
}

// section reads the fields of one section; n is nil when it isn't there.
func (d *decoder) section(path string, fields []field, n *node, parent place) {
	at := parent
	var entries []entry
	if n != nil {
		at = n.at
		switch n.kind {
		case nodeMapping:
			entries = n.entries
		case nodeNull:
		case nodeBroken:
			return
		default:
			d.fail(n.at, path, "wants a section of fields, not %s", n.kind)
			return
		}
	}
	for _, f := range fields {
		d.byDefault(f)
	}
	given := map[string]place{}
	for _, e := range entries {
		i := slices.IndexFunc(fields, func(f field) bool { return f.Name == e.key })
		if i < 0 {
			d.unknown(path, fields, e)
			continue
		}
		given[e.key] = e.at
		d.field(join(path, e.key), fields[i], e.value)
	}
	for _, f := range fields {
		d.afterwards(path, f, given, at)
	}
}

// byDefault gives a scalar its default; sections do so when they are read.
func (d *decoder) byDefault(f field) {
	if f.Into.set != nil && f.Default != "" {
		if err := f.Into.set(f.Default); err != nil {
			d.fail(place{}, f.Name, "its default: %v", err)
		}
	}
}

func (d *decoder) unknown(path string, fields []field, e entry) {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	d.fail(e.at, path, "unknown field %q%s", e.key, didYouMean(e.key, names))
}

// afterwards looks at what can be said only when all fields were read:
// sections that are absent, fields that are missing or don't apply.
func (d *decoder) afterwards(path string, f field, given map[string]place, at place) {
	p := join(path, f.Name)
	where, there := given[f.Name]
	switch {
	case there:
		if f.When != nil && !f.When() {
			d.fail(where, p, "applies only with %s", f.WhenDoc)
		}
	case f.Required && (f.When != nil && !f.When() || f.Waived != nil && f.Waived()):
	case f.Required && f.Into.set == nil && f.Into.fields != nil && !f.Into.list:
		f.Into.decode(d, p, &node{kind: nodeNull, at: at})
	case f.Required:
		hint := ""
		ways := slices.DeleteFunc([]string{f.Flag, f.Or}, func(s string) bool { return s == "" })
		if len(ways) > 0 {
			hint = " (or " + strings.Join(ways, ", or ") + ")"
		}
		d.fail(at, p, "is missing%s, for example %s", hint, f.Example)
	case f.Into.fields != nil && !f.Into.list:
		f.Into.decode(d, p, &node{kind: nodeNull, at: at})
	}
}

// field reads one field that was given.
func (d *decoder) field(path string, f field, n *node) {
	if n.kind == nodeBroken {
		return
	}
	d.places[path] = n.at
	before := len(d.errs)
	if f.Into.set == nil {
		f.Into.decode(d, path, n)
	} else {
		d.scalar(path, f.Into, n)
	}
	if f.Check == nil || len(d.errs) > before {
		return
	}
	if err := f.Check(); err != nil {
		d.fail(n.at, path, "%v", err)
	}
}

// scalar reads one scalar of a field or of a list. What came from elsewhere,
// and what is secret, is never quoted.
func (d *decoder) scalar(path string, b binding, n *node) {
	if n.kind == nodeNull && n.text == "null" && slices.Contains(b.allowed, n.text) {
		n = &node{kind: nodeText, text: n.text, at: n.at} // the word, as nobody quotes it
	}
	if n.kind == nodeNull {
		d.fail(n.at, path, "has no value: give %s, or remove the line", b.want)
		return
	}
	if n.kind == nodeMapping || n.kind == nodeSequence {
		tail := ""
		if n.kind == nodeMapping {
			tail = "; text with a colon needs quotes"
		}
		d.fail(n.at, path, "wants %s, not %s%s", b.want, n.kind, tail)
		return
	}
	got := quote(n, b.secret)
	if !slices.Contains(b.kinds, n.kind) {
		if n.kind == nodeText && b.kinds[0] != nodeText {
			if b.set(n.text) == nil {
				d.fail(n.at, path, "wants %s, not text: take the quotes off", b.want)
				return
			}
		}
		tail := ""
		if n.kind == nodeBool && b.kinds[0] == nodeText && b.allowed == nil {
			tail = "; quote it if it is text"
		}
		d.fail(n.at, path, "wants %s, not %s%s", b.want, got, tail)
		return
	}
	if b.set(n.text) == nil {
		return
	}
	if b.allowed != nil {
		tail := ""
		if near := nearest(n.text, b.allowed); near != "" {
			tail = "; did you mean " + near + "?"
		}
		d.fail(n.at, path, "wants %s, not %s%s", b.want, got, tail)
		return
	}
	d.fail(n.at, path, "wants %s, not %s", b.want, got)
}

// quote says in a message what a scalar was.
func quote(n *node, secret bool) string {
	switch {
	case secret && n.kind == nodeText:
		return "what is there"
	case secret:
		return n.kind.String()
	case n.at.from != "":
		return "what came from " + n.at.from
	case len(n.written) > 60 || strings.Contains(n.written, "@"):
		return "what is there" // a URL may hold a login
	case n.kind == nodeText:
		return `"` + n.written + `"`
	}
	return n.written
}

// shown says in a message what the value at path was, as quote does.
func (d *decoder) shown(path, value string) string {
	return quote(&node{kind: nodeText, written: value, at: d.places[path]}, false)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
