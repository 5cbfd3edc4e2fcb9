package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"sluice/internal/archive/catalogue"
	"sluice/internal/archive/foreign"
	"sluice/internal/flow"
	"sluice/internal/objstore"
)

// ForeignPlace is where archives lie that go-chive itself wrote, and which of
// them are asked for.
type ForeignPlace struct {
	// URL is s3://bucket/prefix or file:///directory.
	URL string
	// Namespace is "db.collection"; the objects' names tell the collection alone.
	// "" is all.
	Namespace string
	// Object is the key of the only object that is asked for; "" is all.
	Object string
	// SkipDamaged goes on without what is damaged; else it is an error.
	SkipDamaged bool
	// Thaw asks for objects in a cold class to be made readable.
	Thaw bool
}

// What is said of such archives.
type (
	// ForeignObject is a file that go-chive uploaded.
	ForeignObject = foreign.Object
	// ForeignChecked is what was found in one that was read from end to end.
	ForeignChecked = foreign.Checked
	// ForeignSummary is of all that were.
	ForeignSummary = foreign.Summary
	// ForeignFault is what is damaged.
	ForeignFault = foreign.Fault
)

// foreignStock is a place that is open, with what is asked for of it.
type foreignStock struct {
	store   objstore.Store
	name    string
	ns      flow.Namespace
	objects []foreign.Object
	others  int
}

// close releases the store. All that was asked for has been read.
func (s *foreignStock) close() { _ = closePlace(s.store) }

// openForeign opens a place and lists it.
func (o *ArchiveOptions) openForeign(ctx context.Context, p ForeignPlace) (*foreignStock, error) {
	s := &foreignStock{name: objstore.Name(p.URL)}
	if p.Namespace != "" {
		var ok bool
		if s.ns, ok = flow.ParseNamespace(p.Namespace); !ok {
			return nil, &flow.Error{Op: "choose", Object: p.Namespace, Class: flow.Config, Err: errors.New("it is no db.collection")}
		}
	}
	// To open a directory makes it, and one that is only read is there.
	if u, err := url.Parse(p.URL); err == nil && u.Scheme == "file" {
		if _, err := os.Stat(filepath.FromSlash(u.Path)); err != nil {
			return nil, &flow.Error{Op: "open store", Object: s.name, Class: flow.Config, Err: err}
		}
	}
	var err error
	if s.store, err = openPlace(ctx, o.Config, p.URL); err != nil {
		return nil, err
	}
	if s.objects, s.others, err = foreign.List(ctx, s.store, foreign.Which{Collection: s.ns.Coll, Key: p.Object}); err != nil {
		s.close()
		return nil, err
	}
	if p.Thaw {
		if err := foreign.Thaw(ctx, s.store, s.objects); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

// some refuses a place that holds nothing of what is asked for.
func (s *foreignStock) some(p ForeignPlace) error {
	if len(s.objects) > 0 {
		return nil
	}
	what := "no object COLLECTION_archive_DATE_TIME.tar.gz"
	switch {
	case p.Object != "":
		what = "no object " + p.Object
	case s.ns.Coll != "":
		what = "no object " + s.ns.Coll + "_archive_DATE_TIME.tar.gz"
	}
	return &flow.Error{
		Op: "look for archives of go-chive in", Object: s.name, Class: flow.Config, Err: fmt.Errorf("there is %s, and %d others", what, s.others),
		Hint: "The URL is that of go-chive's -s3-bucket-uri with s3:// before it; sluice archive ls --from-gochive URL lists what is there.",
	}
}

// collections are those that the objects' names tell.
func (s *foreignStock) collections() []string {
	var all []string
	for i := range s.objects {
		if c := s.objects[i].Collection; !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	return all
}

// choose finds the newest versions of what is asked for.
func (s *foreignStock) choose(ctx context.Context, p ForeignPlace, w ArchiveWhich, versions bool) (*foreign.Chosen, error) {
	want, err := catalogue.Want(catalogue.Query{}, w.IDs, w.Query)
	if err != nil {
		return nil, err
	}
	if err := s.some(p); err != nil {
		return nil, err
	}
	return foreign.Choose(ctx, foreign.Query{Store: s.store, Objects: s.objects, Want: want, Versions: versions, SkipDamaged: p.SkipDamaged})
}

// ForeignList returns the objects, the oldest first, without reading them, and how
// many others lie there.
func ForeignList(ctx context.Context, o ArchiveOptions, p ForeignPlace) (objects []ForeignObject, others int, err error) {
	s, err := o.openForeign(ctx, p)
	if err != nil {
		return nil, 0, err
	}
	defer s.close()
	return s.objects, s.others, nil
}

// ForeignVerify reads every object from end to end and tells each. What is damaged
// is told; an error is the end.
func ForeignVerify(ctx context.Context, o ArchiveOptions, p ForeignPlace, told func(ForeignChecked) error) (ForeignSummary, error) {
	s, err := o.openForeign(ctx, p)
	if err != nil {
		return ForeignSummary{}, err
	}
	defer s.close()
	if err := s.some(p); err != nil {
		return ForeignSummary{}, err
	}
	sum, err := foreign.Check(ctx, s.store, s.objects, told)
	sum.Others = s.others
	return sum, err
}

// ForeignFind yields the documents that are asked for: of each key the newest
// version, unless all are wanted. After an error it ends.
func ForeignFind(ctx context.Context, o ArchiveOptions, p ForeignPlace, f ArchiveFindOptions) iter.Seq2[ArchiveFound, error] {
	return func(yield func(ArchiveFound, error) bool) {
		s, err := o.openForeign(ctx, p)
		if err != nil {
			yield(ArchiveFound{}, err)
			return
		}
		defer s.close()
		chosen, err := s.choose(ctx, p, f.ArchiveWhich, f.Versions)
		if err != nil {
			yield(ArchiveFound{}, err)
			return
		}
		o.warnDamaged(chosen.Faults)
		n := 0
		for d, err := range chosen.Docs(ctx) {
			if err != nil {
				yield(ArchiveFound{}, err)
				return
			}
			ns := p.Namespace
			if ns == "" {
				ns = s.objects[d.Object].Collection
			}
			if !yield(ArchiveFound{
				Doc: d.Doc, Rule: "go-chive", Namespace: ns, Pack: d.Key, Object: s.name + "/" + d.Key + ":" + d.Member, Entry: d.Entry, Archived: d.Read,
			}, nil) {
				return
			}
			if n++; n == f.Limit {
				return
			}
		}
	}
}

// warnDamaged tells what is left out.
func (o *ArchiveOptions) warnDamaged(faults []ForeignFault) {
	for _, f := range faults {
		o.logger().Warn("left out, since it is damaged", "object", f.Object, "member", f.Member, "byte", f.At, "reason", f.Reason, "whole_object", f.Whole)
	}
}

// ForeignCat writes the documents of an object to w: the BSON that bsondump and
// mongorestore read. What can be read of a damaged one is written before the
// error.
func ForeignCat(ctx context.Context, o ArchiveOptions, p ForeignPlace, w io.Writer) error {
	s, err := o.openForeign(ctx, p)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.some(p); err != nil {
		return err
	}
	return foreign.Cat(ctx, s.store, s.objects[0], func(d foreign.Document) error {
		_, err := w.Write(d.Doc)
		return err
	})
}
