package transcode

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// MaxID is how many bytes the id of an indexed document may have.
const MaxID = 512

// The tags that texts of keys start with. Strings that start with a dollar are
// tagged themselves, so no string can pass for one of these.
const (
	tagString    = "$s:"
	tagBytes     = "$b:"
	tagDouble    = "$double:"
	tagHash      = "$sha256:"
	tagDoc       = "$doc:"
	tagArray     = "$array:"
	tagBinary    = "$bin:"
	tagUUID      = "$uuid:"
	tagOID       = "$oid:"
	tagDate      = "$date:"
	tagTimestamp = "$timestamp:"
	tagRegex     = "$regex:"
	tagCode      = "$code:"
	tagScoped    = "$scoped:"
	tagPointer   = "$dbpointer:"
	tagRaw       = "$raw:"
	textTrue     = "$true"
	textFalse    = "$false"
	textNull     = "$null"
	textUndef    = "$undefined"
	textMinKey   = "$minkey"
	textMaxKey   = "$maxkey"
)

// AppendID appends the text of a value of _id (rule S10): valid UTF-8 of 1 to
// MaxID bytes, not escaped for JSON. Two values have the same text if and only
// if they are one key for MongoDB, apart from hashes. Ids of no valid BSON get
// a text too, so that there is always one. The forms are in docs/rendering.md.
func AppendID(dst []byte, id bson.RawValue) []byte {
	start := len(dst)
	k := keyWriter{out: dst}
	if !k.top(byte(id.Type), id.Value) {
		// Not valid BSON: the bytes themselves.
		k.out = append(k.out[:start], tagRaw...)
		k.out = strconv.AppendUint(k.out, uint64(id.Type), 16)
		k.out = append(k.out, ':')
		k.out = base64.StdEncoding.AppendEncode(k.out, id.Value)
	}
	if len(k.out)-start <= MaxID {
		return k.out
	}
	sum := sha256.Sum256(k.out[start:])
	k.out = append(k.out[:start], tagHash...)
	return hex.AppendEncode(k.out, sum[:])
}

// keyWriter writes texts of keys.
type keyWriter struct {
	out   []byte
	depth int
}

// top writes a whole key; false: it is no valid BSON.
func (k *keyWriter) top(t byte, v []byte) bool {
	if end, err := valueEnd(v, t, 0, len(v)); err != nil || end != len(v) {
		return false
	}
	switch t {
	case typeObjectID:
		k.out = hex.AppendEncode(k.out, v)
	case typeString, typeSymbol:
		k.stringKey(v[4 : len(v)-1])
	case typeObject:
		k.out = append(k.out, tagDoc...)
		return k.object(v)
	case typeArray:
		k.out = append(k.out, tagArray...)
		return k.array(v)
	default:
		return k.value(t, v)
	}
	return true
}

// stringKey writes a string that is the whole key.
func (k *keyWriter) stringKey(s []byte) {
	switch {
	case !utf8.Valid(s):
		k.out = append(k.out, tagBytes...)
		k.out = base64.StdEncoding.AppendEncode(k.out, s)
	case len(s) == 0 || s[0] == '$' || isHex24(s) || likeNumber(s):
		k.out = append(append(k.out, tagString...), s...)
	default:
		k.out = append(k.out, s...)
	}
}

// value writes a value inside a compound key, where strings are in quotes, or
// a key of a type that looks the same in both places.
func (k *keyWriter) value(t byte, v []byte) bool {
	switch t {
	case typeObject:
		return k.object(v)
	case typeArray:
		return k.array(v)
	case typeString, typeSymbol:
		k.quoted(v[4 : len(v)-1])
	case typeObjectID:
		k.out = hex.AppendEncode(append(k.out, tagOID...), v)
	case typeDouble, typeInt32, typeInt64, typeDecimal:
		k.out = appendNumber(k.out, t, v)
	case typeBoolean:
		if v[0] > 1 {
			return false
		}
		k.out = append(k.out, [...]string{textFalse, textTrue}[v[0]]...)
	case typeDate:
		k.out = strconv.AppendInt(append(k.out, tagDate...), int64(load64(v, 0)), 10)
	case typeTimestamp:
		k.out = strconv.AppendUint(append(k.out, tagTimestamp...), uint64(load32(v, 4)), 10)
		k.out = strconv.AppendUint(append(k.out, '.'), uint64(load32(v, 0)), 10)
	case typeBinary:
		k.binary(v)
	default:
		return k.rare(t, v)
	}
	return true
}

