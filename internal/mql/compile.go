package mql

import (
	"errors"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Supported names the operators, for messages and documentation.
const Supported = "$eq $ne $gt $gte $lt $lte $in $nin $exists $type $and $or $nor $not $regex $options $size $all $elemMatch $mod $comment"

// maxDepth bounds the nesting of queries, as the server does.
const maxDepth = 100

// Matcher is a compiled query. It is immutable and safe for concurrent use.
type Matcher struct{ n node }

// Compile reads a query: operators as in MongoDB's find. It keeps views into
// query, which must not change afterwards. An error names the part that it
// refuses; one for an operator that is not supported lists those that are. An
// empty (or nil) query matches every document.
func Compile(query bson.Raw) (*Matcher, error) {
	if len(query) == 0 {
		return &Matcher{allOf{}}, nil
	}
	if err := query.Validate(); err != nil {
		return nil, fmt.Errorf("the query is no valid BSON: %w", err)
	}
	n, err := compileQuery(query, 0)
	if err != nil {
		return nil, err
	}
	return &Matcher{n}, nil
}

// Match tells whether doc is what the query asks for. doc is only read.
func (m *Matcher) Match(doc bson.Raw) bool { return m.n.match(doc) }

func unknown(op string) error {
	switch op {
	case "$expr", "$where", "$jsonSchema", "$text", "$near", "$nearSphere", "$geoWithin", "$geoIntersects":
		return fmt.Errorf("%s is not supported here; supported are %s", op, Supported)
	}
	return fmt.Errorf("the operator %s is not known here; supported are %s", op, Supported)
}

func compileQuery(doc []byte, depth int) (allOf, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("the query is nested more than %d deep", maxDepth)
	}
	var all allOf
	for it := elementsOf(doc); ; {
		e, ok := it.next()
		if !ok {
			return all, nil
		}
		name := string(e.name)
		n, err := compileTop(name, e.v, depth)
		if err != nil {
			return nil, err
		}
		if n != nil {
			all = append(all, n)
		}
	}
}

// compileTop compiles one field of a query; the node is nil for a comment.
func compileTop(name string, v value, depth int) (node, error) {
	if !strings.HasPrefix(name, "$") {
		p, err := compileField(v, depth)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return at{pathOf(name), p}, nil
	}
	switch name {
	case "$comment":
		return nil, nil
	case "$and", "$or", "$nor":
	default:
		return nil, unknown(name)
	}
	if v.t != bson.TypeArray {
		return nil, fmt.Errorf("%s wants an array of queries", name)
	}
	var parts []node
	for it := elementsOf(v.b); ; {
		e, ok := it.next()
		if !ok {
			break
		}
		if e.v.t != bson.TypeEmbeddedDocument {
			return nil, fmt.Errorf("%s wants an array of queries, and holds something else", name)
		}
		q, err := compileQuery(e.v.b, depth+1)
		if err != nil {
			return nil, err
		}
		parts = append(parts, q)
	}
	switch {
	case len(parts) == 0:
		return nil, fmt.Errorf("%s wants at least one query", name)
	case name == "$and":
		return allOf(parts), nil
	case name == "$or":
		return anyOf(parts), nil
	}
	return noneOf(parts), nil
}

// operators tells whether v is a document of operators, not one to be equal to.
func operators(v value) bool {
	if v.t != bson.TypeEmbeddedDocument {
		return false
	}
	it := elementsOf(v.b)
	e, ok := it.next()
	if !ok || len(e.name) == 0 || e.name[0] != '$' {
		return false
	}
	return string(e.name) != "$ref" && string(e.name) != "$id" && string(e.name) != "$db" // DBRef
}

// compileField compiles what a field is to be: operators, or a value.
func compileField(v value, depth int) (pred, error) {
	switch {
	case v.t == bson.TypeRegex:
		p, o := v.pattern()
		re, err := newRegex(string(p), string(o))
		return leaf{test: re}, err
	case v.t == bson.TypeUndefined:
		return nil, errors.New("nothing can be compared with undefined")
	case operators(v):
		return compileOperators(v, depth+1)
	}
	return leaf{test: order{"$eq", v}}, nil
}

func compileOperators(v value, depth int) (allPreds, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("the query is nested more than %d deep", maxDepth)
	}
	var all allPreds
	for it := elementsOf(v.b); ; {
		e, ok := it.next()
		if !ok {
			return all, nil
		}
		op := string(e.name)
		if !strings.HasPrefix(op, "$") {
			return nil, fmt.Errorf("%q stands among operators", op)
		}
		p, err := compileOperator(op, e.v, v, depth)
		if err != nil {
			return nil, err
		}
		if p != nil {
			all = append(all, p)
		}
	}
}

// compileOperator compiles one operator; the whole document is for $options.
func compileOperator(op string, v, whole value, depth int) (pred, error) {
	switch op {
	case "$eq", "$gt", "$gte", "$lt", "$lte":
		return compileOrder(op, v)
	case "$ne":
		if v.t == bson.TypeRegex {
			return nil, errors.New("$ne takes no regular expression; use $not")
		}
		p, err := compileOrder("$eq", v)
		return notPred{p}, err
	case "$in":
		return compileIn(op, v)
	case "$nin":
		p, err := compileIn(op, v)
		return notPred{p}, err
	case "$exists":
		if truth(v) {
			return leaf{test: exists{}}, nil
		}
		return notPred{leaf{test: exists{}}}, nil
	case "$type":
		return compileType(v)
	case "$not":
		return compileNot(v, depth)
	case "$regex", "$options":
		return compileRegex(op, whole)
	case "$size":
		n, ok := v.exact()
		if kind(v.t) != kindNumber || !ok || n < 0 {
			return nil, errors.New("$size wants a whole number from 0 on")
		}
		return leaf{size(n), true}, nil
	case "$all":
		return compileAll(v, depth)
	case "$elemMatch":
		return compileElem(v, depth)
	case "$mod":
		return compileMod(v)
	case "$comment":
		return nil, nil
	}
	return nil, unknown(op)
}
