package transcode

import (
	"encoding/json"
	"maps"
	"slices"
)

// Fields choose, rename, change and add fields by dotted paths. A path goes
// through arrays: "lines.sku" is the field sku of each object in the array
// lines. All paths speak of the document as it is in MongoDB; those of Set, and
// the targets of Copy, of what is written. The zero value keeps all fields as
// they are.
type Fields struct {
	// Include: only these fields, with all below them. Empty: all.
	Include []string
	// Exclude: not these fields, nor anything below them. It is stronger than
	// Include. In both, a star in a part of a path stands for any characters, none included:
	// "*_internal", "address.*.zip"; the part ** for any number of parts, none
	// included: "**.secret"; at the end of a path it means what * means.
	Exclude []string
	// Rename gives fields other names: from a path to the same path with
	// another last part.
	Rename map[string]string
	// Cast gives values another type; arrays are cast element by element. What
	// can't be cast goes by OnError.
	Cast    map[string]CastType
	OnError OnError
	// Flatten writes the objects and arrays at these paths as text, which is
	// their JSON; other values stay.
	Flatten []string
	// Set puts constants, each one JSON value, at paths, in place of what the
	// document has there. Objects on the way are made; other values that stand in
	// the way are replaced, and in an array each element gets the constant.
	Set map[string]json.RawMessage
	// Copy puts the value at one path also at another, as Set does a constant:
	// as it is in the document, by the rules for what lies below it. Cast and
	// Flatten of the target's path hold for the copy. Through an array it is the
	// array of what is found. Paths that begin alike are of the same object.
	Copy map[string]string
	// LowerNames writes the names of all fields in lower case, but for those
	// that Rename, Set and Copy give. One that another field of the object has
	// already gets underscores, as repaired names do.
	LowerNames bool
}

// CastType is a type that values can be cast to.
type CastType string

// The types to cast to.
const (
	CastString  CastType = "string"
	CastLong    CastType = "long"
	CastDouble  CastType = "double"
	CastBoolean CastType = "boolean"
	CastDate    CastType = "date"
)

// OnError says what becomes of a value that can't be cast. The empty value is
// OnErrorReject.
type OnError string

// The ways with values that can't be cast.
const (
	// OnErrorReject: the document fails with ErrRejected.
	OnErrorReject OnError = "reject"
	// OnErrorNull: null is written; it is counted.
	OnErrorNull OnError = "null"
	// OnErrorKeep: the value is written as if there were no cast; it is counted.
	OnErrorKeep OnError = "keep"
)

// actionOf is how a cast is carried out; actNone for no type.
func actionOf(c CastType) action {
	switch c {
	case CastString:
		return actString
	case CastLong:
		return actLong
	case CastDouble:
		return actDouble
	case CastBoolean:
		return actBoolean
	case CastDate:
		return actDate
	}
	return actNone
}

// compile makes the graph of rules; nil without any.
func (f Fields) compile(seed uint64) (root *rule, anchors int, err error) {
	p, err := f.paths()
	if err != nil {
		return nil, 0, err
	}
	if err := p.check(); err != nil {
		return nil, 0, err
	}
	var all []clause
	for _, i := range p.include {
		all = append(all, clause{kind: clauseInclude, path: i})
	}
	for _, x := range p.exclude {
		all = append(all, clause{kind: clauseExclude, path: x})
	}
	for _, r := range p.rename {
		all = append(all, clause{kind: clauseRename, path: r.path, name: r.to.parts[len(r.to.parts)-1]})
	}
	acts := map[string]action{}
	for _, c := range p.acts {
		acts[c.path.text] = c.act
		if !slices.ContainsFunc(p.places, func(s placement) bool { return s.path.text == c.path.text }) {
			all = append(all, clause{kind: clauseAct, path: c.path, act: c.act})
		}
	}
	for _, s := range p.places {
		c := clause{kind: clausePlace, path: s.path, constant: s.constant}
		if s.from != nil {
			c.act = acts[s.path.text]
			c.depth = s.shared()
			c.from = s.from[c.depth:]
		}
		all = append(all, c)
	}
	return graph(all, seed)
}

// sortedKeys makes what is compiled of a map the same every time.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
