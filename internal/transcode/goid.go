package transcode

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// AppendGoID appends the id that Monstache gives a document whose _id has this
// value: what Go's fmt prints of it. It is valid UTF-8 of 1 to MaxID bytes, not
// escaped for JSON; a value without such a text is ErrRejected, no valid BSON
// ErrCorrupt, and then dst is returned as it was. It is not injective: 1 and "1"
// have one text, and so have compound keys that differ in the order of names.
func AppendGoID(dst []byte, id bson.RawValue) ([]byte, error) {
	p := goPrinter{out: dst}
	t, v := byte(id.Type), id.Value
	end, err := valueEnd(v, t, 0, len(v))
	switch {
	case err != nil:
		return dst, err
	case end != len(v):
		return dst, corrupt("bytes after the _id", end)
	}
	switch t {
	case typeObjectID:
		p.out = hex.AppendEncode(dst, v)
	case typeBinary:
		p.out = appendGoBinary(dst, v[4], binaryData(v))
	case typeDouble:
		p.out = appendGoWhole(dst, math.Float64frombits(load64(v, 0)))
	default:
		err = p.value(t, v)
	}
	if err != nil {
		return dst, err
	}
	text := p.out[len(dst):]
	if !utf8.Valid(text) {
		p.out = append(p.out[:len(dst)], replaceInvalid(string(text))...)
		text = p.out[len(dst):]
	}
	switch {
	case len(text) == 0:
		return dst, rejected("its _id is an empty text, which is no id for the index")
	case len(text) > MaxID:
		return dst, rejected(fmt.Sprintf("its _id has a text of %d bytes, and the index takes %d", len(text), MaxID))
	}
	return p.out, nil
}

// appendGoWhole appends a double as an integer if it is one, else as %v does.
func appendGoWhole(dst []byte, f float64) []byte {
	if f >= -1<<63 && f < 1<<63 && math.Trunc(f) == f {
		return strconv.AppendInt(dst, int64(f), 10)
	}
	return appendGoFloat(dst, f)
}

// appendGoFloat appends a double as %v does.
func appendGoFloat(dst []byte, f float64) []byte {
	return strconv.AppendFloat(dst, f, 'g', -1, 64)
}

// goPrinter prints values as %v prints what the Go driver decodes.
type goPrinter struct {
	out   []byte
	depth int
}

// value prints a value, whose frame is checked.
func (p *goPrinter) value(t byte, v []byte) error {
	switch t {
	case typeObject:
		return p.object(v)
	case typeArray:
		return p.array(v)
	case typeString, typeSymbol, typeCode:
		p.out = append(p.out, v[4:len(v)-1]...)
	case typeObjectID:
		p.out = append(hex.AppendEncode(append(p.out, `ObjectID("`...), v), `")`...)
	case typeDouble:
		p.out = appendGoFloat(p.out, math.Float64frombits(load64(v, 0)))
	case typeInt32:
		p.out = strconv.AppendInt(p.out, int64(int32(load32(v, 0))), 10)
	case typeInt64:
		p.out = strconv.AppendInt(p.out, int64(load64(v, 0)), 10)
	case typeDecimal:
		p.decimal(decimalOf(load64(v, 8), load64(v, 0)))
	case typeBoolean:
		if v[0] > 1 {
			return corrupt("a boolean that is neither", 0)
		}
		p.out = strconv.AppendBool(p.out, v[0] == 1)
	case typeDate:
		at := time.UnixMilli(int64(load64(v, 0))).UTC()
		p.out = at.AppendFormat(p.out, "2006-01-02 15:04:05.999999999 -0700 MST")
	case typeNull:
		p.out = append(p.out, "<nil>"...)
	default:
		return p.rare(t, v)
	}
	return nil
}

func (p *goPrinter) decimal(d decimal) {
	var text [room]byte
	switch {
	case d.kind == decimalNaN:
		p.out = append(p.out, "NaN"...)
	case d.kind == decimalInfinite && d.negative:
		p.out = append(p.out, "-Infinity"...)
	case d.kind == decimalInfinite:
		p.out = append(p.out, "Infinity"...)
	default:
		p.out = append(p.out, text[:putDecimal(text[:], 0, d)]...)
	}
}

