package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// section binds fields that belong together.
func section(fields func() []field) binding {
	return binding{
		typ: "section", fields: fields,
		decode: func(d *decoder, path string, n *node) { d.section(path, fields(), n, n.at) },
		print:  func(p *printer, path string, f field) { p.section(path, f.Name, fields()) },
	}
}

// sections binds a list of sections.
func sections[T any](p *[]T, fields func(*T) []field) binding {
	return binding{
		typ: "list of sections", list: true,
		fields: func() []field { return fields(new(T)) },
		decode: func(d *decoder, path string, n *node) {
			items, ok := d.items(path, n, "a list of sections")
			if !ok {
				return
			}
			*p = make([]T, len(items))
			for i, item := range items {
				at := fmt.Sprintf("%s[%d]", path, i)
				d.places[at] = item.at
				d.section(at, fields(&(*p)[i]), item, item.at)
			}
		},
		print: func(pr *printer, path string, f field) {
			pr.list(path, f.Name, len(*p), func(i int) []field { return fields(&(*p)[i]) })
		},
	}
}

// items returns the entries of a list; ok is false after an error.
func (d *decoder) items(path string, n *node, want string) (items []*node, ok bool) {
	switch n.kind {
	case nodeSequence:
		return n.items, true
	case nodeNull:
		d.fail(n.at, path, "has no value: give %s, or remove the line", want)
	default:
		d.fail(n.at, path, "wants %s, not %s", want, n.kind)
	}
	return nil, false
}

// texts binds a list of text; check looks at each entry.
func texts(p *[]string, check func(string) error) binding {
	return binding{
		typ:    "list of text",
		schema: map[string]any{"type": "array", "items": map[string]any{"type": "string"}},
		decode: func(d *decoder, path string, n *node) {
			items, ok := d.items(path, n, "a list, such as [a, b]")
			if !ok {
				return
			}
			*p = nil
			for i, item := range items {
				var s string
				at := fmt.Sprintf("%s[%d]", path, i)
				before := len(d.errs)
				d.field(at, field{Into: text(&s)}, item)
				if len(d.errs) > before || item.kind == nodeBroken {
					continue
				}
				if slices.Contains(*p, s) {
					d.fail(item.at, at, "%s is there twice", quote(item, false))
					continue
				}
				if err := check(s); err != nil {
					d.fail(item.at, at, "%s: %v", quote(item, false), err)
					continue
				}
				*p = append(*p, s)
				d.places[fmt.Sprintf("%s[%d]", path, len(*p)-1)] = item.at
			}
		},
		show: func() string {
			out := make([]string, len(*p))
			for i, s := range *p {
				out[i] = quoted(s)
			}
			return flowList(out)
		},
	}
}

// textMap binds names to text; check looks at each pair.
func textMap(p *map[string]string, check func(k, v string) error) binding {
	return binding{
		typ:    "map of text to text",
		schema: map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "string"}},
		decode: func(d *decoder, path string, n *node) {
			pairs(d, path, n, "a map of text to text", p, func(at string, e entry) (s string) {
				d.field(at, field{Into: text(&s)}, e.value)
				return s
			}, check)
		},
		show: func() string { return showPairs(*p, quoted) },
	}
}

// pairs decodes a map into *p: each value by one, which is told its place, and what
// comes without an error if check has nothing against the pair.
func pairs[V any](d *decoder, path string, n *node, want string, p *map[string]V, one func(at string, e entry) V, check func(k string, v V) error) {
	entries, ok := d.entries(path, n, want)
	if !ok {
		return
	}
	*p = map[string]V{}
	for _, e := range entries {
		at := path + "[" + e.key + "]"
		before := len(d.errs)
		v := one(at, e)
		if len(d.errs) > before || e.value.kind == nodeBroken {
			continue
		}
		if err := check(e.key, v); err != nil {
			d.fail(e.at, at, "%v", err)
			continue
		}
		(*p)[e.key] = v
	}
}

// showPairs writes a map in the order of its keys.
func showPairs[V any](m map[string]V, text func(V) string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, quotedKey(k)+": "+text(m[k]))
	}
	return flowMap(out)
}

