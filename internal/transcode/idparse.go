package transcode

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// ParseID returns the value of _id whose text is s: the inverse of AppendID,
// up to the type of equal numbers and symbols, which come back as strings. ok is
// false for hashed ids, which lead back to nothing, and for texts that AppendID
// never writes.
func ParseID(s string) (id bson.RawValue, ok bool) {
	if s == "" || len(s) > MaxID || strings.HasPrefix(s, tagHash) {
		return bson.RawValue{}, false
	}
	id, ok = parseKey(s)
	// What is read differently from how it is written is no text of ours.
	if !ok || string(AppendID(make([]byte, 0, MaxID), id)) != s {
		return bson.RawValue{}, false
	}
	return id, true
}

// parseKey reads a text leniently; ParseID compares.
func parseKey(s string) (bson.RawValue, bool) {
	switch {
	case isHex24([]byte(s)):
		b, err := hex.DecodeString(s)
		return bson.RawValue{Type: bson.TypeObjectID, Value: b}, err == nil
	case likeNumber([]byte(s)):
		return parseNumber(s)
	case s[0] != '$':
		return stringValue(s), utf8.ValidString(s)
	}
	if text, ok := strings.CutPrefix(s, tagString); ok {
		return stringValue(text), true
	}
	if text, ok := strings.CutPrefix(s, tagBytes); ok {
		b, err := base64.StdEncoding.DecodeString(text)
		return stringValue(string(b)), err == nil
	}
	if text, ok := strings.CutPrefix(s, tagRaw); ok {
		t, data, _ := strings.Cut(text, ":")
		n, err := strconv.ParseUint(t, 16, 8)
		if err != nil {
			return bson.RawValue{}, false
		}
		b, err := base64.StdEncoding.DecodeString(data)
		return bson.RawValue{Type: bson.Type(n), Value: b}, err == nil
	}
	r := keyReader{s: s}
	r.cut(tagDoc)
	r.cut(tagArray)
	v, ok := r.value()
	return v, ok && r.s == ""
}

func stringValue(s string) bson.RawValue {
	return bson.RawValue{Type: bson.TypeString, Value: appendText(nil, s)}
}

// appendText appends a BSON string with its length.
func appendText(dst []byte, s string) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(s)+1))
	return append(append(dst, s...), 0)
}

// parseNumber gives int32, int64 or Decimal128, whichever holds it first.
func parseNumber(s string) (bson.RawValue, bool) {
	switch s {
	case "NaN":
		return doubleValue(math.NaN()), true
	case "Infinity":
		return doubleValue(math.Inf(1)), true
	case "-Infinity":
		return doubleValue(math.Inf(-1)), true
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		if n == int64(int32(n)) {
			return bson.RawValue{Type: bson.TypeInt32, Value: binary.LittleEndian.AppendUint32(nil, uint32(n))}, true
		}
		return bson.RawValue{Type: bson.TypeInt64, Value: binary.LittleEndian.AppendUint64(nil, uint64(n))}, true
	}
	d, err := bson.ParseDecimal128(s)
	if err != nil {
		return bson.RawValue{}, false
	}
	h, l := d.GetBytes()
	b := binary.LittleEndian.AppendUint64(nil, l)
	return bson.RawValue{Type: bson.TypeDecimal128, Value: binary.LittleEndian.AppendUint64(b, h)}, true
}

func doubleValue(f float64) bson.RawValue {
	return bson.RawValue{Type: bson.TypeDouble, Value: binary.LittleEndian.AppendUint64(nil, math.Float64bits(f))}
}

// keyReader reads values as they stand inside a compound key.
type keyReader struct{ s string }

// cut removes a prefix and tells whether it was there.
func (r *keyReader) cut(prefix string) bool {
	rest, ok := strings.CutPrefix(r.s, prefix)
	r.s = rest
	return ok
}

// word removes and returns all up to the next comma or bracket.
func (r *keyReader) word() string {
	end := strings.IndexAny(r.s, ",]}")
	if end < 0 {
		end = len(r.s)
	}
	w := r.s[:end]
	r.s = r.s[end:]
	return w
}

// text removes a quoted text, or the base64 of one.
func (r *keyReader) text() (string, bool) {
	if r.cut("~") {
		end := strings.IndexAny(r.s, ":,]}")
		if end < 0 {
			end = len(r.s)
		}
		b, err := base64.StdEncoding.DecodeString(r.s[:end])
		r.s = r.s[end:]
		return string(b), err == nil
	}
	for end := 1; end < len(r.s); end++ {
		switch r.s[end] {
		case '\\':
			end++
		case '"':
			var text string
			err := json.Unmarshal([]byte(r.s[:end+1]), &text)
			r.s = r.s[end+1:]
			return text, err == nil
		}
	}
	return "", false
}

func (r *keyReader) value() (bson.RawValue, bool) {
	if r.s == "" {
		return bson.RawValue{}, false
	}
	switch r.s[0] {
	case '{':
		return r.compound(bson.TypeEmbeddedDocument, '}')
	case '[':
		return r.compound(bson.TypeArray, ']')
	case '"', '~':
		text, ok := r.text()
		return stringValue(text), ok
	case '$':
		return r.tagged()
	}
	w := r.word()
	if !likeNumber([]byte(w)) {
		return bson.RawValue{}, false
	}
	return parseNumber(w)
}

func (r *keyReader) compound(t bson.Type, closing byte) (bson.RawValue, bool) {
	r.s = r.s[1:]
	doc := make([]byte, 4, 64)
	for i := 0; r.s != "" && r.s[0] != closing; i++ {
		if i > 0 && !r.cut(",") {
			return bson.RawValue{}, false
		}
		name := strconv.Itoa(i)
		if t == bson.TypeEmbeddedDocument {
			var ok bool
			if name, ok = r.text(); !ok || strings.IndexByte(name, 0) >= 0 || !r.cut(":") {
				return bson.RawValue{}, false
			}
		}
		v, ok := r.value()
		if !ok {
			return bson.RawValue{}, false
		}
		doc = append(append(append(doc, byte(v.Type)), name...), 0)
		doc = append(doc, v.Value...)
	}
	if !r.cut(string(closing)) {
		return bson.RawValue{}, false
	}
	doc = append(doc, 0)
	binary.LittleEndian.PutUint32(doc, uint32(len(doc)))
	return bson.RawValue{Type: t, Value: doc}, true
}