// rare prints what is a struct in Go.
func (p *goPrinter) rare(t byte, v []byte) error {
	switch t {
	case typeUndefined, typeMinKey, typeMaxKey:
		p.out = append(p.out, "{}"...)
	case typeTimestamp:
		p.out = fmt.Appendf(p.out, "{%d %d}", load32(v, 4), load32(v, 0))
	case typeBinary:
		p.out = fmt.Appendf(p.out, "{%d %v}", v[4], binaryData(v))
	case typeRegex:
		cut := bytes.IndexByte(v, 0)
		p.out = fmt.Appendf(p.out, `{"pattern": "%s", "options": "%s"}`, v[:cut], v[cut+1:len(v)-1])
	case typeDBPointer:
		p.out = fmt.Appendf(p.out, `{"db": "%s", "pointer": "ObjectID("%x")"}`, v[4:len(v)-13], v[len(v)-12:])
	case typeScoped:
		return p.scoped(v)
	default:
		return corrupt("a value of unknown type", 0)
	}
	return nil
}

// scoped prints code with its scope, a list of pairs.
func (p *goPrinter) scoped(v []byte) error {
	cut, err := textEnd(v, 4, len(v))
	if err != nil {
		return err
	}
	if end, err := documentEnd(v, cut, len(v)); err != nil || end != len(v) {
		return corrupt("code with a wrong length", 0)
	}
	p.out = append(append(p.out, `{"code": "`...), v[8:cut-1]...)
	p.out = append(p.out, `", "scope": [`...)
	first := true
	err = p.each(v[cut:], func(name []byte, t byte, v []byte) error {
		if !first {
			p.out = append(p.out, ' ')
		}
		first = false
		p.out = append(append(append(p.out, '{'), name...), ' ')
		err := p.value(t, v)
		p.out = append(p.out, '}')
		return err
	})
	p.out = append(p.out, "]}"...)
	return err
}

// object prints a document as a map: its names sorted, of those that come twice
// the last.
func (p *goPrinter) object(v []byte) error {
	type field struct {
		name, value []byte
		t           byte
	}
	var all []field
	err := p.each(v, func(name []byte, t byte, v []byte) error {
		all = append(all, field{name, v, t})
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(all, func(a, b field) int { return bytes.Compare(a.name, b.name) })
	if p.depth++; p.depth > maxDepth {
		return rejected("nested too deeply")
	}
	p.out = append(p.out, "map["...)
	first := true
	for i, f := range all {
		if i+1 < len(all) && bytes.Equal(all[i+1].name, f.name) {
			continue
		}
		if !first {
			p.out = append(p.out, ' ')
		}
		first = false
		p.out = append(append(p.out, f.name...), ':')
		if err := p.value(f.t, f.value); err != nil {
			return err
		}
	}
	p.depth--
	p.out = append(p.out, ']')
	return nil
}

func (p *goPrinter) array(v []byte) error {
	if p.depth++; p.depth > maxDepth {
		return rejected("nested too deeply")
	}
	p.out = append(p.out, '[')
	first := true
	err := p.each(v, func(_ []byte, t byte, v []byte) error {
		if !first {
			p.out = append(p.out, ' ')
		}
		first = false
		return p.value(t, v)
	})
	p.depth--
	p.out = append(p.out, ']')
	return err
}

// each calls f with the elements of a document or array.
func (p *goPrinter) each(v []byte, f func(name []byte, t byte, v []byte) error) error {
	end := len(v) - 1
	for i := 4; i < end; {
		cut, err := cstringEnd(v, i+1, end)
		if err != nil {
			return err
		}
		stop, err := valueEnd(v, v[i], cut, end)
		if err != nil {
			return err
		}
		if err := f(v[i+1:cut-1], v[i], v[cut:stop]); err != nil {
			return err
		}
		i = stop
	}
	return nil
}
