package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// filesSuffix ends the names of collections that hold the documents of files in GridFS.
const filesSuffix = ".files"

// AttachFiles says which documents are those of files in GridFS, and how their
// content gets into the index.
type AttachFiles struct {
	// Namespaces are patterns; of what they cover, only names that end in .files
	// count. Empty: nothing is attached.
	Namespaces []string
	// MaxSize is the length above which the content is left out; 0: no bound.
	MaxSize Size
	// Downloaders is how many files are read at one time.
	Downloaders int
	// Pipeline is the ingest pipeline of these documents, over Flow.Pipeline.
	Pipeline string
	// PutPipeline: make it at the start if it is not there.
	PutPipeline bool
	// Field gets the content as base64.
	Field string
}

// On tells whether the content of files is attached at all.
func (a *AttachFiles) On() bool { return len(a.Namespaces) > 0 }

// Fits tells whether the documents of the namespace "db.collection" are files
// whose content is attached.
func (a *AttachFiles) Fits(ns string) bool {
	return isFiles(ns) && slices.ContainsFunc(a.Namespaces, func(p string) bool { return fits(p, ns) })
}

func isFiles(ns string) bool {
	_, coll, _ := strings.Cut(ns, ".")
	return len(coll) > len(filesSuffix) && strings.HasSuffix(coll, filesSuffix)
}

// filesField declares how files are attached.
func filesField(a *AttachFiles) field {
	return field{
		Name: "files", Doc: "Files of GridFS: their content becomes part of the indexed document, and the ingest pipeline reads text out of it. See [files.md](files.md).",
		Into: section(func() []field { return filesSpec(a) }),
	}
}

func filesSpec(a *AttachFiles) []field {
	return []field{
		{
			Name: "namespaces", Into: texts(&a.Namespaces, checkFiles), Example: "[shop.fs.files]",
			Doc: "Collections with the documents of files, `db.bucket.files`, written as in `namespaces` of the flow, which has to follow them. " +
				"A pattern counts for the collections whose names end in `.files`. The content is read from `db.bucket.chunks`, which need not be followed.",
		},
		{
			Name: "max_size", When: a.On, WhenDoc: "namespaces", Into: size(&a.MaxSize, 0, 1<<40), Default: "0", Example: "20MB",
			Doc: "A file that is larger is not read; its document is indexed with an empty content. `0` is no bound but what the engine takes " +
				"in one request: what is above that is indexed without content, and is a dead letter.",
		},
		{
			Name: "downloaders", When: a.On, WhenDoc: "namespaces", Into: number(&a.Downloaders, 1, 256), Default: "10", Example: "4",
			Doc: "Files that are read at one time.",
		},
		{
			Name: "pipeline", When: a.On, WhenDoc: "namespaces", Into: text(&a.Pipeline), Default: "attachment", Example: "attachment",
			Doc:   "Ingest pipeline that the documents of files go through, instead of any other.",
			Check: func() error { return checkPipeline(a.Pipeline) },
		},
		{
			Name: "put_pipeline", When: a.On, WhenDoc: "namespaces", Into: toggle(&a.PutPipeline), Default: "true",
			Doc: "Make the pipeline at the start if there is none of that name: it needs the plug-in `ingest-attachment`. One that is there is never changed.",
		},
		{
			Name: "field", When: a.On, WhenDoc: "namespaces", Into: text(&a.Field), Default: "file", Example: "file",
			Doc:   "Field that gets the content as base64, in the place of a field of that name.",
			Check: func() error { return checkFilesField(a.Field) },
		},
	}
}

// checkFiles wants patterns that may cover documents of files.
func checkFiles(s string) error {
	if err := checkPattern(s); err != nil {
		return err
	}
	if isPlain(s) && !isFiles(s) {
		return errors.New("wants a collection with the documents of files, db.bucket.files")
	}
	return nil
}

// checkFilesField wants a name that needs no escape, and is none that we or the
// engines give a meaning.
func checkFilesField(s string) error {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
	}
	switch {
	case s == "" || strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }):
		return errors.New("wants a name of letters, digits, - and _")
	case strings.HasPrefix(s, "_") || strings.HasPrefix(s, "sluice_") || s == "archived" || s == "deleted" || s == "attachment":
		return errors.New("that name has a meaning already")
	}
	return nil
}

// crossFiles looks at what files of GridFS need of the flow.
func (d *decoder) crossFiles(f *Flow, path string) {
	path += ".files"
	if f.Files.On() && f.Templated() {
		d.fail(d.places[path], path, "can't stand beside a template of index, id or routing: "+
			"a pipeline may send documents elsewhere, where they are not found when they move")
	}
	for i, ns := range f.Files.Namespaces {
		at := fmt.Sprintf("%s.namespaces[%d]", path, i)
		if isPlain(ns) && !f.Follows(ns) {
			d.fail(d.places[at], at, "this flow doesn't follow %s%s", d.shown(at, ns), didYouMean(ns, f.Namespaces))
		}
	}
}