func (k *keyWriter) binary(v []byte) {
	sub, data := v[4], v[5:]
	if sub == subtypeUUID && len(data) == 16 {
		var text [40]byte
		putUUID(text[:], 0, data)
		k.out = append(append(k.out, tagUUID...), text[:36]...)
		return
	}
	k.out = strconv.AppendUint(append(k.out, tagBinary...), uint64(sub), 16)
	k.out = base64.StdEncoding.AppendEncode(append(k.out, ':'), data)
}

func (k *keyWriter) rare(t byte, v []byte) bool {
	switch t {
	case typeNull:
		k.out = append(k.out, textNull...)
	case typeUndefined:
		k.out = append(k.out, textUndef...)
	case typeMinKey:
		k.out = append(k.out, textMinKey...)
	case typeMaxKey:
		k.out = append(k.out, textMaxKey...)
	case typeCode:
		k.out = append(k.out, tagCode...)
		k.quoted(v[4 : len(v)-1])
	case typeRegex:
		cut := bytes.IndexByte(v, 0)
		k.out = append(k.out, tagRegex...)
		k.quoted(v[:cut])
		k.out = append(k.out, ',')
		k.quoted(v[cut+1 : len(v)-1])
	case typeDBPointer:
		cut := len(v) - 12
		k.out = append(k.out, tagPointer...)
		k.quoted(v[4 : cut-1])
		k.out = hex.AppendEncode(append(k.out, ','), v[cut:])
	case typeScoped:
		cut, err := textEnd(v, 4, len(v))
		if err != nil {
			return false
		}
		if end, err := documentEnd(v, cut, len(v)); err != nil || end != len(v) {
			return false
		}
		k.out = append(k.out, tagScoped...)
		k.quoted(v[8 : cut-1])
		k.out = append(k.out, ',')
		return k.object(v[cut:])
	default:
		return false
	}
	return true
}

// quoted writes a text as a JSON string, or, if it is no UTF-8, as ~ and base64.
func (k *keyWriter) quoted(s []byte) {
	if !utf8.Valid(s) {
		k.out = base64.StdEncoding.AppendEncode(append(k.out, '~'), s)
		return
	}
	n := len(k.out)
	out := withRoom(k.out[:cap(k.out)], n)
	out[n] = '"'
	out, n, _ = putText(out, n+1, s, 0, len(s))
	out[n] = '"'
	k.out = out[:n+1]
}

// object writes {"name":value,…} in the order of the fields.
func (k *keyWriter) object(v []byte) bool {
	return k.elements(v, '{', '}', true)
}

// array writes [value,…]: MongoDB compares no names of array elements.
func (k *keyWriter) array(v []byte) bool {
	return k.elements(v, '[', ']', false)
}

func (k *keyWriter) elements(v []byte, opening, closing byte, names bool) bool {
	if k.depth++; k.depth > maxDepth {
		return false
	}
	k.out = append(k.out, opening)
	end := len(v) - 1
	for i := 4; i < end; {
		if i > 4 {
			k.out = append(k.out, ',')
		}
		t := v[i]
		cut, err := cstringEnd(v, i+1, end)
		if err != nil {
			return false
		}
		if names {
			k.quoted(v[i+1 : cut-1])
			k.out = append(k.out, ':')
		}
		stop, err := valueEnd(v, t, cut, end)
		if err != nil || !k.value(t, v[cut:stop]) {
			return false
		}
		i = stop
	}
	k.out = append(k.out, closing)
	k.depth--
	return true
}

// isHex24 tells whether s looks like an ObjectID.
func isHex24(s []byte) bool {
	if len(s) != 24 {
		return false
	}
	for _, c := range s {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}
