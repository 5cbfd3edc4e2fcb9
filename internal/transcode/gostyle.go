package transcode

import (
	"bytes"
	"encoding/hex"
	"math"
	"slices"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// goEncoder writes one document as encoding/json writes what the Go driver
// decodes into maps (StyleMonstache).
type goEncoder struct {
	src     []byte
	st      *Stats
	remove  bool
	depth   int
	last    lastDay
	scratch *scratch
	// scope: what is written lies in the scope of code, whose types keep their own
	// ways to become JSON.
	scope bool
}

// goField is an element of an object that is open: where its name, ending before
// the NUL, and its value lie.
type goField struct {
	name, end, value, stop int
	t                      byte
}

// metaField is the field in which documents tell Monstache what to do with them.
const metaField = "_meta_monstache"

// appendGo is Append for StyleMonstache.
func (p *Plan) appendGo(dst []byte, doc bson.Raw, st *Stats) ([]byte, error) {
	e := goEncoder{src: doc[:len(doc):len(doc)], st: st, remove: p.nonFinite == NonFiniteRemove, scratch: p.take()}
	defer p.release(e.scratch)
	before := *st
	end, err := documentEnd(doc, 0, len(doc))
	if err != nil {
		return dst, err
	}
	if end != len(doc) {
		return dst, corrupt("bytes after the document", end)
	}
	out, err := e.object(dst, 4, end-1, true)
	if err != nil {
		*st = before
		return out[:len(dst)], err
	}
	return out, nil
}

// appendGoValue is AppendValue for StyleMonstache.
func (p *Plan) appendGoValue(dst []byte, v bson.RawValue, st *Stats) ([]byte, error) {
	e := goEncoder{src: v.Value[:len(v.Value):len(v.Value)], st: st, remove: p.nonFinite == NonFiniteRemove, scratch: p.take()}
	defer p.release(e.scratch)
	before := *st
	out, keep, err := e.value(dst, byte(v.Type), 0, len(v.Value))
	if err != nil || !keep {
		out = out[:len(dst)]
	}
	if err != nil {
		*st = before
	}
	return out, err
}

// fields notes the elements at src[i:end], in the order of their names: of those
// with one name the last. They lie in scratch.fields from the returned index on.
func (e *goEncoder) fields(i, end int) (int, error) {
	all := e.scratch.fields
	first := len(all)
	sorted := true
	for i < end {
		f := goField{t: e.src[i], name: i + 1}
		size := bytes.IndexByte(e.src[i+1:end], 0)
		if size < 0 {
			return first, corrupt("a name without its end", i+1)
		}
		f.end = f.name + size
		f.value = f.end + 1
		stop, err := valueEnd(e.src, f.t, f.value, end)
		if err != nil {
			return first, err
		}
		f.stop = stop
		if n := len(all); n > first && bytes.Compare(e.src[all[n-1].name:all[n-1].end], e.src[f.name:f.end]) >= 0 {
			sorted = false
		}
		all = append(all, f)
		i = stop
	}
	if !sorted {
		all = all[:first+e.order(all[first:])]
	}
	e.scratch.fields = all
	return first, nil
}

// order sorts elements by name and keeps the last of each; it returns how many stay.
func (e *goEncoder) order(all []goField) int {
	slices.SortFunc(all, func(a, b goField) int {
		if c := bytes.Compare(e.src[a.name:a.end], e.src[b.name:b.end]); c != 0 {
			return c
		}
		return a.name - b.name
	})
	n := 0
	for i := range all {
		if n > 0 && bytes.Equal(e.src[all[n-1].name:all[n-1].end], e.src[all[i].name:all[i].end]) {
			e.st.DuplicateKeys++
			n--
		}
		all[n] = all[i]
		n++
	}
	return n
}

// object writes the elements at src[i:], up to the terminator at end.
func (e *goEncoder) object(out []byte, i, end int, root bool) ([]byte, error) {
	if e.depth++; e.depth > maxDepth {
		return out, rejected("nested too deeply")
	}
	first, err := e.fields(i, end)
	if err != nil {
		return out, err
	}
	out = append(out, '{')
	comma := false
	for k := first; k < len(e.scratch.fields); k++ {
		f := e.scratch.fields[k]
		name := e.src[f.name:f.end]
		if root && (string(name) == "_id" || string(name) == metaField) {
			continue
		}
		start := len(out)
		if comma {
			out = append(out, ',')
		}
		out = append(e.text(out, name), ':')
		var keep bool
		if out, keep, err = e.value(out, f.t, f.value, f.stop); err != nil {
			return out, err
		}
		if !keep {
			out = out[:start]
			continue
		}
		comma = true
	}
	e.scratch.fields = e.scratch.fields[:first]
	e.depth--
	return append(out, '}'), nil
}

// array writes the elements at src[i:], up to the terminator at end.
func (e *goEncoder) array(out []byte, i, end int) ([]byte, error) {
	if e.depth++; e.depth > maxDepth {
		return out, rejected("nested too deeply")
	}
	out = append(out, '[')
	comma := false
	for i < end {
		t := e.src[i]
		size := bytes.IndexByte(e.src[i+1:end], 0)
		if size < 0 {
			return out, corrupt("a name without its end", i+1)
		}
		k := i + 1 + size + 1
		stop, err := valueEnd(e.src, t, k, end)
		if err != nil {
			return out, err
		}
		start := len(out)
		if comma {
			out = append(out, ',')
		}
		var keep bool
		if out, keep, err = e.value(out, t, k, stop); err != nil {
			return out, err
		}
		if keep {
			comma = true
		} else {
			out = out[:start]
		}
		i = stop
	}
	e.depth--
	return append(out, ']'), nil
}

// value writes the value of type t at src[i:stop], whose frame is checked; keep is
// false if it is to be left out.
func (e *goEncoder) value(out []byte, t byte, i, stop int) (_ []byte, keep bool, err error) {
	src := e.src
	switch t {
	case typeString, typeSymbol, typeCode:
		return e.text(out, src[i+4:stop-1]), true, nil
	case typeInt32:
		return strconv.AppendInt(out, int64(int32(load32(src, i))), 10), true, nil
	case typeInt64:
		return strconv.AppendInt(out, int64(load64(src, i)), 10), true, nil
	case typeDouble:
		f := math.Float64frombits(load64(src, i))
		if f-f != 0 {
			keep, err = e.odd()
			return out, keep, err
		}
		return appendGoDouble(out, f), true, nil
	case typeDate:
		return e.date(out, int64(load64(src, i)))
	case typeBoolean:
		if src[i] > 1 {
			return out, false, corrupt("a boolean that is neither", i)
		}
		return strconv.AppendBool(out, src[i] == 1), true, nil
	case typeObjectID:
		return append(hex.AppendEncode(append(out, '"'), src[i:i+12]), '"'), true, nil
	case typeNull:
		return append(out, "null"...), true, nil
	case typeObject:
		out, err = e.object(out, i+4, stop-1, false)
	case typeArray:
		out, err = e.array(out, i+4, stop-1)
	default:
		out, err = e.rare(out, t, i, stop)
	}
	return out, err == nil, err
}

// odd is what becomes of a value that encoding/json refuses: it is left out, or
// the document is. In the scope of code nothing is left out.
func (e *goEncoder) odd() (keep bool, err error) {
	e.st.NonFinite++
	if e.remove && !e.scope {
		return false, nil
	}
	return false, errYear
}

// date writes a date with three digits of a second.
func (e *goEncoder) date(out []byte, ms int64) ([]byte, bool, error) {
	if ms < firstDate || ms > lastDate {
		keep, err := e.odd()
		return out, keep, err
	}
	var text [room]byte
	b := text[:putDate(text[:], 0, ms, &e.last)]
	if e.scope { // by the rules of time.Time: no zeros at the end
		b = append(bytes.TrimRight(bytes.TrimRight(b[:len(b)-2], "0"), "."), 'Z', '"')
	}
	return append(out, b...), true, nil
}

// appendGoDouble writes a finite double as encoding/json does.
func appendGoDouble(out []byte, f float64) []byte {
	a := math.Abs(f)
	if a == 0 || a >= 1e-6 && a < 1e21 {
		return strconv.AppendFloat(out, f, 'f', -1, 64)
	}
	out = strconv.AppendFloat(out, f, 'e', -1, 64)
	if n := len(out); n >= 4 && out[n-4] == 'e' && out[n-2] == '0' {
		out[n-2] = out[n-1] // e-09 to e-9
		out = out[:n-1]
	}
	return out
}
