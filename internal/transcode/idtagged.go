package transcode

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// tagged reads a value that starts with a tag.
func (r *keyReader) tagged() (bson.RawValue, bool) {
	switch {
	case r.cut(tagRegex):
		return r.regex()
	case r.cut(tagCode):
		text, ok := r.text()
		return bson.RawValue{Type: bson.TypeJavaScript, Value: appendText(nil, text)}, ok
	case r.cut(tagScoped):
		return r.scoped()
	case r.cut(tagPointer):
		return r.dbPointer()
	}
	w := r.word()
	tag, data, _ := strings.Cut(w, ":")
	switch tag + ":" {
	case tagOID:
		b, err := hex.DecodeString(data)
		return bson.RawValue{Type: bson.TypeObjectID, Value: b}, err == nil && len(b) == 12
	case tagDouble:
		f, err := strconv.ParseFloat(data, 64)
		return doubleValue(f), err == nil
	case tagDate:
		ms, err := strconv.ParseInt(data, 10, 64)
		return bson.RawValue{Type: bson.TypeDateTime, Value: binary.LittleEndian.AppendUint64(nil, uint64(ms))}, err == nil
	case tagTimestamp:
		return parseTimestamp(data)
	case tagUUID:
		b, err := hex.DecodeString(strings.ReplaceAll(data, "-", ""))
		return binaryValue(subtypeUUID, b), err == nil
	case tagBinary:
		sub, text, _ := strings.Cut(data, ":")
		n, err := strconv.ParseUint(sub, 16, 8)
		if err != nil {
			return bson.RawValue{}, false
		}
		b, err := base64.StdEncoding.DecodeString(text)
		return binaryValue(byte(n), b), err == nil
	}
	return constant(w)
}

// constant is the value of a type that has one or two.
func constant(w string) (bson.RawValue, bool) {
	switch w {
	case textTrue:
		return bson.RawValue{Type: bson.TypeBoolean, Value: []byte{1}}, true
	case textFalse:
		return bson.RawValue{Type: bson.TypeBoolean, Value: []byte{0}}, true
	case textNull:
		return bson.RawValue{Type: bson.TypeNull}, true
	case textUndef:
		return bson.RawValue{Type: bson.TypeUndefined}, true
	case textMinKey:
		return bson.RawValue{Type: bson.TypeMinKey}, true
	case textMaxKey:
		return bson.RawValue{Type: bson.TypeMaxKey}, true
	}
	return bson.RawValue{}, false
}

func binaryValue(subtype byte, data []byte) bson.RawValue {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(data)))
	return bson.RawValue{Type: bson.TypeBinary, Value: append(append(b, subtype), data...)}
}

func parseTimestamp(data string) (bson.RawValue, bool) {
	t, i, _ := strings.Cut(data, ".")
	high, err := strconv.ParseUint(t, 10, 32)
	if err != nil {
		return bson.RawValue{}, false
	}
	low, err := strconv.ParseUint(i, 10, 32)
	b := binary.LittleEndian.AppendUint64(nil, high<<32|low)
	return bson.RawValue{Type: bson.TypeTimestamp, Value: b}, err == nil
}

func (r *keyReader) regex() (bson.RawValue, bool) {
	pattern, ok := r.text()
	if !ok || !r.cut(",") || strings.IndexByte(pattern, 0) >= 0 {
		return bson.RawValue{}, false
	}
	options, ok := r.text()
	if !ok || strings.IndexByte(options, 0) >= 0 {
		return bson.RawValue{}, false
	}
	b := append(append([]byte(pattern), 0), options...)
	return bson.RawValue{Type: bson.TypeRegex, Value: append(b, 0)}, true
}

func (r *keyReader) scoped() (bson.RawValue, bool) {
	code, ok := r.text()
	if !ok || !r.cut(",") || !strings.HasPrefix(r.s, "{") {
		return bson.RawValue{}, false
	}
	scope, ok := r.value()
	if !ok {
		return bson.RawValue{}, false
	}
	b := append(appendText(make([]byte, 4), code), scope.Value...)
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	return bson.RawValue{Type: bson.TypeCodeWithScope, Value: b}, true
}

func (r *keyReader) dbPointer() (bson.RawValue, bool) {
	ns, ok := r.text()
	if !ok || !r.cut(",") {
		return bson.RawValue{}, false
	}
	b, err := hex.DecodeString(r.word())
	if err != nil || len(b) != 12 {
		return bson.RawValue{}, false
	}
	return bson.RawValue{Type: bson.TypeDBPointer, Value: append(appendText(nil, ns), b...)}, true
}
