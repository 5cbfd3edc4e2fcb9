package transcode

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
	"strings"
)

// The bounds of a graph of rules: how many objects with rules of their own, how
// many parts with stars that one of them looks at, how many fields it gets.
const (
	maxRules = 20000
	maxGlobs = 6
	maxAdds  = 64
)

var (
	errTooMany = errors.New("these rules make too many cases: write fewer paths with stars")
	errAdds    = errors.New("set and copy add more than 64 fields to one object")
)

// clauseKind is which rule a clause came from.
type clauseKind uint8

const (
	clauseInclude clauseKind = iota
	clauseExclude
	clauseRename
	clauseAct
	clausePlace
)

// clause is one entry of the configuration of fields.
type clause struct {
	kind clauseKind
	path pattern
	// name is that of a rename.
	name string
	act  action
	// constant or from is what is put at path. from counts from the object
	// at path[:depth].
	constant []byte
	from     []string
	depth    int
}

// spot is a place in a clause: so many parts of its path are behind.
type spot struct{ clause, pos int }

// builder makes the graph: each rule stands for a set of spots, so that one
// look at a name tells all that the clauses say of it.
type builder struct {
	clauses []clause
	seed    uint64
	known   map[string]*rule
	dropped *rule
	anchors []string
	err     error
}

// graph returns the rule of the root; nil where nothing is said.
func graph(clauses []clause, seed uint64) (root *rule, anchors int, err error) {
	if len(clauses) == 0 {
		return nil, 0, nil
	}
	b := &builder{clauses: clauses, seed: seed, known: map[string]*rule{}, dropped: &rule{drop: true, others: []*rule{nil}}}
	var all []spot
	whole := true
	for i := range clauses {
		all = append(all, spot{clause: i})
		whole = whole && clauses[i].kind != clauseInclude
	}
	root = b.rule(all, whole, nil, nil)
	return root, len(b.anchors), b.err
}

// rule returns the rule for a set of spots; whole says that what no clause
// names is kept. ends are the clauses about the field itself.
func (b *builder) rule(spots []spot, whole bool, ends []int, path []string) *rule {
	key := b.key(spots, whole, ends)
	if r := b.known[key]; r != nil {
		return r
	}
	if len(b.known) >= maxRules {
		b.err = errTooMany
	}
	if b.err != nil {
		return nil
	}
	r := &rule{only: !whole, path: strings.Join(path, ".")}
	b.known[key] = r
	for _, i := range ends {
		switch c := &b.clauses[i]; c.kind {
		case clauseRename:
			r.name = c.name
			r.text = nameText(c.name)
		case clauseAct:
			r.act = c.act
		}
	}
	names, globs := b.ahead(spots)
	if len(globs) > maxGlobs {
		b.err = errTooMany
		return nil
	}
	r.slots = make([]ruleSlot, tableSize(len(names)))
	r.globs = globs
	for _, name := range names {
		child := b.step(spots, whole, append(slices.Clip(path), name), func(part string) bool { return fits(part, []byte(name)) })
		r.enter(hashName(b.seed, []byte(name)), name, child)
	}
	r.others = make([]*rule, 1<<len(globs))
	for fit := range r.others {
		r.others[fit] = b.step(spots, whole, append(slices.Clip(path), "*"), func(part string) bool {
			i := slices.Index(globs, part)
			return part == "*" || i >= 0 && fit>>i&1 != 0
		})
		if r.others[fit] != nil {
			r.all = true
			for i := range r.mask {
				r.mask[i] = ^uint64(0)
			}
		}
	}
	b.places(r, spots, path)
	if len(names) > 0 || r.mask != (nameMask{}) || r.only || len(r.adds) > 0 || r.anchor > 0 {
		r.inner = r
	}
	return r
}

func tableSize(names int) int {
	if names == 0 {
		return 0
	}
	return 1 << bits.Len(uint(2*names-1))
}

// key names a set of spots.
func (b *builder) key(spots []spot, whole bool, ends []int) string {
	var k []byte
	if whole {
		k = append(k, 1)
	}
	for _, s := range spots {
		k = binary.AppendUvarint(binary.AppendUvarint(k, uint64(s.clause)+1), uint64(s.pos))
	}
	k = append(k, 0)
	for _, i := range ends {
		k = binary.AppendUvarint(k, uint64(i))
	}
	return string(k)
}

