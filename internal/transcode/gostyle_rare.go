package transcode

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"unicode/utf8"
)

// rare writes the values of the types that documents seldom hold; they are
// structs in Go.
func (e *goEncoder) rare(out []byte, t byte, i, stop int) ([]byte, error) {
	src := e.src
	switch t {
	case typeDecimal:
		return e.decimal(out, decimalOf(load64(src, i+8), load64(src, i))), nil
	case typeUndefined, typeMinKey, typeMaxKey:
		return append(out, "{}"...), nil
	case typeTimestamp:
		out = strconv.AppendUint(append(out, `{"T":`...), uint64(load32(src, i+4)), 10)
		out = strconv.AppendUint(append(out, `,"I":`...), uint64(load32(src, i)), 10)
		return append(out, '}'), nil
	case typeBinary:
		return e.binary(out, src[i+4], binaryData(src[i:stop])), nil
	case typeRegex:
		cut := i + bytes.IndexByte(src[i:stop], 0)
		out = e.text(append(out, `{"Pattern":`...), src[i:cut])
		return append(e.text(append(out, `,"Options":`...), src[cut+1:stop-1]), '}'), nil
	case typeDBPointer:
		out = e.text(append(out, `{"DB":`...), src[i+4:stop-13])
		out = hex.AppendEncode(append(out, `,"Pointer":"`...), src[stop-12:stop])
		return append(out, `"}`...), nil
	case typeScoped:
		return e.scoped(out, i, stop)
	}
	return out, corrupt("a value of unknown type", i)
}

// decimal writes the digits as a bare number.
func (e *goEncoder) decimal(out []byte, d decimal) []byte {
	var text [room]byte
	switch {
	case e.scope && d.kind == decimalFinite:
		out = append(out, '"')
		out = append(out, text[:putDecimal(text[:], 0, d)]...)
		return append(out, '"')
	case d.kind == decimalFinite:
		return append(out, text[:putDecimal(text[:], 0, d)]...)
	}
	e.st.NonFinite++
	switch {
	case !e.scope:
		return append(out, "null"...)
	case d.kind == decimalNaN:
		return append(out, `"NaN"`...)
	case d.negative:
		return append(out, `"-Infinity"`...)
	}
	return append(out, `"Infinity"`...)
}

// binaryData is the data of a binary value, whose frame is checked, without the
// length inside that the old subtype has.
func binaryData(v []byte) []byte {
	data := v[5:]
	if v[4] == subtypeOld && len(data) >= 4 && int(load32(data, 0)) == len(data)-4 {
		return data[4:]
	}
	return data
}

// binary writes binary data as text.
func (e *goEncoder) binary(out []byte, subtype byte, data []byte) []byte {
	if e.scope {
		out = strconv.AppendUint(append(out, `{"Subtype":`...), uint64(subtype), 10)
		out = base64.StdEncoding.AppendEncode(append(out, `,"Data":"`...), data)
		return append(out, `"}`...)
	}
	return append(appendGoBinary(append(out, '"'), subtype, data), '"')
}

// appendGoBinary appends what Monstache makes of binary data: a UUID for 16 bytes of
// the subtypes that hold one, else hexadecimal digits for these, base64 for others.
func appendGoBinary(out []byte, subtype byte, data []byte) []byte {
	switch {
	case subtype != subtypeUUID && subtype != subtypeUUIDOld:
		return base64.StdEncoding.AppendEncode(out, data)
	case len(data) != 16:
		return hex.AppendEncode(out, data)
	}
	var text [room]byte
	return append(out, text[:putUUID(text[:], 0, data)]...)
}

// scoped writes code with its scope, a list of names and values in their order.
func (e *goEncoder) scoped(out []byte, i, stop int) ([]byte, error) {
	cut, err := textEnd(e.src, i+4, stop)
	if err != nil {
		return out, err
	}
	end, err := documentEnd(e.src, cut, stop)
	if err != nil || end != stop {
		return out, corrupt("code with a wrong length", i)
	}
	if e.depth++; e.depth > maxDepth {
		return out, rejected("nested too deeply")
	}
	before := e.scope
	e.scope = true
	out = e.text(append(out, `{"Code":`...), e.src[i+8:cut-1])
	out = append(out, `,"Scope":[`...)
	for k := cut + 4; k < end-1; {
		if k > cut+4 {
			out = append(out, ',')
		}
		size := bytes.IndexByte(e.src[k+1:end-1], 0)
		if size < 0 {
			return out, corrupt("a name without its end", k+1)
		}
		at := k + 1 + size + 1
		next, err := valueEnd(e.src, e.src[k], at, end-1)
		if err != nil {
			return out, err
		}
		out = append(e.text(append(out, `{"Key":`...), e.src[k+1:at-1]), `,"Value":`...)
		if out, _, err = e.value(out, e.src[k], at, next); err != nil {
			return out, err
		}
		out = append(out, '}')
		k = next
	}
	e.scope = before
	e.depth--
	return append(out, "]}"...), nil
}

// text writes a text with its quotes, with the escapes of encoding/json: those for
// web pages are among them.
func (e *goEncoder) text(out, s []byte) []byte {
	const digits = "0123456789abcdef"
	out = append(out, '"')
	start, bad := 0, false
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&' {
				i++
				continue
			}
			out = append(out, s[start:i]...)
			if c < 96 && escapes[c] != ' ' {
				out = append(out, '\\', escapes[c])
			} else {
				out = append(out, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRune(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			out = append(append(out, s[start:i]...), `\ufffd`...)
			bad = true
		case r == '\u2028' || r == '\u2029':
			out = append(append(out, s[start:i]...), `\u202`...)
			out = append(out, digits[r&15])
		default:
			i += size
			continue
		}
		i += size
		start = i
	}
	if bad {
		e.st.InvalidUTF8++
	}
	return append(append(out, s[start:]...), '"')
}
