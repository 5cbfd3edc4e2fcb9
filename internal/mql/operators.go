package mql

import (
	"errors"
	"fmt"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func compileOrder(op string, v value) (pred, error) {
	if v.t == bson.TypeUndefined {
		return nil, errors.New("nothing can be compared with undefined")
	}
	if v.t == bson.TypeRegex && op != "$eq" {
		return nil, fmt.Errorf("%s takes no regular expression", op)
	}
	return leaf{test: order{op, v}}, nil
}

// truth is how MongoDB reads the operand of $exists.
func truth(v value) bool {
	switch {
	case v.t == bson.TypeBoolean:
		return len(v.b) > 0 && v.b[0] != 0
	case kind(v.t) == kindNumber:
		n, ok := v.exact()
		return !ok || n != 0
	}
	return v.t != bson.TypeNull && v.t != bson.TypeUndefined
}

// list returns the values of an array.
func list(op string, v value) ([]value, error) {
	if v.t != bson.TypeArray {
		return nil, fmt.Errorf("%s wants an array", op)
	}
	var all []value
	eachOf(v, func(c value) bool {
		all = append(all, c)
		return false
	})
	return all, nil
}

func compileIn(op string, v value) (pred, error) {
	all, err := list(op, v)
	if err != nil {
		return nil, err
	}
	s := inSet{keys: make(map[string]struct{}, len(all))}
	for _, c := range all {
		switch {
		case c.t == bson.TypeRegex:
			p, o := c.pattern()
			re, err := newRegex(string(p), string(o))
			if err != nil {
				return nil, err
			}
			s.regexes = append(s.regexes, re)
			continue
		case c.t == bson.TypeUndefined:
			return nil, errors.New("nothing can be compared with undefined")
		case operators(c):
			return nil, fmt.Errorf("%s takes values, no operators", op)
		case c.t == bson.TypeNull:
			s.null = true
		}
		s.keys[string(appendKey(nil, c))] = struct{}{}
	}
	return leaf{test: s}, nil
}

func compileType(v value) (pred, error) {
	all := []value{v}
	if v.t == bson.TypeArray {
		all, _ = list("$type", v)
	}
	if len(all) == 0 {
		return nil, errors.New("$type wants at least one type")
	}
	s := typeSet{}
	for _, c := range all {
		name := string(c.text())
		if kind(c.t) == kindNumber {
			n, ok := c.exact()
			if !ok {
				return nil, errors.New("$type wants a whole number or a name")
			}
			name = strconv.FormatInt(n, 10)
		} else if c.t != bson.TypeString {
			return nil, errors.New("$type wants a whole number or a name")
		}
		types, ok := typesOf(name)
		if !ok {
			return nil, fmt.Errorf("$type: %q is no type of BSON", name)
		}
		for _, t := range types {
			s[t] = struct{}{}
		}
	}
	return leaf{test: s}, nil
}

func compileNot(v value, depth int) (pred, error) {
	if v.t != bson.TypeRegex && !operators(v) {
		return nil, errors.New("$not wants operators or a regular expression")
	}
	p, err := compileField(v, depth)
	return notPred{p}, err
}

// compileRegex compiles $regex with the $options beside it, which may stand
// before it; nothing comes of $options itself.
func compileRegex(op string, whole value) (pred, error) {
	re, options := field(whole.b, "$regex"), field(whole.b, "$options")
	switch {
	case re.missing():
		return nil, errors.New("$options wants a $regex beside it")
	case op == "$options":
		return nil, nil
	case re.t != bson.TypeString && re.t != bson.TypeRegex:
		return nil, errors.New("$regex wants a string or a regular expression")
	case !options.missing() && options.t != bson.TypeString:
		return nil, errors.New("$options wants a string")
	}
	pattern, flags := string(re.text()), string(options.text())
	if re.t == bson.TypeRegex {
		p, o := re.pattern()
		if len(o) > 0 && !options.missing() {
			return nil, errors.New("options are set both in $regex and in $options")
		}
		pattern, flags = string(p), flags+string(o)
	}
	t, err := newRegex(pattern, flags)
	return leaf{test: t}, err
}

func compileAll(v value, depth int) (pred, error) {
	all, err := list("$all", v)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return leaf{test: never{}}, nil
	}
	var preds allPreds
	elems := 0
	for _, c := range all {
		if operators(c) {
			if field(c.b, "$elemMatch").missing() {
				return nil, errors.New("$all takes values or $elemMatch, no other operators")
			}
			elems++
		}
		p, err := compileField(c, depth)
		if err != nil {
			return nil, err
		}
		preds = append(preds, p)
	}
	if elems > 0 && elems < len(all) {
		return nil, errors.New("$all takes either values or $elemMatch, not both")
	}
	return preds, nil
}

func compileElem(v value, depth int) (pred, error) {
	if v.t != bson.TypeEmbeddedDocument {
		return nil, errors.New("$elemMatch wants a document")
	}
	if operators(v) {
		it := elementsOf(v.b)
		switch e, _ := it.next(); string(e.name) {
		case "$and", "$or", "$nor", "$expr", "$where":
		default:
			p, err := compileOperators(v, depth+1)
			return leaf{elemValue{p}, true}, err
		}
	}
	q, err := compileQuery(v.b, depth+1)
	return leaf{elemObject{q}, true}, err
}

func compileMod(v value) (pred, error) {
	all, err := list("$mod", v)
	if err != nil || len(all) != 2 || kind(all[0].t) != kindNumber || kind(all[1].t) != kindNumber {
		return nil, errors.New("$mod wants an array of two numbers, divisor and remainder")
	}
	by, ok1 := all[0].whole()
	rest, ok2 := all[1].whole()
	if !ok1 || !ok2 || by == 0 {
		return nil, errors.New("$mod wants a divisor that is not 0, and a remainder, that fit 64 bits")
	}
	return leaf{test: modulo{by, rest}}, nil
}
