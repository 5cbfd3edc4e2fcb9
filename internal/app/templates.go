package app

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/search"
	"sluice/internal/transform"
)

// templatesOf compiles the templates of a flow; nil without any.
func templatesOf(f *config.Flow) (*transform.Places, error) {
	p, err := transform.CompilePlaces(transform.Templates{Index: f.Index, ID: f.ID, Routing: f.Routing, Join: joinOf(f)})
	if err != nil {
		return nil, &flow.Error{Op: "read the templates of flow", Object: f.Name, Class: flow.Config, Err: err, Hint: "docs/places.md tells what a template may hold"}
	}
	return p, nil
}

// placementOf is what the sink is told of templates; nil where each namespace has
// one index, and keys are ids.
func placementOf(p *transform.Places) *search.Placement {
	if p == nil || p.OnlyNames() {
		return nil
	}
	shared, _ := p.NamesNamespace()
	out := &search.Placement{
		Shared: shared, Text: p.Text(),
		Of: func(ns flow.Namespace, id bson.RawValue, doc bson.Raw) (search.Place, error) {
			at, err := p.Of(ns, id, doc)
			return search.Place{Index: at.Index, ID: at.ID, Routing: at.Routing, Field: at.Field}, err
		},
	}
	if p.Scattered() {
		out.Prefix = p.Prefix
	}
	if j := p.Join(); j != nil {
		out.Field, out.Mapping = j.Field, j.Mapping()
	}
	return out
}

// joinOf is the join of a flow; nil for none.
func joinOf(f *config.Flow) *transform.Join {
	if !f.IsJoin() {
		return nil
	}
	j := &transform.Join{Field: f.Join.Field, Parents: map[flow.Namespace]string{}, Children: map[flow.Namespace]transform.Child{}}
	for text, name := range f.Join.Parents {
		ns, _ := flow.ParseNamespace(text) // checked when the configuration was read
		j.Parents[ns] = name
	}
	for _, c := range f.Join.Children {
		ns, _ := flow.ParseNamespace(c.Namespace)
		of, _ := flow.ParseNamespace(c.Of)
		j.Children[ns] = transform.Child{Relation: c.Name, Of: of, Parent: c.Parent}
	}
	return j
}

// streamOf is what the sink is told of data streams; nil where documents go to indexes.
func streamOf(f *config.Flow) *search.DataStream {
	if !f.IsStream() {
		return nil
	}
	return &search.DataStream{Time: transform.NewTimestamp(f.DataStream.Timestamp).Of}
}

// judgeTimes tells how many of some documents have no time for a data stream.
func (d *doctor) judgeTimes(cfg *config.Flow, ns flow.Namespace, docs []bson.Raw) {
	s := streamOf(cfg)
	if s == nil {
		return
	}
	var first error
	bad := 0
	for _, doc := range docs {
		if _, err := s.Time(doc.Lookup("_id"), doc); err != nil {
			if bad++; first == nil {
				first = err
			}
		}
	}
	if bad > 0 {
		d.f.Add(flow.FindingWarning, "search.timestamp", ns.String(), fmt.Sprintf("%s: %d of %d documents looked at have no time", ns, bad, len(docs)), first.Error(),
			"they will lie in the dead letters; name another field in data_stream.timestamp, or leave them out (where)")
	}
}

// indexOf is the name of the index of ns, or how the names of its indexes begin;
// alone says that no other namespace may have it.
func indexOf(cfg *config.Flow, p *transform.Places, ns flow.Namespace) (index string, alone bool, err error) {
	if p == nil || !p.IndexNamed() {
		index, err = config.IndexName(*cfg, ns.DB, ns.Coll)
	} else if index = p.Prefix(ns); !p.Scattered() {
		err = config.CheckIndexName(index)
	}
	if err != nil {
		return "", false, &flow.Error{Op: "find the index of", Object: ns.String(), Class: flow.Config, Err: err}
	}
	if p == nil {
		return index, true, nil
	}
	shared, _ := p.NamesNamespace()
	return index, !shared && !p.Scattered(), nil
}

// strictly tells whether nothing of a document stays in the index when it is gone:
// else what the stream tells of its former place is not enough.
func strictly(on config.On) bool {
	return on.Delete == config.DeleteRemove && on.Archive == config.ArchiveRemove && on.Drop != config.DropIgnore
}

// trust tells the sink which namespaces are not being copied: their documents lie
// where their last change has put them.
func (f *flowRun) trust(ctx context.Context) error {
	if placementOf(f.templates) == nil {
		return nil
	}
	for _, ns := range f.source.Progress().Namespaces {
		if ns.Phase != "following" {
			continue
		}
		if err := f.sink.Trust(ctx, ns.NS, false); err != nil {
			return fmt.Errorf("look at the indexes of %s: %w", ns.NS, err)
		}
	}
	return nil
}

// judgePlaces tells how many of some documents have no place, and takes the index of
// one that has for the one that is looked at.
func (d *doctor) judgePlaces(p *transform.Places, ns flow.Namespace, docs []bson.Raw, r *search.Route) {
	const check = "search.places"
	if p == nil || len(docs) == 0 {
		return
	}
	names := map[string]bool{}
	var first error
	bad := 0
	for _, doc := range docs {
		at, err := p.Of(ns, doc.Lookup("_id"), doc)
		if err != nil {
			if bad++; first == nil {
				first = err
			}
			continue
		}
		if names[at.Index] = true; p.Scattered() {
			r.Index = at.Index
		}
	}
	if bad > 0 {
		d.f.Add(flow.FindingWarning, check, ns.String(), fmt.Sprintf("%s: %d of %d documents looked at have no place", ns, bad, len(docs)), first.Error(),
			"they will lie in the dead letters; give the template a default ({field|default}), or leave them out (where)")
	}
	if p.Scattered() && len(docs) >= sampleDocs && len(names)*4 > len(docs) {
		d.f.Add(flow.FindingWarning, check, ns.String(), fmt.Sprintf("%s: %d documents looked at would go to %d indexes", ns, len(docs), len(names)),
			"each index costs memory and shards (cluster.max_shards_per_node)", "choose a field with fewer values for the index; routing keeps the documents of a tenant together too")
	}
}
