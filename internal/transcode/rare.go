package transcode

import (
	"bytes"
	"unicode/utf8"
)

// rare writes the values of the types that documents seldom hold.
func (e *encoder) rare(out []byte, n int, t byte, i, end int) ([]byte, int, int, error) {
	stop, err := valueEnd(e.src, t, i, end)
	if err != nil {
		return out, n, i, err
	}
	switch t {
	case typeSymbol, typeCode:
		return e.text(out, n, i, end)
	case typeDecimal:
		n = e.decimal(out, n, load64(e.src, i+8), load64(e.src, i))
	case typeUndefined:
		n = putNull(out, n)
	case typeMinKey:
		n += copy(out[n:], `"MinKey"`)
	case typeMaxKey:
		n += copy(out[n:], `"MaxKey"`)
	case typeTimestamp:
		n += copy(out[n:], `{"t":`)
		n = putUint(out, n, uint64(load32(e.src, i+4)))
		n += copy(out[n:], `,"i":`)
		n = putUint(out, n, uint64(load32(e.src, i)))
		out[n] = '}'
		n++
	case typeBinary:
		out, n = e.binary(out, n, i, stop)
	case typeRegex:
		out, n = e.regex(out, n, i, stop)
	case typeDBPointer:
		out, n, err = e.dbPointer(out, n, i, stop)
	case typeScoped:
		out, n, err = e.scoped(out, n, i, stop)
	}
	return out, n, stop, err
}

// regex writes "/pattern/options".
func (e *encoder) regex(out []byte, n, i, stop int) ([]byte, int) {
	k := i + bytes.IndexByte(e.src[i:stop], 0)
	bad := !utf8.Valid(e.src[i:k]) || !utf8.Valid(e.src[k+1:stop-1])
	store16(out, n, '"'|'/'<<8)
	out, n, _ = putText(out, n+2, e.src, i, k)
	out[n] = '/'
	out, n, _ = putText(out, n+1, e.src, k+1, stop-1)
	out[n] = '"'
	if bad {
		e.st.InvalidUTF8++
	}
	return out, n + 1
}

// dbPointer writes what a DBRef would be: {"$ref":"db.coll","$id":"…"}.
func (e *encoder) dbPointer(out []byte, n, i, stop int) ([]byte, int, error) {
	n += copy(out[n:], `{"$ref":`)
	out, n, k, err := e.text(out, n, i, stop)
	if err != nil {
		return out, n, err
	}
	out = withRoom(out, n)
	n += copy(out[n:], `,"$id":"`)
	n = putObjectID(out, n, e.src, k)
	n += copy(out[n:], `"}`)
	return withRoom(out, n), n, nil
}

// scoped writes code with scope: {"code":"…","scope":{…}}.
func (e *encoder) scoped(out []byte, n, i, stop int) ([]byte, int, error) {
	n += copy(out[n:], `{"code":`)
	out, n, k, err := e.text(out, n, i+4, stop)
	if err != nil {
		return out, n, err
	}
	out = withRoom(out, n)
	n += copy(out[n:], `,"scope":`)
	end, err := documentEnd(e.src, k, stop)
	if err != nil {
		return out, n, err
	}
	if end != stop {
		return out, n, corrupt("code with a wrong length", i)
	}
	if out, n, err = e.object(out, n, k+4, end-1, nil, false); err != nil {
		return out, n, err
	}
	out = withRoom(out, n)
	out[n] = '}'
	return out, n + 1, nil
}

// withRoom returns out with room after n.
func withRoom(out []byte, n int) []byte {
	if len(out)-n < room {
		out = grow(out, n, room)
	}
	return out
}
