package config

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// Schema returns the JSON Schema (draft 2020-12) of the configuration file,
// for editors. It is generated from the specification; Load stays the judge:
// what needs two fields to decide isn't in it.
func Schema() []byte {
	root := sectionSchema(spec(new(Config)))
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "sluice.yaml"
	root["description"] = "The configuration of sluice."
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(root); err != nil {
		return nil // can't be: the specification holds only what JSON has; the docs test would fail
	}
	return b.Bytes()
}

func sectionSchema(fields []field) map[string]any {
	props := map[string]any{}
	required := []any{}
	for _, f := range fields {
		props[f.Name] = fieldSchema(f)
		if f.Required && f.When == nil && f.Waived == nil {
			required = append(required, f.Name)
		}
	}
	s := map[string]any{"type": "object", "additionalProperties": false, "properties": props}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

func fieldSchema(f field) map[string]any {
	s := map[string]any{}
	switch {
	case f.Into.list:
		s["type"] = "array"
		s["minItems"] = 1
		s["items"] = sectionSchema(f.Into.fields())
	case f.Into.fields != nil:
		s = sectionSchema(f.Into.fields())
		if !f.Required {
			s["type"] = []any{"object", "null"}
		}
	default:
		for k, v := range f.Into.schema {
			s[k] = v
		}
	}
	s["description"] = f.Doc
	if f.Default != "" {
		s["default"] = defaultValue(f)
	}
	return s
}

// defaultValue is the default with its type in JSON.
func defaultValue(f field) any {
	kinds := f.Into.kinds
	if slices.Contains(kinds, nodeBool) {
		return f.Default == "true"
	}
	if n, err := strconv.ParseFloat(f.Default, 64); err == nil && slices.Contains(kinds, nodeInt) && !strings.ContainsAny(f.Default, "xX") {
		return n
	}
	return f.Default
}
