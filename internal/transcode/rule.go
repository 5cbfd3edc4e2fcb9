package transcode

// rule is what a Plan says of one field path; nil says: write it all as it is.
// Rules form a tree by name, are shared by all uses of the plan, and never change.
type rule struct {
	// children are the rules of fields below, by name. They hold for each
	// object of an array, too.
	children map[string]*rule
	// only: below this path, nothing is written but what children name.
	only bool
	// drop: the field is left out with all below it.
	drop bool
	// name is the new name, empty for none; text is `"name":`.
	name string
	text []byte
}

// What a rule says of a field.
type ruling uint8

const (
	ruleNone ruling = iota
	ruleDrop
	ruleRename
)

// find returns the rule of the field of that name and type under r, and what
// it says of the field.
func (r *rule) find(name []byte, t byte) (*rule, ruling) {
	if r == nil {
		return nil, ruleNone
	}
	child := r.children[string(name)]
	switch {
	case child == nil && r.only:
		return nil, ruleDrop
	case child == nil:
		return nil, ruleNone
	case child.drop, child.only && t != typeObject && t != typeArray:
		return nil, ruleDrop
	case child.name != "":
		return child, ruleRename
	}
	return child, ruleNone
}

// below is the rule for values under a field with this rule.
func (r *rule) below() *rule {
	if r == nil || len(r.children) == 0 && !r.only {
		return nil
	}
	return r
}
