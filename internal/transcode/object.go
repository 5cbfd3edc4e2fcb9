package transcode

import "bytes"

// object writes the elements at src[i:], up to the terminator at end, as an object.
func (e *encoder) object(out []byte, n, i, end int, r *rule, root bool) ([]byte, int, error) {
	if e.depth++; e.depth > maxDepth {
		return out, n, rejected("nested too deeply")
	}
	lv := level{start: i, end: end, rule: r, root: root}
	if e.scratch != nil {
		lv.odd = len(e.scratch.odd)
	}
	if len(out)-n < room {
		out = grow(out, n, end-i+room)
	}
	out[n] = '{'
	n++
	var err error
	for i < end {
		if len(out)-n < 2*room {
			out = grow(out, n, end-i+2*room)
		}
		t := e.src[i]
		lv.at = i
		i++
		below := r
		m, k, h := e.plainName(out, n, i, root)
		if m == 0 || r != nil || k > end {
			var f field
			if out, f, err = e.hardName(out, n, i, t, &lv); err != nil {
				return out, n, err
			}
			m, k, below = f.n, f.k, f.below
		} else if !lv.fresh(h) && !e.settle(&lv, e.src[i:k-1], i, h) {
			m = 0
		}
		if m == 0 {
			if i, err = valueEnd(e.src, t, k, end); err != nil {
				return out, n, err
			}
			continue
		}
		if out, n, i, err = e.value(out, m, t, k, end, below); err != nil {
			return out, n, err
		}
		out[n] = ','
		n++
	}
	e.depth--
	if e.scratch != nil {
		e.scratch.leave(&lv)
	}
	out, n = closing(out, n, '}')
	return out, n, nil
}

// array writes the elements at src[i:], up to the terminator at end, as an
// array. Their names, which count from 0, are skipped whatever they are.
func (e *encoder) array(out []byte, n, i, end int, r *rule) ([]byte, int, error) {
	if e.depth++; e.depth > maxDepth {
		return out, n, rejected("nested too deeply")
	}
	if len(out)-n < room {
		out = grow(out, n, end-i+room)
	}
	out[n] = '['
	n++
	var err error
	for i < end {
		if len(out)-n < 2*room {
			out = grow(out, n, end-i+2*room)
		}
		t := e.src[i]
		if i, err = e.skipName(i+1, end); err != nil {
			return out, n, err
		}
		if r != nil && r.only && t != typeObject && t != typeArray {
			if i, err = valueEnd(e.src, t, i, end); err != nil {
				return out, n, err
			}
			continue
		}
		if out, n, i, err = e.value(out, n, t, i, end, r); err != nil {
			return out, n, err
		}
		out[n] = ','
		n++
	}
	e.depth--
	out, n = closing(out, n, ']')
	return out, n, nil
}

// closing writes the bracket that ends an object or array over the comma after
// its last value.
func closing(out []byte, n int, bracket byte) ([]byte, int) {
	if out[n-1] == ',' {
		n--
	}
	out[n] = bracket
	n++
	if len(out)-n < 8 {
		out = grow(out, n, room)
	}
	return out, n
}

// skipName returns the index behind the name at src[i:].
func (e *encoder) skipName(i, end int) (int, error) {
	if src := e.src; i >= 0 && i <= len(src)-8 {
		w := load64(src, i)
		if zero := (w - ones) &^ w & highs; zero != 0 {
			if i += first(zero) + 1; i <= end {
				return i, nil
			}
			return 0, corrupt("a name without its end", i)
		}
	}
	k := bytes.IndexByte(e.src[i:end], 0)
	if k < 0 {
		return 0, corrupt("a name without its end", i)
	}
	return i + k + 1, nil
}
