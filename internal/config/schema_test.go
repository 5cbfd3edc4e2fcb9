package config

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
)

// against is as much of a JSON Schema validator as the schema needs; it
// returns the first fault, "" without any.
func against(schema map[string]any, v any, path string) string {
	if alternatives, ok := schema["anyOf"].([]any); ok {
		for _, alt := range alternatives {
			if against(alt.(map[string]any), v, path) == "" {
				return ""
			}
		}
		return path + ": no alternative fits"
	}
	if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, v) {
		return path + ": not in enum"
	}
	if !typeFits(schema["type"], v) {
		return fmt.Sprintf("%s: not of type %v", path, schema["type"])
	}
	switch v := v.(type) {
	case string:
		if p, ok := schema["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(v) {
			return path + ": pattern"
		}
	case float64:
		if m, ok := schema["minimum"].(float64); ok && v < m {
			return path + ": minimum"
		}
		if m, ok := schema["maximum"].(float64); ok && v > m {
			return path + ": maximum"
		}
	case []any:
		items, _ := schema["items"].(map[string]any)
		for i, item := range v {
			if bad := against(items, item, fmt.Sprintf("%s[%d]", path, i)); bad != "" {
				return bad
			}
		}
	case map[string]any:
		return objectAgainst(schema, v, path)
	}
	return ""
}

func objectAgainst(schema map[string]any, v map[string]any, path string) string {
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, ok := v[name.(string)]; !ok && path != "" {
			return fmt.Sprintf("%s.%s: missing", path, name)
		}
	}
	props, closed := schema["properties"].(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(v)) {
		sub, known := props[key].(map[string]any)
		switch {
		case known:
			if bad := against(sub, v[key], path+"."+key); bad != "" {
				return bad
			}
		case closed:
			return path + "." + key + ": unknown"
		}
	}
	return ""
}

func typeFits(want, v any) bool {
	if want == nil {
		return true
	}
	if list, ok := want.([]any); ok {
		return slices.ContainsFunc(list, func(w any) bool { return typeFits(w, v) })
	}
	switch v := v.(type) {
	case nil:
		return want == "null"
	case bool:
		return want == "boolean"
	case string:
		return want == "string"
	case float64:
		return want == "number" || want == "integer" && v == math.Trunc(v)
	case []any:
		return want == "array"
	}
	return want == "object"
}
