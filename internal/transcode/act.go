package transcode

import "fmt"

// acted writes a value that a rule changes; below is for what lies in it. It is
// like value otherwise.
func (e *encoder) acted(out []byte, n int, t byte, i, end int, r, below *rule) ([]byte, int, int, error) {
	switch {
	case r.act == actNone:
		return e.within(out, n, t, i, end, below)
	case r.act == actFlatten:
		out, m, k, err := e.within(out, n, t, i, end, below)
		if err == nil && nests(t) {
			if e.removals {
				m = strip(out, n, m)
			}
			out, m = quoteJSON(out, n, m)
		}
		return out, m, k, err
	case t == typeArray:
		return e.castArray(out, n, i, end, r, below)
	}
	k, err := valueEnd(e.src, t, i, end)
	if err != nil {
		return out, n, i, err
	}
	out, m, ok, err := e.cast(out, n, t, i, k, r.act)
	if ok || err != nil {
		return out, m, k, err
	}
	switch e.plan.onError {
	case OnErrorNull:
		e.st.CastErrors++
		return out, putNull(out, n), k, nil
	case OnErrorKeep:
		e.st.CastErrors++
		return e.value(out, n, t, i, end, below)
	}
	return out, n, k, rejected(fmt.Sprintf("the field %.100q can't be cast to %s: it holds %s", r.path, r.act, typeName(t)))
}

// within is value, but that what is no object or array becomes an object where
// fields are put below it.
func (e *encoder) within(out []byte, n int, t byte, i, end int, below *rule) ([]byte, int, int, error) {
	if below == nil || len(below.adds) == 0 || nests(t) {
		return e.value(out, n, t, i, end, below)
	}
	k, err := valueEnd(e.src, t, i, end)
	if err != nil {
		return out, n, i, err
	}
	out, n, _, err = e.made(out, n, below)
	return out, n, k, err
}

// castArray casts the elements of an array, but for those that below leaves out.
func (e *encoder) castArray(out []byte, n, i, end int, r, below *rule) ([]byte, int, int, error) {
	stop, err := documentEnd(e.src, i, end)
	if err != nil {
		return out, n, i, err
	}
	if e.depth++; e.depth > maxDepth {
		return out, n, i, rejected("nested too deeply")
	}
	out = withRoom(out, n)
	out[n] = '['
	n++
	for i += 4; i < stop-1; {
		if len(out)-n < 2*room {
			out = grow(out, n, 2*room)
		}
		t := e.src[i]
		if i, err = e.skipName(i+1, stop-1); err != nil {
			return out, n, i, err
		}
		if below != nil && below.only && !nests(t) {
			if i, err = valueEnd(e.src, t, i, stop-1); err != nil {
				return out, n, i, err
			}
			continue
		}
		if out, n, i, err = e.acted(out, n, t, i, stop-1, r, below); err != nil {
			return out, n, i, err
		}
		out[n] = ','
		n++
	}
	e.depth--
	out, n = closing(out, n, ']')
	return out, n, stop, nil
}

// quoteJSON makes a JSON string of the JSON at out[start:n]. That has no
// control characters: quotes and backslashes alone need an escape.
func quoteJSON(out []byte, start, n int) ([]byte, int) {
	extra := 2
	for _, c := range out[start:n] {
		if c == '"' || c == '\\' {
			extra++
		}
	}
	if len(out)-n < extra+room {
		out = grow(out, n, extra+room)
	}
	end := n + extra
	w := end - 1
	out[w] = '"'
	for r := n - 1; r >= start; r-- { // from the end, so that nothing is overwritten before it is read
		w--
		c := out[r]
		out[w] = c
		if c == '"' || c == '\\' {
			w--
			out[w] = '\\'
		}
	}
	out[start] = '"'
	return out, end
}

// String names a cast for messages.
func (a action) String() string {
	switch a {
	case actString:
		return string(CastString)
	case actLong:
		return string(CastLong)
	case actDouble:
		return string(CastDouble)
	case actBoolean:
		return string(CastBoolean)
	case actDate:
		return string(CastDate)
	case actFlatten:
		return "flattened text"
	}
	return "none"
}

// typeName names a type for messages, which never quote values.
func typeName(t byte) string {
	switch t {
	case typeDouble, typeInt32, typeInt64, typeDecimal:
		return "a number that does not fit"
	case typeString, typeSymbol:
		return "a text that does not fit"
	case typeObject:
		return "an object"
	case typeBoolean:
		return "a boolean"
	case typeDate:
		return "a date that does not fit"
	case typeObjectID:
		return "an ObjectId"
	case typeBinary:
		return "binary data"
	}
	return "a value of another type"
}
