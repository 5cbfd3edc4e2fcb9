package transcode

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// oddName tells whether a field can't have its own name in JSON: bytes that are
// no UTF-8, or what search engines refuse.
func oddName(name []byte, root bool) bool {
	return !utf8.Valid(name) || refused(name, root)
}

// odd is oddName for the plan at hand, which may want lower case.
func (e *encoder) odd(name []byte, root bool) bool {
	return oddName(name, root) || e.lower && hasUpper(name)
}

// hasUpper tells whether a name is another in lower case.
func hasUpper(name []byte) bool {
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			return true
		}
		if c >= utf8.RuneSelf {
			rest := string(name[i:])
			return strings.ToLower(rest) != rest
		}
	}
	return false
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

// repairs is what a level needs once one of its names has to be changed.
type repairs struct {
	// taken are the names that fields of the level have in the output, also the
	// ones to come; sources the names in the document that were changed.
	taken, sources *nameTable
	// counter is the number last tried behind a name.
	counter int
}

// startRepairs notes the names that the level's fields keep.
func (e *encoder) startRepairs(lv *level) {
	sc := e.scratchOf()
	lv.repairs = &repairs{taken: sc.getTable((lv.end - lv.start) / 8), sources: sc.getTable(0)}
	for i := lv.start; i < lv.end; {
		t, at := e.src[i], i+1
		k, err := cstringEnd(e.src, at, lv.end)
		if err != nil {
			return // the document is corrupt, as will be found soon
		}
		if name := e.src[at : k-1]; e.keepsName(lv, t, name) {
			lv.repairs.taken.add(e, hashName(e.seed, name), uint32(at)<<1, name)
		}
		if i, err = valueEnd(e.src, t, k, lv.end); err != nil {
			return
		}
	}
}

// repair returns the name that an odd one, at src[at:], is written under, "" if
// an earlier field of the object has the same odd one. A repaired name never
// takes the name of another field, before or after.
func (e *encoder) repair(raw []byte, at int, lv *level) (string, error) {
	if lv.repairs == nil {
		e.startRepairs(lv)
	}
	if !lv.repairs.sources.add(e, hashName(e.seed, raw), uint32(at)<<1, raw) {
		e.st.DuplicateKeys++
		return "", nil
	}
	name := string(raw)
	if !utf8.ValidString(name) {
		e.st.InvalidUTF8++
		name = replaceInvalid(name)
	}
	if e.lower {
		name = strings.ToLower(name)
	}
	changed := refused([]byte(name), lv.root)
	if changed {
		if e.plan.rejectNames {
			return "", rejected(fmt.Sprintf("search engines refuse the field name %.100q", raw))
		}
		name = mend(name, lv.root)
	}
	if !e.take(lv, name) {
		changed = true
		name = e.takeOther(lv, name)
	}
	if changed {
		e.st.RepairedNames++
	}
	e.scratch.odd = append(e.scratch.odd, name)
	return name, nil
}

// take takes a name in the output for the next entry of scratch.odd; false:
// another field of the level has it, or may get it by a rule.
func (e *encoder) take(lv *level, name string) bool {
	if lv.rule != nil {
		if slices.Contains(lv.rule.given, name) {
			return false
		}
	}
	b := []byte(name)
	return lv.repairs.taken.add(e, hashName(e.seed, b), e.refOf(-1), b)
}

// takeOther finds a name that is free: an underscore more, or else a number
// behind it, which never goes back, so that all names together try each once.
func (e *encoder) takeOther(lv *level, name string) string {
	if name += "_"; e.take(lv, name) {
		return name
	}
	for {
		lv.repairs.counter++
		if other := name + strconv.Itoa(lv.repairs.counter); e.take(lv, other) {
			return other
		}
	}
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
