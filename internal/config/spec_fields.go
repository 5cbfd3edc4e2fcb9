package config

import (
	"bytes"
	"encoding/json"
	"errors"
)

// transformSpec declares what changes and adds fields.
func transformSpec(f *Fields) []field {
	return []field{
		{
			Name: "cast", Into: casts(&f.Cast), Example: "{price: double, lines.qty: long}",
			Doc: "Another type: `string`, `long`, `double`, `boolean` or `date`; arrays are cast element by element. " +
				"The rule for each type is in docs/rendering.md.",
		},
		{
			Name: "on_error", Into: choice(&f.OnError, CastReject, CastNull, CastKeep), Default: "reject", Example: "null",
			Doc: "A value that can't be cast: `reject` the document, which then is a dead letter, write `null` in its place, " +
				"or `keep` the value as it is.",
		},
		{
			Name: "flatten", Into: texts(&f.Flatten, checkPath), Example: "[payload]",
			Doc: "Objects and arrays that are written as text, which is their JSON. Other values there stay as they are.",
		},
		{
			Name: "set", Into: constants(&f.Set), Example: "{source: shop, meta.labels: [a, b]}",
			Doc: "Constants, by path, in place of what a document has there; text, numbers, lists, objects. Objects on the way are made.",
		},
		{
			Name: "copy", Into: textMap(&f.Copy, checkCopy), Example: "{_id: order_id, title: title_raw}",
			Doc: "From a path to another, which gets the value as well, as it is in the document. `exclude` the old path to move it.",
		},
		{
			Name: "lower_names", Into: toggle(&f.LowerNames), Default: "false",
			Doc: "Names of fields in lower case, at all levels. One that would take the name of another gets an underscore.",
		},
	}
}

func checkCopy(from, to string) error {
	for _, p := range []string{from, to} {
		if err := checkPath(p); err != nil && p != "_id" {
			return err
		}
	}
	if to == "_id" {
		return checkPath(to)
	}
	if from == to {
		return errors.New("is copied onto itself")
	}
	return nil
}

// casts binds types to paths.
func casts(p *map[string]CastType) binding {
	return binding{
		typ: "map of path to type",
		schema: map[string]any{"type": "object", "additionalProperties": map[string]any{
			"enum": []any{CastString, CastLong, CastDouble, CastBoolean, CastDate},
		}},
		decode: func(d *decoder, path string, n *node) {
			pairs(d, path, n, "a map of paths to types", p, func(at string, e entry) (c CastType) {
				d.field(at, field{Into: choice(&c, CastString, CastLong, CastDouble, CastBoolean, CastDate)}, e.value)
				return c
			}, func(k string, _ CastType) error { return checkPath(k) })
		},
		show: func() string { return showPairs(*p, func(c CastType) string { return string(c) }) },
	}
}

// constants binds JSON values of any kind to paths.
func constants(p *map[string]json.RawMessage) binding {
	return binding{
		typ:    "map of path to value",
		schema: map[string]any{"type": "object"},
		decode: func(d *decoder, path string, n *node) {
			pairs(d, path, n, "a map of paths to values", p, func(at string, e entry) json.RawMessage {
				d.places[at] = e.at
				if e.value.kind == nodeBroken {
					return nil
				}
				return d.json(nil, at, e.value)
			}, func(k string, _ json.RawMessage) error { return checkPath(k) })
		},
		show: func() string { return showPairs(*p, yamlOf) },
	}
}

// yamlOf is JSON that reads back the same as YAML of one line: JSON is YAML,
// but that ${ in a text would be expanded. Keys are not.
func yamlOf(raw json.RawMessage) string {
	var out []byte
	for len(raw) > 0 {
		end := 1
		if raw[0] == '"' {
			for end < len(raw) && raw[end] != '"' {
				if raw[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end+1, len(raw))
		}
		piece := raw[:end]
		if raw = raw[end:]; piece[0] == '"' && (len(raw) == 0 || raw[0] != ':') {
			piece = bytes.ReplaceAll(piece, []byte("${"), []byte("$${"))
		}
		if out = append(out, piece...); piece[0] == ':' || piece[0] == ',' {
			out = append(out, ' ')
		}
	}
	return string(out)
}
