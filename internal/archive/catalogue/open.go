package catalogue

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/pack"
)

// Opened is a pack whose manifest and outcomes are in memory. It belongs to one
// goroutine, and needs no closing.
type Opened struct {
	Item
	Manifest *pack.Manifest
	shelf    *Shelf
}

// Open reads the manifest and the outcomes of a pack.
func (s *Shelf) Open(ctx context.Context, it Item) (*Opened, error) {
	m, err := s.Manifest(ctx, it.Manifest)
	if err != nil {
		return nil, err
	}
	o := &Opened{Item: it, Manifest: m, shelf: s}
	if o.Outcome, err = s.outcome(ctx, stemOf(it.Manifest)); err != nil {
		return nil, err
	}
	o.Settled = o.Outcome.Known
	if n := o.Outcome.docs(); o.Settled && n != len(m.Entries) {
		return nil, &flow.Error{
			Op: "read outcome", Object: outcomeOf(stemOf(it.Manifest)), Class: flow.Fatal, Err: fmt.Errorf("it is of %d documents, and the pack has %d", n, len(m.Entries)),
			Hint: "Objects of the archive were renamed or copied over each other. Bring them back under their own keys.",
		}
	}
	return o, nil
}

// Of returns the outcome of an entry: "" if the document was only copied, or is
// still to be deleted (see Pending).
func (o *Opened) Of(entry int) cold.Outcome { return o.Outcome.Of(entry) }

// Doc is a document of a pack.
type Doc struct {
	Entry int
	Doc   bson.Raw
}

// Docs yields the documents of these entries, which are in rising order: each is
// compared with its hash. Where most are asked for, it is one read of the object,
// else one ranged read for each frame. What it yields is never overwritten, and
// holds the memory of its frame (see pack.Reader). After an error it ends.
func (o *Opened) Docs(ctx context.Context, entries []int) iter.Seq2[Doc, error] {
	return func(yield func(Doc, error) bool) {
		object := o.Header.Object
		r := pack.OpenReader(source{o.shelf, object}, o.Manifest)
		if len(entries) == 0 {
			return
		}
		if span := entries[len(entries)-1] - entries[0] + 1; 4*len(entries) < span {
			for _, i := range entries {
				doc, err := r.Doc(ctx, i)
				if err != nil {
					yield(Doc{}, coldHint("read pack", object, err))
					return
				}
				if !yield(Doc{i, doc}, nil) {
					return
				}
			}
			return
		}
		at := entries[0]
		for doc, err := range r.From(ctx, at) {
			if err != nil {
				yield(Doc{}, coldHint("read pack", object, err))
				return
			}
			if at == entries[0] {
				if !yield(Doc{at, doc}, nil) {
					return
				}
				if entries = entries[1:]; len(entries) == 0 {
					return
				}
			}
			at++
		}
	}
}

// source is the object of a pack.
type source struct {
	shelf *Shelf
	key   string
}

// Get reads a range of it.
func (s source) Get(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	return s.shelf.store.Get(ctx, s.key, off, n)
}

// Newest returns, in rising order, the entries that are asked for, pass take, and
// whose keys are not in seen; their keys are in seen then. Of two entries with
// one key the later one is taken.
func (o *Opened) Newest(w *Wanted, seen *IDSet, take func(entry int) bool) []int {
	var some []int
	for i, e := range slices.Backward(o.Manifest.Entries) {
		if w.Fits(e.ID, e.Age) && take(i) && seen.Add(o.Header.NS, e.ID) {
			some = append(some, i)
		}
	}
	slices.Reverse(some)
	return some
}

// All returns the entries that are asked for and pass take.
func (o *Opened) All(w *Wanted, take func(entry int) bool) []int {
	var some []int
	for i, e := range o.Manifest.Entries {
		if w.Fits(e.ID, e.Age) && take(i) {
			some = append(some, i)
		}
	}
	return some
}
