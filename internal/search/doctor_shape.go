package search

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// jsonKind is what a value is to the engine's dynamic mapping.
type jsonKind string

// The kinds of values. A date is text that date detection takes for one.
const (
	kindObject  jsonKind = "object"
	kindNumber  jsonKind = "number"
	kindBoolean jsonKind = "boolean"
	kindText    jsonKind = "text"
	kindDate    jsonKind = "date"
)

// fieldShape is what a field is in the documents of a sample.
type fieldShape struct {
	// docs counts the documents in which it is of a kind.
	docs map[jsonKind]int
	// odd counts the documents with text that is neither a number nor a boolean
	// or date, by what it is not.
	notNumber, notBoolean, notDate int
}

// has tells the kinds, sorted.
func (s *fieldShape) has() []jsonKind { return slices.Sorted(maps.Keys(s.docs)) }

// shape is that of a sample: its fields by dotted path.
type shape map[string]*fieldShape

// dateLike is what date detection looks for.
func dateLike() *regexp.Regexp {
	return regexp.MustCompile(`^\d{4}-\d{2}(-\d{2}(T\S*)?)?$|^\d{4}/\d{2}/\d{2}( |$)`)
}

// shapeOf looks at JSON documents; bad counts those that are none.
func shapeOf(docs [][]byte) (s shape, bad int) {
	s = shape{}
	w := walker{shape: s, date: dateLike()}
	for _, d := range docs {
		dec := json.NewDecoder(bytes.NewReader(d))
		dec.UseNumber()
		var v map[string]any
		if dec.Decode(&v) != nil {
			bad++
			continue
		}
		w.seen = map[string]bool{}
		w.object("", v)
	}
	return s, bad
}

// walker goes through one document; seen keeps a path and kind from counting twice.
type walker struct {
	shape shape
	date  *regexp.Regexp
	seen  map[string]bool
}

func (w *walker) object(prefix string, v map[string]any) {
	for name, x := range v {
		w.value(prefix+name, x)
	}
}

// value notes a value; those of an array count as the field's own.
func (w *walker) value(path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		w.note(path, kindObject)
		w.object(path+".", v)
	case []any:
		for _, x := range v {
			w.value(path, x)
		}
	case bool:
		w.note(path, kindBoolean)
	case json.Number:
		w.note(path, kindNumber)
	case string:
		w.text(path, v)
	}
}

func (w *walker) text(path, v string) {
	kind := kindText
	isDate := w.date.MatchString(v)
	if isDate {
		kind = kindDate
	}
	f := w.note(path, kind)
	count := func(what string, n *int) {
		if !w.seen[path+"\x00"+what] {
			w.seen[path+"\x00"+what] = true
			*n++
		}
	}
	if _, err := json.Number(strings.TrimSpace(v)).Float64(); err != nil {
		count("not number", &f.notNumber)
		if !isDate {
			count("not date", &f.notDate)
		}
	}
	if v != "true" && v != "false" && v != "" {
		count("not boolean", &f.notBoolean)
	}
}

func (w *walker) note(path string, k jsonKind) *fieldShape {
	f := w.shape[path]
	if f == nil {
		f = &fieldShape{docs: map[jsonKind]int{}}
		w.shape[path] = f
	}
	if key := path + "\x00" + string(k); !w.seen[key] {
		w.seen[key] = true
		f.docs[k]++
	}
	return f
}
