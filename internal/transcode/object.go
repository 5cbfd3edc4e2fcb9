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
	e.drop(&lv)
	if len(out)-n < room {
		out = grow(out, n, end-i+room)
	}
	out[n] = '{'
	n++
	var err error
	mask := e.maskOf(r)
	for i < end {
		if len(out)-n < 2*room {
			out = grow(out, n, end-i+2*room)
		}
		t := e.src[i]
		lv.at = i
		i++
		m, k, h := e.plainName(out, n, i, root)
		if m == 0 || mask.has(h) && r.concerns(h) || k > end {
			if out, n, i, err = e.hardField(out, n, i, t, &lv); err != nil {
				return out, n, err
			}
			continue
		}
		if !lv.fresh(h) && !e.settle(&lv, e.src[i:k-1], i, h) {
			m = 0
		}
		if m == 0 {
			if i, err = valueEnd(e.src, t, k, end); err != nil {
				return out, n, err
			}
			continue
		}
		if out, n, i, err = e.value(out, m, t, k, end, nil); err != nil {
			return out, n, err
		}
		out[n] = ','
		n++
	}
	if r != nil && len(r.adds) > 0 {
		if out, n, err = e.adds(out, n, &lv); err != nil {
			return out, n, err
		}
	}
	out, n = e.leave(out, n, &lv)
	return out, n, nil
}

// leave ends an object.
func (e *encoder) leave(out []byte, n int, lv *level) ([]byte, int) {
	e.depth--
	if e.scratch != nil {
		e.scratch.leave(lv)
	}
	return closing(out, n, '}')
}

// hardField writes a field whose name is not plain, or that a rule may concern,
// with the comma after it, or leaves it out. It returns where the next one begins.
func (e *encoder) hardField(out []byte, n, i int, t byte, lv *level) ([]byte, int, int, error) {
	out, f, err := e.hardName(out, n, i, t, lv)
	switch {
	case err != nil:
		return out, n, i, err
	case f.n == 0:
		i, err = valueEnd(e.src, t, f.k, lv.end)
		return out, n, i, err
	case f.rule == nil:
		out, n, i, err = e.value(out, f.n, t, f.k, lv.end, nil)
	default:
		lv.seen |= f.rule.bit
		out, n, i, err = e.acted(out, f.n, t, f.k, lv.end, f.rule, f.rule.inner)
	}
	if err != nil {
		return out, n, i, err
	}
	out[n] = ','
	return out, n + 1, i, nil
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
		if r != nil && (r.only || len(r.adds) > 0) && !nests(t) {
			if len(r.adds) > 0 {
				if out, n, i, err = e.within(out, n, t, i, end, r); err != nil {
					return out, n, err
				}
				out[n] = ','
				n++
				continue
			}
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
