package catalogue

import (
	"context"
	"iter"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/pack"
)

// FindQuery chooses documents; what is empty sets no bound.
type FindQuery struct {
	Query
	// Doc is a query of MongoDB (see package mql), IDs the only keys.
	Doc bson.Raw
	IDs []bson.RawValue
	// Versions: every version of a key, also those that stayed in MongoDB
	// (outcome Changed). Else the newest, of those that Query and IDs choose;
	// whether it matches Doc is looked at afterwards, so an older version never
	// stands in for a newer one that does not match.
	Versions bool
	// Thaw asks for packs in a cold class to be made readable (see Thaw).
	Thaw bool
}

// Found is a document of the archive.
type Found struct {
	Doc bson.Raw
	// Store is the name of the Shelf, Header that of its pack, Entry its number in it.
	Store  string
	Header pack.Header
	Entry  int
	// Outcome is what became of it in MongoDB; "" if it was only copied, or if
	// Pending: it is not known whether it is deleted.
	Outcome cold.Outcome
	Pending bool
	// At is the cluster time when it was read, at the latest.
	At bson.Timestamp
}

// Find yields the documents that are asked for: the packs are chosen by their
// headers (ages, filter over the keys), the documents by the manifests, and only
// then their frames are read. The newest packs come first. It holds one manifest
// and a frame, and, unless one pack is enough or Versions, an IDSet of the keys
// that were seen. After an error it ends.
func (l Library) Find(ctx context.Context, q FindQuery) iter.Seq2[Found, error] {
	return func(yield func(Found, error) bool) {
		if err := l.find(ctx, q, func(f Found) bool { return yield(f, nil) }); err != nil {
			yield(Found{}, err)
		}
	}
}

func (l Library) find(ctx context.Context, q FindQuery, yield func(Found) bool) error {
	w, err := Want(q.Query, q.IDs, q.Doc)
	if err != nil {
		return err
	}
	items, err := l.Select(ctx, q.Query, w.Values())
	if err != nil {
		return err
	}
	if q.Thaw {
		if err := l.Thaw(ctx, items, thawDays, ""); err != nil {
			return err
		}
	}
	seen := &IDSet{}
	for i, it := range items {
		if i > 0 && items[i-1].Header.NS != it.Header.NS {
			seen = &IDSet{} // the packs of a namespace follow each other
		}
		o, err := l.Open(ctx, it)
		if err != nil {
			return err
		}
		var some []int
		if q.Versions {
			some = o.All(w, func(int) bool { return true })
		} else {
			some = o.Newest(w, seen, func(i int) bool { return o.Of(i) != cold.Changed })
		}
		for d, err := range o.Docs(ctx, some) {
			if err != nil {
				return err
			}
			if !w.Match(d.Doc) {
				continue
			}
			if !yield(Found{Doc: d.Doc, Store: it.shelf.Name(), Header: it.Header, Entry: d.Entry, Outcome: o.Of(d.Entry), Pending: o.Pending(), At: it.Header.ReadTo}) {
				return nil
			}
		}
	}
	return nil
}

// thawDays is for how long a thawed copy stays.
const thawDays = 3
