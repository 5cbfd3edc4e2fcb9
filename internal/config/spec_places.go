package config

import (
	"errors"
	"strings"
)

// placesSpec declares where documents lie. The templates themselves are read where
// they are compiled.
func placesSpec(f *Flow) []field {
	return []field{
		{
			Name: "index", Into: text(&f.Index), Example: "orders", Flag: "--index",
			Doc: "Name to search under, for a flow of exactly one plain namespace; or a template, such as `orders-{createdAt:yyyy.MM}` or " +
				"`{db}-{collection}-{tenant}`: each document goes to the index that its fields name, and moves when they change (docs/places.md). " +
				"Without it: `db.collection` in lower case, with `_` for what a name can't hold.",
			Check: func() error {
				if IsTemplate(f.Index) {
					return nil
				}
				return CheckIndexName(f.Index)
			},
		},
		{
			Name: "id", Into: text(&f.ID), Example: "'{tenant}:{_id}'",
			Doc: "Template of the document's id in the index; `{_id}` has to stand in it. Without it: the text of `_id`.",
			Check: func() error {
				if f.ID != "" && !strings.Contains(f.ID, "{_id}") {
					return errors.New("{_id} has to stand in it: without it two documents could get one id, and each would overwrite the other")
				}
				return nil
			},
		},
		{
			Name: "routing", Into: text(&f.Routing), Example: "'{tenant}'",
			Doc: "Template of what chooses the shard. Without it, the id does.",
			Check: func() error {
				if f.Routing != "" && !IsTemplate(f.Routing) {
					return errors.New("wants a template, such as {tenant}")
				}
				return nil
			},
		},
		{
			Name: "pre_images", Into: toggle(&f.PreImages), Default: "true",
			Doc: "Only with templates: take from the change stream what a document was before, where its collection has " +
				"`changeStreamPreAndPostImages`, so that its former place need not be searched for.",
		},
	}
}

// IsTemplate tells whether an index, an id or a routing is made anew for each
// document, or each namespace.
func IsTemplate(s string) bool { return strings.ContainsAny(s, "{}") }

// Templated tells whether the flow has any template of a place.
func (f *Flow) Templated() bool { return IsTemplate(f.Index) || f.ID != "" || f.Routing != "" }

// crossPlaces looks at what templates have to hold for this flow.
func (d *decoder) crossPlaces(f *Flow, path string) {
	if !f.Templated() {
		return
	}
	if f.Pipeline != "" {
		d.fail(d.places[path+".pipeline"], path+".pipeline", "can't stand beside a template of index, id or routing: "+
			"a pipeline may send documents elsewhere, where they are not found when they move")
	}
	if !IsTemplate(f.Index) || len(f.Namespaces) == 1 && isPlain(f.Namespaces[0]) {
		return
	}
	both := func(s string) bool { return strings.Contains(s, "{db}") && strings.Contains(s, "{collection}") }
	if !both(f.Index) && !both(f.ID) {
		d.fail(d.places[path+".index"], path+".index", "several collections may come to one index, where the same _id of two of them would be one document: "+
			"put {db} and {collection} into index, or into id")
	}
}
