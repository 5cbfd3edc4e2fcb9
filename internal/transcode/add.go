package transcode

import "bytes"

// add is a field that an object gets whatever the document has: a constant, a
// copy, or an object that holds some.
type add struct {
	text     []byte // `"name":`
	constant []byte
	copy     *source
	// act is what is done with the copy.
	act    *rule
	object *rule
}

// source is where a copy comes from.
type source struct {
	// anchor is the number of the object that from starts at, 0 for the root.
	anchor int
	from   []string
	// below are the rules for what lies below.
	below *rule
}

// anchor is where the elements of an object begin in the source, and their end.
type anchor struct{ start, end int }

// drop notes where the object of a level lies, if there are copies within it.
func (e *encoder) drop(lv *level) {
	if lv.rule == nil || lv.rule.anchor == 0 {
		return
	}
	sc := e.scratchOf()
	for len(sc.anchors) < e.plan.anchors {
		sc.anchors = append(sc.anchors, anchor{})
	}
	sc.anchors[lv.rule.anchor-1] = anchor{lv.start, lv.end}
}

// adds writes the fields that the object of a level gets at its end, but for
// objects in it that have theirs already.
func (e *encoder) adds(out []byte, n int, lv *level) ([]byte, int, error) {
	var err error
	for i := range lv.rule.adds {
		if lv.seen>>i&1 != 0 {
			continue
		}
		if out, n, err = e.add(out, n, &lv.rule.adds[i]); err != nil {
			return out, n, err
		}
	}
	return out, n, nil
}

// add writes one field with the comma after it, or nothing where there is
// nothing to copy.
func (e *encoder) add(out []byte, n int, a *add) ([]byte, int, error) {
	need := len(a.text) + len(a.constant) + 2*room
	if len(out)-n < need {
		out = grow(out, n, need)
	}
	m := n + copy(out[n:], a.text)
	found := true
	var err error
	switch {
	case a.object != nil:
		out, m, found, err = e.made(out, m, a.object)
	case a.copy != nil:
		at := anchor{4, len(e.src) - 1}
		if k := a.copy.anchor; k > 0 {
			at = e.scratch.anchors[k-1]
		}
		out, m, found, err = e.copied(out, m, at.start, at.end, a.copy.from, a)
	default:
		m += copy(out[m:], a.constant)
	}
	if err != nil || !found {
		return out, n, err
	}
	out = withRoom(out, m)
	out[m] = ','
	return out, m + 1, nil
}

// made writes an object that the document does not have, and tells whether
// there is anything in it.
func (e *encoder) made(out []byte, n int, r *rule) ([]byte, int, bool, error) {
	out[n] = '{'
	start := n + 1
	e.drop(&level{rule: r}) // there is nothing in it to copy
	out, n, err := e.adds(out, start, &level{rule: r})
	if err != nil {
		return out, n, false, err
	}
	found := n > start
	out, n = closing(out, n, '}')
	return out, n, found, nil
}

// copied writes what is at a path in the elements at src[i:], and tells
// whether there is anything: through an array, the array of what its objects have.
func (e *encoder) copied(out []byte, n, i, end int, from []string, a *add) (o []byte, m int, found bool, err error) {
	t, k, err := e.field(i, end, from[0])
	if err != nil || k == 0 {
		return out, n, false, err
	}
	if len(from) == 1 {
		out = withRoom(out, n)
		out, n, _, err = e.acted(out, n, t, k, end, a.act, a.copy.below)
		return out, n, true, err
	}
	if !nests(t) {
		return out, n, false, nil
	}
	stop, err := documentEnd(e.src, k, end)
	if err != nil {
		return out, n, false, err
	}
	if t == typeObject {
		return e.copied(out, n, k+4, stop-1, from[1:], a)
	}
	out = withRoom(out, n)
	out[n] = '['
	n++
	for i := k + 4; i < stop-1; {
		t := e.src[i]
		if i, err = e.skipName(i+1, stop-1); err != nil {
			return out, n, false, err
		}
		last, err := valueEnd(e.src, t, i, stop-1)
		if err != nil {
			return out, n, false, err
		}
		if t == typeObject {
			var one bool
			if out, n, one, err = e.copied(out, n, i+4, last-1, from[1:], a); err != nil {
				return out, n, false, err
			}
			if one {
				out = withRoom(out, n)
				out[n] = ','
				n++
			}
		}
		i = last
	}
	out, n = closing(out, n, ']')
	return out, n, true, nil
}

// field finds the first of the elements at src[i:] that has the name, and
// returns its type and where its value lies, 0 for nowhere.
func (e *encoder) field(i, end int, name string) (t byte, k int, err error) {
	for i < end {
		t := e.src[i]
		i++
		size := bytes.IndexByte(e.src[i:end], 0)
		if size < 0 {
			return 0, 0, corrupt("a name without its end", i)
		}
		k := i + size + 1
		if i, err = valueEnd(e.src, t, k, end); err != nil {
			return 0, 0, err
		}
		if string(e.src[k-size-1:k-1]) == name {
			return t, k, nil
		}
	}
	return 0, 0, nil
}
