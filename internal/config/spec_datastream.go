package config

import (
	"errors"
	"slices"
)

// DataStream says that documents go to data streams, which are only added to; the
// zero value says that they do not.
type DataStream struct {
	// Name is that of the data stream, for a flow of one plain namespace; empty: made
	// from the namespace, as that of an index.
	Name string
	// Timestamp is the path of the field that becomes @timestamp; never empty in one
	// that is used.
	Timestamp string
}

// IsStream tells whether the flow writes to data streams.
func (f *Flow) IsStream() bool { return f.DataStream.Timestamp != "" }

// dataStreamSpec declares where documents go that are only ever added.
func dataStreamSpec(s *DataStream) []field {
	return []field{
		{
			Name: "name", Into: text(&s.Name), Example: "logs-shop-default",
			Doc: "Name of the data stream, for a flow of exactly one plain namespace. Without it: `index_prefix` and `db.collection` in lower case, " +
				"with `_` for what a name can't hold.",
			Check: func() error {
				if IsTemplate(s.Name) {
					return errors.New("takes no template: a document stays in the data stream that it came to, whatever becomes of its fields")
				}
				return CheckIndexName(s.Name)
			},
		},
		{
			Name: "timestamp", Into: text(&s.Timestamp), Example: "createdAt",
			Doc: "Dotted path of the date, or of the ObjectId, that becomes `@timestamp`; `_id` for the time in an ObjectId. " +
				"A document without it is a dead letter.",
			Check: func() error {
				if s.Timestamp == "_id" {
					return nil
				}
				return checkPath(s.Timestamp)
			},
		},
	}
}

// crossDataStream looks at what can't stand beside a data stream, and sets the policies
// that it leaves no choice of.
func (d *decoder) crossDataStream(f *Flow, path string) {
	at := path + ".data_stream"
	if _, given := d.places[at]; !given && f.DataStream == (DataStream{}) {
		return
	}
	if f.DataStream.Timestamp == "" {
		d.fail(d.places[at], at+".timestamp", "is missing, for example createdAt")
	}
	if f.DataStream.Name != "" && len(f.Namespaces) > 0 && (len(f.Namespaces) != 1 || !isPlain(f.Namespaces[0])) {
		d.fail(d.places[at+".name"], at+".name", "only for a flow of exactly one plain namespace; use index_prefix, or one flow per namespace")
	}
	if f.DataStream.Name != "" && f.IndexPrefix != "" {
		d.fail(d.places[path+".index_prefix"], path+".index_prefix", "has no effect beside data_stream.name; remove one of them")
	}
	for _, one := range []struct {
		key   string
		given bool
		why   string
	}{
		{"index", f.Index != "", "the name of a data stream is data_stream.name"},
		{"id", f.ID != "", "a data stream can't be searched for what moved: its documents have the text of _id as id"},
		{"routing", f.Routing != "", "data streams take none"},
		{"join", f.IsJoin(), "a document can't move to another parent there"},
		{"related", len(f.Related) > 0, "documents of a data stream are not written again"},
		{"files", f.Files.On(), "the document of a file is written again when its content has come"},
		{"indexes", len(f.Indexes) > 0, "the name of a data stream is data_stream.name"},
		{"profile", f.Profile == ProfileMonstache, "Monstache has no data streams"},
		{"write", f.Write == WriteUpdate, "documents of a data stream are not written again"},
	} {
		if one.given {
			d.fail(d.places[path+"."+one.key], path+"."+one.key, "can't stand beside data_stream: %s", one.why)
		}
	}
	d.streamPolicies(&f.On, path+".on")
	for _, target := range slices.Sorted(namesMade(&f.Fields)) {
		if target == "@timestamp" {
			d.fail(d.places[path+".fields"], path+".fields", "makes a field @timestamp, which data_stream.timestamp makes")
		}
	}
}

// namesMade are the paths that fields are given by rename, set and copy.
func namesMade(f *Fields) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, to := range f.Rename {
			if !yield(to) {
				return
			}
		}
		for _, to := range f.Copy {
			if !yield(to) {
				return
			}
		}
		for to := range f.Set {
			if !yield(to) {
				return
			}
		}
	}
}

// streamPolicies makes policies of a flow to data streams what they can be.
func (d *decoder) streamPolicies(on *On, path string) {
	const why = "a data stream is only added to, so its documents stay: %s, or leave the line out"
	if _, given := d.places[path+".delete"]; given && on.Delete != DeleteKeep {
		d.fail(d.places[path+".delete"], path+".delete", why, "keep")
	}
	if _, given := d.places[path+".archive"]; given && on.Archive != ArchiveKeep {
		d.fail(d.places[path+".archive"], path+".archive", why, "keep")
	}
	if _, given := d.places[path+".drop"]; given && on.Drop == DropDocuments {
		d.fail(d.places[path+".drop"], path+".drop", why, "ignore, or delete_index for all of it")
	} else if !given {
		on.Drop = DropIgnore
	}
	on.Delete, on.Archive = DeleteKeep, ArchiveKeep
}
