package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Related says that documents of one collection show documents of another.
type Related struct {
	// When is the collection whose changes count, Rewrite the one whose documents
	// are written again: both are "db.collection".
	When, Rewrite string
	// Match has one entry: a field of Rewrite, and the field of When that it holds.
	Match map[string]string
}

// Field returns the dotted path in Rewrite that holds the key of a document of When.
func (r *Related) Field() string {
	for field := range r.Match {
		return field
	}
	return ""
}

// relatedSpec declares the fields of one relation.
func relatedSpec(r *Related) []field {
	return []field{
		{
			Name: "when", Into: text(&r.When), Required: true, Example: "shop.customers",
			Doc: "The collection, `db.collection`, whose changes and deletes count. The flow need not follow it: " +
				"then it is watched, and nothing of it is copied or indexed.",
			Check: func() error { return checkCollection(r.When) },
		},
		{
			Name: "rewrite", Into: text(&r.Rewrite), Required: true, Example: "shop.orders",
			Doc:   "The collection, `db.collection`, whose documents show those of `when`. The flow has to follow it.",
			Check: func() error { return checkCollection(r.Rewrite) },
		},
		{
			Name: "match", Into: textMap(&r.Match, checkMatch), Required: true, Example: "{customer_id: _id}",
			Doc: "Which documents show a changed one: a dotted path of `rewrite`, which may hold an array, and `_id`, the key of `when` that it holds. " +
				"It needs an index that begins with the path; best is `{customer_id: 1, _id: 1}`.",
			Check: func() error {
				if len(r.Match) > 1 {
					return errors.New("takes one field; for more, write more relations")
				}
				return nil
			},
		},
	}
}

// checkCollection wants the name of one collection.
func checkCollection(s string) error {
	if err := checkPattern(s); err != nil {
		return err
	}
	if !isPlain(s) {
		return errors.New("wants one collection, db.collection")
	}
	return nil
}

func checkMatch(from, to string) error {
	for part := range strings.SplitSeq(from, ".") {
		if part == "" || strings.HasPrefix(part, "$") {
			return errors.New("wants a path such as customer.id")
		}
	}
	if to != "_id" {
		return errors.New("only _id can be matched: a change event has the key of the document, also when it is deleted, " +
			"and no other field of how it was")
	}
	return nil
}

// crossRelated refuses relations that lead nowhere, or in a circle, which would
// write the same documents again without end.
func (d *decoder) crossRelated(f *Flow, path string) {
	shown, words := map[string][]string{}, map[string]string{}
	for i := range f.Related {
		r := &f.Related[i]
		at := fmt.Sprintf("%s.related[%d]", path, i)
		if r.When == "" || r.Rewrite == "" {
			continue // that is an error already
		}
		if !f.Follows(r.Rewrite) {
			d.fail(d.places[at+".rewrite"], at+".rewrite", "this flow doesn't follow %s", d.shown(at+".rewrite", r.Rewrite))
		}
		for j := range i {
			if o := &f.Related[j]; o.When == r.When && o.Rewrite == r.Rewrite && o.Field() == r.Field() {
				d.fail(d.places[at], at, "is the same as related[%d]", j)
			}
		}
		words[r.When], words[r.Rewrite] = d.shown(at+".when", r.When), d.shown(at+".rewrite", r.Rewrite)
		circle := findCircle(shown, r.Rewrite, r.When)
		if circle == nil {
			shown[r.When] = append(shown[r.When], r.Rewrite)
			continue
		}
		text := words[r.When]
		for _, ns := range circle {
			text += " → " + words[ns]
		}
		d.fail(d.places[at], at, "goes round in a circle: %s", text)
	}
}

// findCircle returns the way from one namespace to another, both ends included;
// nil if there is none.
func findCircle(shown map[string][]string, from, to string) []string {
	if from == to {
		return []string{to}
	}
	for _, next := range slices.Sorted(slices.Values(shown[from])) {
		if way := findCircle(shown, next, to); way != nil {
			return append([]string{from}, way...)
		}
	}
	return nil
}
