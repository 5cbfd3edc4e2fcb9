package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Join says which documents of a flow are parents of others in a join field; the
// zero value says that there is none.
type Join struct {
	Field string
	// Parents holds relations by namespace, Children the collections of children.
	Parents  map[string]string
	Children []JoinChild
}

// JoinChild is a collection whose documents have parents.
type JoinChild struct {
	Namespace string
	// Name is the relation, Of the namespace of the parents, never empty.
	Name, Of string
	// Parent is the path that holds the _id of the parent.
	Parent string
}

// joinID is the id where a flow with a join names none.
const joinID = "{db}.{collection}:{_id}"

// IsJoin tells whether the flow writes a join field.
func (f *Flow) IsJoin() bool { return f.Join.Field != "" }

// joinField declares the join of a flow.
func joinField(f *Flow) field {
	return field{
		Name: "join", Doc: "Parents and children in one index, by a join field. See [joins.md](joins.md).",
		Into: section(func() []field { return joinSpec(&f.Join) }),
	}
}

func joinSpec(j *Join) []field {
	return []field{
		{
			Name: "field", Into: text(&j.Field), Example: "relation",
			Doc: "Name of the join field, at the top of the documents; one that they have is replaced.",
			Check: func() error {
				if strings.Contains(j.Field, ".") {
					return errors.New("wants a name without dots")
				}
				return checkPath(j.Field)
			},
		},
		{
			Name: "parents", Into: textMap(&j.Parents, checkParent), Example: "{shop.orders: order}",
			Doc: "The collections whose documents have children, and the name of their relation.",
		},
		{
			Name: "children", Into: sections(&j.Children, joinChildSpec),
			Example: "children: [{namespace: shop.lines, name: line, parent: order_id}]",
			Doc:     "The collections whose documents have a parent. Children of children can't be had.",
		},
	}
}

func joinChildSpec(c *JoinChild) []field {
	return []field{
		{
			Name: "namespace", Into: text(&c.Namespace), Required: true, Example: "shop.lines",
			Doc: "The collection, `db.collection`.", Check: func() error { return checkCollection(c.Namespace) },
		},
		{
			Name: "name", Into: text(&c.Name), Required: true, Example: "line",
			Doc: "Name of their relation.",
		},
		{
			Name: "of", Into: text(&c.Of), Example: "shop.orders",
			Doc: "The collection of their parents, one of `parents`; it may be left out if there is only one.",
		},
		{
			Name: "parent", Into: text(&c.Parent), Required: true, Example: "order_id",
			Doc:   "Dotted path of the field that holds the `_id` of the parent. A document without it is a dead letter.",
			Check: func() error { return checkPath(c.Parent) },
		},
	}
}

func checkParent(ns, name string) error {
	if name == "" {
		return errors.New("the name of the relation is empty")
	}
	return checkCollection(ns)
}

// crossJoin looks at what a join needs of its flow, and gives it an id.
func (d *decoder) crossJoin(f *Flow, path string) {
	at := path + ".join"
	j := &f.Join
	if _, given := d.places[at]; !given && !f.IsJoin() {
		return
	}
	fail := func(key, format string, args ...any) { d.fail(d.places[at], at+key, format, args...) }
	switch {
	case j.Field == "":
		fail(".field", "is missing, for example relation")
	case len(j.Parents) == 0:
		fail(".parents", "is missing, for example {shop.orders: order}")
	case len(j.Children) == 0:
		fail(".children", "is missing: without children there is nothing to join")
	}
	d.crossRelations(f, at)
	for i, ns := range f.Namespaces {
		_, parent := j.Parents[ns]
		child := slices.ContainsFunc(j.Children, func(c JoinChild) bool { return c.Namespace == ns })
		switch {
		case !isPlain(ns):
			fail("", "wants namespaces of the form db.collection, each a parent or a child")
		case parent == child:
			fail("", "each namespace of the flow has to be a parent or a child; %s is %s", d.shown(fmt.Sprintf("%s.namespaces[%d]", path, i), ns), map[bool]string{true: "both", false: "neither"}[parent])
		}
	}
	if f.Index == "" || IsTemplate(f.Index) {
		fail("", "wants a fixed index: parents and children lie in one")
	}
	if f.ID == "" && !f.IsStream() {
		f.ID = joinID
	}
	for _, one := range []string{"routing"} {
		if _, given := d.places[path+"."+one]; given {
			d.fail(d.places[path+"."+one], path+"."+one, "can't stand beside join: children lie on the shard of their parents, in an index")
		}
	}
	if slices.Contains(slices.Collect(namesMade(&f.Fields)), j.Field) {
		d.fail(d.places[path+".fields"], path+".fields", "makes a field %s, which is that of join", d.shown(at+".field", j.Field))
	}
}

// crossRelations looks at the children of a join.
func (d *decoder) crossRelations(f *Flow, at string) {
	j := &f.Join
	names := map[string]bool{}
	for _, name := range j.Parents {
		names[name] = true
	}
	for _, ns := range slices.Sorted(maps.Keys(j.Parents)) {
		if !slices.Contains(f.Namespaces, ns) {
			d.fail(d.places[at], at+".parents", "this flow doesn't follow %s", ns)
		}
	}
	seen := map[string]bool{}
	for i := range j.Children {
		c := &j.Children[i]
		path := fmt.Sprintf("%s.children[%d]", at, i)
		if c.Of == "" && len(j.Parents) == 1 {
			for ns := range j.Parents {
				c.Of = ns
			}
		}
		switch {
		case !slices.Contains(f.Namespaces, c.Namespace):
			d.fail(d.places[path], path+".namespace", "this flow doesn't follow %s", d.shown(path+".namespace", c.Namespace))
		case seen[c.Namespace]:
			d.fail(d.places[path], path+".namespace", "%s is there twice", d.shown(path+".namespace", c.Namespace))
		case j.Parents[c.Of] == "":
			d.fail(d.places[path], path+".of", "wants one of parents")
		case names[c.Name]:
			d.fail(d.places[path], path+".name", "%s is the relation of parents", d.shown(path+".name", c.Name))
		}
		seen[c.Namespace] = true
	}
}
