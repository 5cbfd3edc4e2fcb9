package transcode

import (
	"go.mongodb.org/mongo-driver/v2/bson"
)

// maxDepth is how deep objects and arrays may nest; MongoDB stores 180 levels.
const maxDepth = 250

// encoder is the state of one Append. It lives on the stack.
type encoder struct {
	src   []byte
	plan  *Plan
	st    *Stats
	seed  uint64
	depth int
	// lower: names are written in lower case.
	lower bool
	// none is the mask of objects without rules.
	none nameMask
	last lastDay
	// removals: somewhere in what is written stands removed.
	removals bool
	// refusal, if it is set, is why the document can't be written.
	refusal error
	// scratch is taken from the plan's pool by the first object that needs it.
	scratch *scratch
}

// Append appends doc to dst as one JSON object, without its root _id, and
// returns the extended slice. It allocates nothing as long as dst has room,
// and lets dst grow like append else; the bytes between length and capacity of
// dst serve as scratch space. st may not be nil. If doc can't be written,
// it returns dst with its old length, and ErrCorrupt or ErrRejected in the
// error's chain. It may be called from several goroutines at one time, each
// with a dst and st of its own.
func (p *Plan) Append(dst []byte, doc bson.Raw, st *Stats) ([]byte, error) {
	if p.monstache {
		return p.appendGo(dst, doc, st)
	}
	e := encoder{src: doc[:len(doc):len(doc)], plan: p, st: st, seed: p.seed, lower: p.lower}
	before := *st
	end, err := documentEnd(doc, 0, len(doc))
	if err != nil {
		return dst, err
	}
	if end != len(doc) {
		return dst, corrupt("bytes after the document", end)
	}
	out, n, err := e.object(dst[:cap(dst)], len(dst), 4, end-1, p.root, true)
	if e.scratch != nil {
		p.release(e.scratch)
	}
	if err == nil {
		err = e.refusal
	}
	if err != nil {
		*st = before
		return out[:len(dst)], err
	}
	if e.removals {
		n = strip(out, len(dst), n)
	}
	return out[:n], nil
}

// AppendValue appends one value to dst as JSON, by the formats of the plan and
// without its field rules. With NonFiniteRemove, nothing is appended for a value
// that is left out. For the rest it is like Append.
func (p *Plan) AppendValue(dst []byte, v bson.RawValue, st *Stats) ([]byte, error) {
	e := encoder{src: v.Value[:len(v.Value):len(v.Value)], plan: p, st: st, seed: p.seed}
	before := *st
	end, err := valueEnd(v.Value, byte(v.Type), 0, len(v.Value))
	if err != nil {
		return dst, err
	}
	if end != len(v.Value) {
		return dst, corrupt("bytes after the value", end)
	}
	if p.monstache {
		return p.appendGoValue(dst, v, st)
	}
	out := dst[:cap(dst)]
	if len(out)-len(dst) < room {
		out = grow(out, len(dst), room)
	}
	out, n, _, err := e.value(out, len(dst), byte(v.Type), 0, end, nil)
	if e.scratch != nil {
		p.release(e.scratch)
	}
	if err == nil {
		err = e.refusal
	}
	if err != nil {
		*st = before
		return out[:len(dst)], err
	}
	if e.removals {
		n = strip(out, len(dst), n)
	}
	return out[:n], nil
}

// documentEnd checks the frame of the document or array at src[i:], which has
// to end at limit at the latest, and returns where it ends.
func documentEnd(src []byte, i, limit int) (int, error) {
	if limit-i < 5 {
		return 0, corrupt("a document that is cut off", i)
	}
	size := int(int32(load32(src, i)))
	if size < 5 || size > limit-i {
		return 0, corrupt("a document with a wrong length", i)
	}
	if src[i+size-1] != 0 {
		return 0, corrupt("a document without its end", i+size-1)
	}
	return i + size, nil
}
