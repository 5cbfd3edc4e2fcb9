package transcode

import (
	"bytes"
	"math/bits"
)

// plainName writes the name at src[i:] with its quotes and colon, if it is
// short, ASCII, needs no escape, and no engine refuses it. It returns the new
// n, the index behind the name's NUL and the name's hash; else m is 0.
func (e *encoder) plainName(out []byte, n, i int, root bool) (m, k int, h uint64) {
	src := e.src
	if i < 0 || i > len(src)-8 {
		return 0, 0, 0
	}
	out[n] = '"'
	m = n + 1
	h = e.seed
	w := load64(src, i)
	if c := byte(w); c <= ' ' || c == '_' && root {
		return 0, 0, 0
	}
	marks := specialName(w)
	if e.lower {
		return e.plainLower(out, n, i)
	}
	for marks == 0 {
		store64(out, m, w)
		h = mixName(h, w)
		m += 8
		i += 8
		if i > len(src)-8 || m-n > room-8 {
			return 0, 0, 0
		}
		w = load64(src, i)
		marks = specialName(w)
	}
	store64(out, m, w)
	z := first(marks)
	h = mixName(h, w&(1<<(z*8)-1))
	m += z
	i += z
	if src[i] != 0 {
		return 0, 0, 0
	}
	store16(out, m, '"'|':'<<8)
	return m + 2, i + 1, h
}

// plainLower is plainName for plans that write lower case: it takes no capitals.
// The first byte has been looked at.
func (e *encoder) plainLower(out []byte, n, i int) (m, k int, h uint64) {
	src := e.src
	m = n + 1
	h = e.seed
	for i <= len(src)-8 && m-n <= room-8 {
		w := load64(src, i)
		marks := specialName(w)
		// A capital is not below A, and below what follows Z: one addition sets
		// its high bit, the other doesn't. What is beyond ASCII is marked already.
		low := w &^ highs
		capitals := (low + (0x80-'A')*ones) &^ (low + (0x80-'Z'-1)*ones) & highs
		store64(out, m, w)
		if marks == 0 && capitals == 0 {
			h = mixName(h, w)
			m += 8
			i += 8
			continue
		}
		z := first(marks | capitals)
		h = mixName(h, w&(1<<(z*8)-1))
		m += z
		if i += z; src[i] != 0 {
			return 0, 0, 0
		}
		store16(out, m, '"'|':'<<8)
		return m + 2, i + 1, h
	}
	return 0, 0, 0
}

// mixName folds the next eight bytes of a name, or its last ones, into a hash.
func mixName(h, w uint64) uint64 {
	hi, lo := bits.Mul64(h^w, 0x9e3779b97f4a7c15)
	return hi ^ lo
}

// hashName is the hash that plainName returns.
func hashName(h uint64, name []byte) uint64 {
	for len(name) >= 8 {
		h = mixName(h, load64(name, 0))
		name = name[8:]
	}
	var last uint64
	for j, c := range name {
		last |= uint64(c) << (j * 8)
	}
	return mixName(h, last)
}

// field is what hardName found out: where to go on, and what to do.
type field struct {
	// n is where the value goes; 0: the field is left out.
	n int
	// k is where the value lies.
	k int
	// rule is the field's own, nil for none.
	rule *rule
}

// hardName writes a name that plainName doesn't, or that a rule may concern.
func (e *encoder) hardName(out []byte, n, i int, t byte, lv *level) ([]byte, field, error) {
	size := bytes.IndexByte(e.src[i:lv.end], 0)
	if size < 0 {
		return out, field{}, corrupt("a name without its end", i)
	}
	raw := e.src[i : i+size]
	f := field{k: i + size + 1}
	if lv.root && string(raw) == "_id" {
		return out, f, nil
	}
	h := hashName(e.seed, raw)
	if lv.rule != nil {
		child, says := lv.rule.find(h, raw, t)
		f.rule = child
		switch says {
		case ruleDrop:
			return out, f, nil
		case ruleRename:
			if e.note(lv, child.name) {
				if len(out)-n < len(child.text)+2*room {
					out = grow(out, n, len(child.text)+2*room)
				}
				f.n = n + copy(out[n:], child.text)
			}
			return out, f, nil
		}
	}
	if e.odd(raw, lv.root) {
		name, err := e.repair(raw, i, lv)
		if err != nil || name == "" {
			return out, f, err
		}
		out, f.n = putName(out, n, []byte(name))
		return out, f, nil
	}
	if lv.fresh(h) || e.settle(lv, raw, i, h) {
		out, f.n = putName(out, n, raw)
	}
	return out, f, nil
}

// putName writes a name in quotes, with its colon.
func putName(out []byte, n int, name []byte) ([]byte, int) {
	out[n] = '"'
	out, n, _ = putText(out, n+1, name, 0, len(name))
	store16(out, n, '"'|':'<<8)
	n += 2
	if len(out)-n < 2*room {
		out = grow(out, n, 2*room)
	}
	return out, n
}
