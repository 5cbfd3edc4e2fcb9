package archivedb

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
)

// choice is the index that a read uses.
type choice struct {
	name string // "" if none fits
	// backwards: it holds the field in descending order.
	backwards bool
	// byID: it gives the order (field, _id).
	byID bool
	// fields is how many it has.
	fields int
}

// choose picks the index to read sel with: it starts with the age field, holds
// every document that is old, and gives the order (age, _id) if one does.
// collation is the default one of the collection, nil for none.
func choose(sel cold.Selection, indexes []bson.Raw, collation bson.Raw) choice {
	var fit []choice
	for _, ix := range indexes {
		if c, ok := usable(sel, ix, collation); ok {
			fit = append(fit, c)
		}
	}
	if len(fit) == 0 {
		return choice{}
	}
	return slices.MinFunc(fit, func(a, b choice) int {
		if a.byID != b.byID {
			if a.byID {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.fields, b.fields), strings.Compare(a.name, b.name))
	})
}

func usable(sel cold.Selection, ix, collation bson.Raw) (choice, bool) {
	keys, ok := ix.Lookup("key").DocumentOK()
	if !ok {
		return choice{}, false
	}
	elems, err := keys.Elements()
	if err != nil || len(elems) == 0 || elems[0].Key() != sel.Field {
		return choice{}, false
	}
	first, ok := direction(elems[0].Value())
	if !ok {
		return choice{}, false // hashed, text, 2dsphere
	}
	for _, e := range elems {
		if _, ok := direction(e.Value()); !ok {
			return choice{}, false
		}
	}
	if hidden, _ := ix.Lookup("hidden").BooleanOK(); hidden || hides(sel, ix) {
		return choice{}, false
	}
	own, _ := ix.Lookup("collation").DocumentOK()
	if !bytes.Equal(own, collation) {
		return choice{}, false
	}
	c := choice{backwards: first < 0, fields: len(elems)}
	c.name, _ = ix.Lookup("name").StringValueOK()
	switch {
	case sel.Field == "_id":
		c.byID = true
	case len(elems) > 1 && elems[1].Key() == "_id":
		second, _ := direction(elems[1].Value())
		c.byID = second == first
	}
	return c, c.name != ""
}

// hides tells whether a partial index leaves out documents that may be old. A
// sparse one does not: who is old has the field.
func hides(sel cold.Selection, ix bson.Raw) bool {
	partial, ok := ix.Lookup("partialFilterExpression").DocumentOK()
	if !ok {
		return false
	}
	elems, err := partial.Elements()
	if err != nil || len(elems) != 1 || elems[0].Key() != sel.Field {
		return true
	}
	cond, _ := elems[0].Value().DocumentOK()
	ops, _ := cond.Elements()
	if len(ops) != 1 || ops[0].Key() != "$exists" {
		return true
	}
	return !truthy(ops[0].Value())
}

func truthy(v bson.RawValue) bool {
	if b, ok := v.BooleanOK(); ok {
		return b
	}
	n, ok := v.AsInt64OK()
	return ok && n != 0
}

// direction is 1 or -1 for a plain key.
func direction(v bson.RawValue) (int, bool) {
	n, ok := v.AsFloat64OK()
	if !ok || n == 0 {
		return 0, false
	}
	if n < 0 {
		return -1, true
	}
	return 1, true
}

// ttlOn names the TTL indexes on the field.
func ttlOn(field string, indexes []bson.Raw) []string {
	var names []string
	for _, ix := range indexes {
		if ix.Lookup("expireAfterSeconds").Type == 0 {
			continue
		}
		if keys, ok := ix.Lookup("key").DocumentOK(); ok && keys.Lookup(field).Type != 0 {
			name, _ := ix.Lookup("name").StringValueOK()
			names = append(names, name)
		}
	}
	return names
}
