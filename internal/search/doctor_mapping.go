package search

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// mapped is a part of a mapping.
type mapped struct {
	Type            string             `json:"type"`
	Properties      map[string]*mapped `json:"properties"`
	Fields          map[string]*mapped `json:"fields"`
	Dynamic         any                `json:"dynamic"`
	Enabled         *bool              `json:"enabled"`
	IgnoreMalformed any                `json:"ignore_malformed"`
	// Of the root alone.
	DateDetection    *bool           `json:"date_detection"`
	DynamicTemplates json.RawMessage `json:"dynamic_templates"`
}

// place is where a path of a document ends in a mapping.
type place struct {
	at *mapped // nil: not mapped
	// ignored: neither looked at nor refused. strict: refused, as it is not mapped.
	ignored, strict bool
}

// find follows a dotted path. The setting dynamic is that of the nearest parent.
func (m *mapped) find(path string) place {
	dynamic, at := fmt.Sprint(m.Dynamic), m
	names := strings.Split(path, ".")
	for i, name := range names {
		if at.Enabled != nil && !*at.Enabled {
			return place{ignored: true}
		}
		if at != m && at.Type != "" && at.Type != "object" && at.Type != "nested" {
			return place{ignored: true} // flattened, geo_point, percolator: of its own form
		}
		if at.Dynamic != nil {
			dynamic = fmt.Sprint(at.Dynamic)
		}
		next := at.Properties[name]
		if next == nil {
			// A name may hold dots itself.
			if whole := at.Properties[strings.Join(names[i:], ".")]; whole != nil {
				return place{at: whole}
			}
			return place{ignored: dynamic == "false" || dynamic == "runtime", strict: dynamic == "strict"}
		}
		at = next
	}
	if at.Enabled != nil && !*at.Enabled {
		return place{ignored: true}
	}
	return place{at: at}
}

// count is the number of fields, as the engine's limit counts them.
func (m *mapped) count() int {
	n := 0
	for _, p := range m.Properties {
		n += 1 + len(p.Fields) + p.count()
	}
	return n
}

// clash is a field that documents and mapping disagree about.
type clash struct {
	field, what string
	// docs of the sample will not fit; 0: it depends on which comes first.
	docs int
}

// clashes compares the shape of a sample with a mapping.
func (m *mapped) clashes(s shape) []clash {
	var all []clash
	for _, path := range slices.Sorted(maps.Keys(s)) {
		p := m.find(path)
		f := s[path]
		switch {
		case p.ignored:
		case p.strict:
			all = append(all, clash{path, "the mapping is strict and does not have it", f.most()})
		case p.at == nil:
			if c, bad := f.alone(m); bad {
				c.field = path
				all = append(all, c)
			}
		default:
			if c, bad := f.against(p.at); bad {
				c.field = path
				all = append(all, c)
			}
		}
	}
	return all
}

// most is in how many documents the field is at least.
func (s *fieldShape) most() int {
	n := 0
	for _, d := range s.docs {
		n = max(n, d)
	}
	return n
}

// kinds names them with their counts.
func (s *fieldShape) kinds() string {
	names := make([]string, 0, len(s.docs))
	for _, k := range s.has() {
		names = append(names, fmt.Sprintf("%s in %d", k, s.docs[k]))
	}
	return strings.Join(names, ", ")
}

// alone judges a field that is not mapped: its first value decides.
func (s *fieldShape) alone(root *mapped) (clash, bool) {
	o, n, b, d, t := s.docs[kindObject], s.docs[kindNumber], s.docs[kindBoolean], s.docs[kindDate], s.docs[kindText]
	scalar := max(n, b, d, t)
	templates := len(root.DynamicTemplates) > 2
	detects := root.DateDetection == nil || *root.DateDetection
	switch {
	case o > 0 && scalar > 0:
		return clash{what: "it is an object in some documents and a value in others: " + s.kinds(), docs: min(o, scalar)}, true
	case templates: // what they make of a value is not known here
		return clash{}, false
	case n > 0 && b > 0:
		return clash{what: "it has two types: " + s.kinds(), docs: min(n, b)}, true
	case n > 0 && s.notNumber > 0, b > 0 && s.notBoolean > 0:
		return clash{what: "it has two types: " + s.kinds()}, true
	case detects && d > 0 && t > 0 && s.notDate > 0:
		return clash{what: "some of its text looks like a date, and some does not: " + s.kinds()}, true
	}
	return clash{}, false
}

// against judges a field with the type that it is mapped as.
func (s *fieldShape) against(m *mapped) (clash, bool) {
	scalar := max(s.docs[kindNumber], s.docs[kindBoolean], s.docs[kindDate], s.docs[kindText])
	lenient := fmt.Sprint(m.IgnoreMalformed) == "true"
	bad := 0
	switch m.Type {
	case "", "object", "nested":
		bad = scalar
	case "text", "keyword", "match_only_text", "wildcard", "constant_keyword", "ip", "binary":
		bad = s.docs[kindObject]
	case "long", "integer", "short", "byte", "double", "float", "half_float", "unsigned_long", "scaled_float":
		bad = max(s.docs[kindObject], s.docs[kindBoolean])
		if !lenient {
			bad = max(bad, s.notNumber)
		}
	case "boolean":
		bad = max(s.docs[kindObject], s.docs[kindNumber], s.notBoolean)
	case "date", "date_nanos":
		bad = max(s.docs[kindObject], s.docs[kindBoolean])
		if !lenient {
			bad = max(bad, s.notDate)
		}
	}
	if bad == 0 {
		return clash{}, false
	}
	typ := m.Type
	if typ == "" {
		typ = "object"
	}
	return clash{what: fmt.Sprintf("it is mapped as %s, and the documents have %s", typ, s.kinds()), docs: bad}, true
}

// newFields is how many fields the sample adds to the mapping: text that is not
// mapped gets a keyword beside it.
func (m *mapped) newFields(s shape) int {
	n := 0
	for path, f := range s {
		if p := m.find(path); p.at != nil || p.ignored || p.strict {
			continue
		}
		n++
		if f.docs[kindText] > 0 && f.docs[kindObject] == 0 && len(m.DynamicTemplates) <= 2 {
			n++
		}
	}
	return n
}