// entries returns the pairs of a map; ok is false after an error.
func (d *decoder) entries(path string, n *node, want string) (entries []entry, ok bool) {
	switch n.kind {
	case nodeMapping:
		return n.entries, true
	case nodeNull:
		d.fail(n.at, path, "has no value: give %s, or remove the line", want)
	default:
		d.fail(n.at, path, "wants %s, not %s", want, n.kind)
	}
	return nil, false
}

// object binds a JSON object of any content, written as YAML or as JSON text.
func object(p *json.RawMessage) binding {
	return binding{
		typ:    "JSON object",
		schema: map[string]any{"type": []any{"object", "string"}},
		decode: func(d *decoder, path string, n *node) {
			if raw, ok := d.object(path, n); ok {
				*p = raw
			}
		},
		show: func() string {
			if *p == nil {
				return ""
			}
			return quoted(string(*p))
		},
	}
}

// object returns the compact JSON of a mapping or of text that holds a JSON object.
func (d *decoder) object(path string, n *node) (json.RawMessage, bool) {
	var raw []byte
	switch n.kind {
	case nodeMapping:
		before := len(d.errs)
		raw = d.json(nil, path, n)
		if len(d.errs) > before {
			return nil, false
		}
	case nodeText:
		raw = []byte(n.text)
	case nodeNull:
		d.fail(n.at, path, "has no value: give a JSON object, or remove the line")
		return nil, false
	default:
		d.fail(n.at, path, "wants a JSON object, not %s", n.kind)
		return nil, false
	}
	var out bytes.Buffer
	if err := json.Compact(&out, raw); err != nil || out.Len() == 0 || out.Bytes()[0] != '{' {
		d.fail(n.at, path, "wants a JSON object; this text isn't one")
		return nil, false
	}
	return out.Bytes(), true
}

// json appends the JSON of a node, keys in the order of the file.
func (d *decoder) json(dst []byte, path string, n *node) []byte {
	switch n.kind {
	case nodeNull:
		return append(dst, "null"...)
	case nodeInt, nodeFloat, nodeBool:
		if !json.Valid([]byte(n.text)) {
			d.fail(n.at, path, "%s is no number that JSON has", quote(n, false))
		}
		return append(dst, n.text...)
	case nodeSequence:
		dst = append(dst, '[')
		for i, item := range n.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = d.json(dst, path, item)
		}
		return append(dst, ']')
	case nodeMapping:
		dst = append(dst, '{')
		for i, e := range n.entries {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(append(dst, jsonString(e.key)...), ':')
			dst = d.json(dst, path, e.value)
		}
		return append(dst, '}')
	case nodeText:
		return append(dst, jsonString(n.text)...)
	}
	return append(dst, "null"...) // broken, and told
}

// jsonString quotes without the escapes that are for web pages only.
func jsonString(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return `""` // can't be: a string always encodes
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// filters binds queries to patterns of namespaces, in the order of the file.
func filters(p *[]Filter) binding {
	return binding{
		typ:    "map of namespace to query",
		schema: map[string]any{"type": "object", "additionalProperties": map[string]any{"type": []any{"object", "string"}}},
		decode: func(d *decoder, path string, n *node) {
			entries, ok := d.entries(path, n, "a map of namespaces to queries")
			if !ok {
				return
			}
			*p = nil
			for _, e := range entries {
				d.filter(p, path+"["+e.key+"]", e)
			}
		},
		show: func() string {
			var out []string
			for _, f := range *p {
				out = append(out, quotedKey(f.Pattern)+": "+quoted(f.text))
			}
			return flowMap(out)
		},
	}
}

func (d *decoder) filter(p *[]Filter, path string, e entry) {
	if e.value.kind == nodeBroken {
		return
	}
	d.places[path] = e.at
	if err := checkPattern(e.key); err != nil {
		d.fail(e.at, path, "%v", err)
		return
	}
	if raw, text, ok := d.query(path, e.value); ok {
		*p = append(*p, Filter{Pattern: e.key, Query: raw, text: text})
	}
}
