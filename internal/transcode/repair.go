package transcode

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// oddName tells whether a field can't have its own name in JSON: bytes that are
// no UTF-8, or what search engines refuse.
func oddName(name []byte, root bool) bool {
	return !utf8.Valid(name) || refused(name, root)
}

// refused tells whether search engines refuse a document for this field name:
// empty, parts between dots that are empty or blank, and at the root the names
// of their own metadata.
func refused(name []byte, root bool) bool {
	first, rest, more := bytes.Cut(name, []byte{'.'})
	if root && isMetadata(string(first)) || blank(first) {
		return true
	}
	for more {
		var part []byte
		if part, rest, more = bytes.Cut(rest, []byte{'.'}); blank(part) {
			return true
		}
	}
	return false
}

// blank tells whether a part of a name is empty, or all white space.
func blank(part []byte) bool {
	return len(bytes.TrimFunc(part, isSpace)) == 0
}

// isSpace holds what either Unicode or Java calls white space.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// isMetadata tells whether Elasticsearch or OpenSearch, in any version since 6,
// has a metadata field of this name, which no document may hold at its root.
func isMetadata(name string) bool {
	switch name {
	case "_id", "_index", "_routing", "_source", "_type", "_version", "_seq_no", "_primary_term",
		"_field_names", "_ignored", "_ignored_source", "_nested_path", "_doc_count", "_tier", "_tsid",
		"_ts_routing_hash", "_data_stream_timestamp", "_recovery_source", "_inference_fields",
		"_feature", "_size", "_parent", "_uid", "_all", "_timestamp", "_ttl":
		return true
	}
	return false
}

// repair returns the name that an odd one is written under, "" if an earlier
// field of the object has the same odd one. A repaired name never takes the
// name of another field.
func (e *encoder) repair(raw []byte, lv *level) (string, error) {
	if e.hasOdd(lv, raw, lv.at) {
		e.st.DuplicateKeys++
		return "", nil
	}
	if e.scratch != nil && len(e.scratch.odd)-lv.odd >= maxOdd {
		return "", rejected(fmt.Sprintf("more than %d field names of one object would have to be repaired", maxOdd))
	}
	name := string(raw)
	if !utf8.ValidString(name) {
		e.st.InvalidUTF8++
		name = replaceInvalid(name)
	}
	changed := refused([]byte(name), lv.root)
	if changed {
		if e.plan.rejectNames {
			return "", rejected(fmt.Sprintf("search engines refuse the field name %.100q", raw))
		}
		name = mend(name, lv.root)
	}
	for e.taken(lv, name) {
		name += "_"
		changed = true
	}
	if changed {
		e.st.RepairedNames++
	}
	e.note(lv, name)
	return name, nil
}

// mend puts an underscore wherever a part of a name is blank, and behind the
// name of a metadata field.
func mend(name string, root bool) string {
	parts := strings.Split(name, ".")
	for i, p := range parts {
		if blank([]byte(p)) {
			parts[i] = "_"
		}
	}
	if root && isMetadata(parts[0]) {
		parts[0] += "_"
	}
	return strings.Join(parts, ".")
}

// replaceInvalid puts U+FFFD for each byte that is no UTF-8.
func replaceInvalid(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteRune(r)
	}
	return b.String()
}

// taken tells whether a field of the level, before or after, has the name in
// the output, or may get it by a rule.
func (e *encoder) taken(lv *level, name string) bool {
	if e.isOdd(lv, []byte(name)) || e.hasRaw(lv, []byte(name), lv.end) {
		return true
	}
	if lv.rule != nil {
		for _, child := range lv.rule.children {
			if child.name == name {
				return true
			}
		}
	}
	return false
}

// hasOdd tells whether an element before limit has the same name in the source
// and was written, under whatever name.
func (e *encoder) hasOdd(lv *level, raw []byte, limit int) bool {
	for i := lv.start; i < limit; {
		t := e.src[i]
		i++
		size := bytes.IndexByte(e.src[i:lv.end], 0)
		if size < 0 {
			return false
		}
		if bytes.Equal(e.src[i:i+size], raw) {
			if _, says := lv.rule.find(raw, t); says != ruleDrop {
				return true
			}
		}
		end, err := valueEnd(e.src, t, i+size+1, lv.end)
		if err != nil {
			return false
		}
		i = end
	}
	return false
}
