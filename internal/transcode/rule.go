package transcode

// rule is what a Plan says of the fields of one object, and of the object
// itself; nil says: write it all as it is. Rules form a graph by name (where a
// path has **, with circles), are shared by all uses of the plan, and never change.
type rule struct {
	// slots is an open hash table of the fields that have rules of their own;
	// its size is a power of two, or 0. The rules hold for each object of an
	// array, too.
	slots []ruleSlot
	// mask has a bit, by the upper nine of its hash, for each name that may have
	// a rule: what has none is found out by one look.
	mask nameMask
	// all: any name may have a rule.
	all bool
	// globs are parts of paths with stars, others the rules of fields that are not in
	// slots, by which of globs they fit; others[0] is for those that fit none.
	globs  []string
	others []*rule
	// given are names that fields get by renames and adds, whatever the document has.
	given []string

	// only: below this path, nothing is written but what has a rule.
	only bool
	// drop: the field is left out with all below it.
	drop bool
	// name is the new name, empty for none; text is `"name":`.
	name string
	text []byte
	act  action
	// path is the field's, for messages.
	path string
	// adds are fields that the object gets at its end; bit is the place of this
	// object among the adds of the one above, as a bit.
	adds []add
	bit  uint64
	// anchor is the number under which the object's place is noted for copies,
	// 0 for none.
	anchor int
	// inner is the rule for values under the field: itself, or nil if it says
	// nothing of them.
	inner *rule
}

type ruleSlot struct {
	hash uint64
	name string // never empty in a slot that is taken
	rule *rule
}

// action is what is done with a value.
type action uint8

const (
	actNone action = iota
	actFlatten
	actString
	actLong
	actDouble
	actBoolean
	actDate
)

// What a rule says of a field.
type ruling uint8

const (
	ruleNone ruling = iota
	ruleDrop
	ruleRename
)

// child returns the rule of the field of that name and hash; nil without one.
func (r *rule) child(h uint64, name []byte) *rule {
	if r == nil {
		return nil
	}
	if last := uint64(len(r.slots)) - 1; len(r.slots) > 0 {
		for p := h & last; r.slots[p].name != ""; p = (p + 1) & last {
			if s := &r.slots[p]; s.hash == h && s.name == string(name) {
				return s.rule
			}
		}
	}
	fit := 0
	for i, g := range r.globs {
		if fits(g, name) {
			fit |= 1 << i
		}
	}
	return r.others[fit]
}

// concerns tells whether there may be a rule for a field whose name has that hash.
func (r *rule) concerns(h uint64) bool {
	if r.all {
		return true
	}
	last := uint64(len(r.slots)) - 1
	for p := h & last; r.slots[p].name != ""; p = (p + 1) & last {
		if r.slots[p].hash == h {
			return true
		}
	}
	return false
}

// find returns the rule of the field of that name and type under r, and what
// it says of the field.
func (r *rule) find(h uint64, name []byte, t byte) (*rule, ruling) {
	child := r.child(h, name)
	switch {
	case child == nil:
		return nil, ruleNone
	case child.drop, child.only && len(child.adds) == 0 && !nests(t):
		return nil, ruleDrop
	case child.name != "":
		return child, ruleRename
	}
	return child, ruleNone
}

// nests tells whether values of the type hold others.
func nests(t byte) bool { return t == typeObject || t == typeArray }

// nameMask has a bit for each value of the upper nine bits of a hash: so many
// that a broad document meets few of another name's.
type nameMask [8]uint64

func (m *nameMask) set(h uint64)      { m[h>>61] |= 1 << (h >> 55 & 63) }
func (m *nameMask) has(h uint64) bool { return m[h>>61]>>(h>>55&63)&1 != 0 }

// maskOf is the mask of a rule that may be nil.
func (e *encoder) maskOf(r *rule) *nameMask {
	if r == nil {
		return &e.none
	}
	return &r.mask
}

// enter puts a child into the table, which has room.
func (r *rule) enter(h uint64, name string, child *rule) {
	last := uint64(len(r.slots)) - 1
	p := h & last
	for r.slots[p].name != "" {
		p = (p + 1) & last
	}
	r.slots[p] = ruleSlot{h, name, child}
	r.mask.set(h)
}