// ahead returns the names, and the parts with stars except * itself, that the
// clauses look for next.
func (b *builder) ahead(spots []spot) (names, globs []string) {
	for _, s := range spots {
		parts := b.clauses[s.clause].path.parts[s.pos:]
		for len(parts) > 1 && parts[0] == deep {
			parts = parts[1:]
		}
		switch part := parts[0]; {
		case part == "*":
		case literal(part):
			names = append(names, part)
		default:
			globs = append(globs, part)
		}
	}
	slices.Sort(names)
	slices.Sort(globs)
	return slices.Compact(names), slices.Compact(globs)
}

// step returns the rule of a field whose name fits those parts; nil if nothing
// is said of it.
func (b *builder) step(spots []spot, whole bool, path []string, fits func(part string) bool) *rule {
	var ahead []spot
	var ends []int
	places := false
	for _, s := range spots {
		c := &b.clauses[s.clause]
		for _, pos := range c.path.next(nil, s.pos, fits) {
			if pos < len(c.path.parts) {
				ahead = append(ahead, spot{s.clause, pos})
				places = places || c.kind == clausePlace
				continue
			}
			switch c.kind {
			case clauseInclude:
				whole = true
			case clauseExclude, clausePlace:
				return b.dropped
			default:
				ends = append(ends, s.clause)
			}
		}
	}
	includes := func(s spot) bool { return b.clauses[s.clause].kind == clauseInclude }
	switch {
	case whole:
		ahead = slices.DeleteFunc(ahead, includes)
	case !slices.ContainsFunc(ahead, includes) && !places:
		return b.dropped
	}
	if len(ahead) == 0 && len(ends) == 0 && whole {
		return nil
	}
	return b.rule(sorted(ahead), whole, ends, path)
}

// sorted returns spots in order, each once.
func sorted(spots []spot) []spot {
	slices.SortFunc(spots, func(a, b spot) int {
		if a.clause != b.clause {
			return a.clause - b.clause
		}
		return a.pos - b.pos
	})
	return slices.Compact(spots)
}

// places notes what set and copy put into the object of r, and the names that
// are taken in it.
func (b *builder) places(r *rule, spots []spot, path []string) {
	for _, s := range spots {
		c := &b.clauses[s.clause]
		if c.kind == clauseRename && s.pos == len(c.path.parts)-1 {
			r.given = append(r.given, c.name)
		}
		if c.kind != clausePlace {
			continue
		}
		if c.from != nil && c.depth == s.pos && s.pos > 0 {
			r.anchor = b.anchorOf(path)
		}
		name := c.path.parts[s.pos]
		if slices.Contains(r.given, name) {
			continue // another path goes the same way
		}
		r.given = append(r.given, name)
		a := add{text: nameText(name)}
		if s.pos < len(c.path.parts)-1 {
			a.object = r.child(hashName(b.seed, []byte(name)), []byte(name))
			if a.object == nil { // there was an error
				return
			}
			a.object.bit = 1 << len(r.adds)
		} else {
			a.constant, a.act = c.constant, &rule{act: c.act, path: c.path.text}
			if c.from != nil {
				a.copy = b.copyOf(c)
			}
		}
		r.adds = append(r.adds, a)
	}
	if len(r.adds) > maxAdds {
		b.err = errAdds
	}
}

// copyOf tells where a copy comes from, and which clauses hold below that.
func (b *builder) copyOf(c *clause) *source {
	s := &source{from: c.from}
	if c.depth > 0 {
		s.anchor = b.anchorOf(c.path.parts[:c.depth])
	}
	var spots []spot
	for i := range b.clauses {
		if k := b.clauses[i].kind; k != clauseInclude && k != clausePlace {
			spots = append(spots, spot{clause: i})
		}
	}
	for _, name := range slices.Concat(c.path.parts[:c.depth], c.from) {
		var now []spot
		for _, at := range spots {
			p := b.clauses[at.clause].path
			for _, pos := range p.next(nil, at.pos, func(part string) bool { return fits(part, []byte(name)) }) {
				if pos < len(p.parts) {
					now = append(now, spot{at.clause, pos})
				}
			}
		}
		spots = sorted(now)
	}
	if len(spots) > 0 {
		if r := b.rule(spots, true, nil, slices.Concat(c.path.parts[:c.depth], c.from)); r != nil {
			s.below = r.inner
		}
	}
	return s
}

// anchorOf is the number of the object at a path, from 1 on.
func (b *builder) anchorOf(path []string) int {
	text := strings.Join(path, ".")
	i := slices.Index(b.anchors, text)
	if i < 0 {
		i = len(b.anchors)
		b.anchors = append(b.anchors, text)
	}
	return i + 1
}

func nameText(name string) []byte { return append(AppendString(nil, name), ':') }
