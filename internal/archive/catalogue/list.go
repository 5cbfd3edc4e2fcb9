package catalogue

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"time"

	"sluice/internal/flow"
	"sluice/internal/objstore"
	"sluice/internal/pack"
)

// Query chooses packs; what is empty sets no bound.
type Query struct {
	Rule, NS string
	// Pack is the id of a pack; that of one that was rewritten finds its successor.
	Pack string
	// From (inclusive) and To (exclusive) bound the ages of documents: packs that
	// may hold such are chosen.
	From, To time.Time
}

func (q Query) fits(h pack.Header) bool {
	switch {
	case q.Rule != "" && q.Rule != h.Rule, q.NS != "" && q.NS != h.NS:
		return false
	case !q.From.IsZero() && h.MaxAge.Before(q.From), !q.To.IsZero() && !h.MinAge.Before(q.To):
		return false
	}
	return true
}

// group is what lies under one stem.
type group struct {
	stem              string
	manifest, outcome objstore.Info // Key is empty if there is none
}

// listing is what lies in the store, by key.
type listing struct {
	// groups have a manifest, and are the newest of their base; old are those
	// whose successor is in groups. Both in the order of the keys.
	groups, old []group
	// stems are those with a manifest.
	stems map[string]bool
	// packs are the packs, by their keys; strays outcomes without a manifest.
	packs  map[string]objstore.Info
	strays []objstore.Info
}

// scan lists the store below the prefix of a rule and namespace.
func (s *Shelf) scan(ctx context.Context, rule, ns string) (*listing, error) {
	l := &listing{packs: map[string]objstore.Info{}, stems: map[string]bool{}}
	byStem := map[string]*group{}
	for info, err := range s.store.List(ctx, prefix(rule, ns)) {
		if err != nil {
			return nil, fail("list", s.o.Name, err)
		}
		o := parse(info.Key)
		switch o.kind {
		case packObject:
			l.packs[info.Key] = info
			continue
		case foreign:
			continue
		}
		g := byStem[o.stem]
		if g == nil {
			g = &group{stem: o.stem}
			byStem[o.stem] = g
		}
		if o.kind == manifestObject {
			g.manifest = info
		} else {
			g.outcome = info
		}
	}
	newest := map[string]int{} // by base
	for stem, g := range byStem {
		if g.manifest.Key == "" {
			l.strays = append(l.strays, g.outcome)
			continue
		}
		l.stems[stem] = true
		base, n := revision(stem)
		newest[base] = max(newest[base], n)
	}
	for stem, g := range byStem {
		base, n := revision(stem)
		switch {
		case g.manifest.Key == "":
		case n == newest[base]:
			l.groups = append(l.groups, *g)
		default:
			l.old = append(l.old, *g)
		}
	}
	for _, g := range [][]group{l.groups, l.old} {
		slices.SortFunc(g, func(a, b group) int { return cmp.Compare(a.stem, b.stem) })
	}
	slices.SortFunc(l.strays, func(a, b objstore.Info) int { return cmp.Compare(a.Key, b.Key) })
	return l, nil
}

// Item is one pack.
type Item struct {
	Header pack.Header `json:"header"`
	// Manifest is its key.
	Manifest string `json:"manifest"`
	// Settled: there are outcomes.
	Settled bool `json:"settled"`
	// Outcome has the counts; only List fills it in.
	Outcome Outcome `json:"outcome,omitzero"`
	// shelf is where it is.
	shelf *Shelf
}

// Pending tells that the documents are to be deleted from MongoDB, and that it
// is not known whether they were.
func (it Item) Pending() bool { return !it.Settled && it.Header.Delete && !it.Header.Shadow }

// header reads the header of a manifest: the first bytes, or, where they don't
// do, all of it.
func (s *Shelf) header(ctx context.Context, info objstore.Info) (pack.Header, error) {
	h, err := s.headerWithin(ctx, info.Key, pack.HeaderBytes)
	if errors.Is(err, io.ErrUnexpectedEOF) && info.Size > pack.HeaderBytes {
		h, err = s.headerWithin(ctx, info.Key, -1)
	}
	if err != nil {
		return h, fail("read manifest", info.Key, err)
	}
	return h, checkPlace(h, info.Key)
}

func (s *Shelf) headerWithin(ctx context.Context, key string, n int64) (pack.Header, error) {
	body, err := s.store.Get(ctx, key, 0, n)
	if err != nil {
		return pack.Header{}, err
	}
	defer func() { _ = body.Close() }()
	if n < 0 {
		return pack.DecodeHeader(body)
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return pack.Header{}, err
	}
	return pack.DecodeHeader(bytes.NewReader(b))
}

// chosen are the groups that a query may mean, by their keys.
func (l *listing) chosen(q Query) []group {
	if q.Pack == "" {
		return l.groups
	}
	want, _ := revision(q.Pack)
	var some []group
	for _, g := range l.groups {
		if base, _ := revision(id(g.stem)); base == part(want) {
			some = append(some, g)
		}
	}
	return some
}

// items yields the packs that a query chooses, in the order of their keys.
func (s *Shelf) items(ctx context.Context, q Query, groups []group) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		read := func(ctx context.Context, g group) (Item, error) {
			h, err := s.header(ctx, g.manifest)
			return Item{Header: h, Manifest: g.manifest.Key, Settled: g.outcome.Key != "", shelf: s}, err
		}
		for it, err := range ordered(ctx, readers, groups, read) {
			if err == nil && !q.fits(it.Header) {
				continue
			}
			if !yield(it, err) {
				return
			}
		}
	}
}

// List yields the packs that a query chooses, by rule, namespace and time. A
// pack that can't be read is yielded as an error, with what its key tells
// (Manifest), and the others follow; an error without a Manifest is the end.
func (s *Shelf) List(ctx context.Context, q Query) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		l, err := s.scan(ctx, q.Rule, q.NS)
		if err != nil {
			yield(Item{}, err)
			return
		}
		read := func(ctx context.Context, g group) (Item, error) {
			it := Item{Manifest: g.manifest.Key, Settled: g.outcome.Key != "", shelf: s}
			var err error
			if it.Header, err = s.header(ctx, g.manifest); err == nil && it.Settled && q.fits(it.Header) {
				it.Outcome, err = s.outcome(ctx, g.stem)
			}
			return it, err
		}
		for it, err := range ordered(ctx, readers, l.chosen(q), read) {
			if err == nil && !q.fits(it.Header) {
				continue
			}
			if !yield(it, err) {
				return
			}
		}
	}
}

// item returns one pack by its id, or its successor.
func (s *Shelf) item(ctx context.Context, id string) (Item, error) {
	for it, err := range s.List(ctx, Query{Pack: id}) {
		return it, err
	}
	return Item{}, &flow.Error{
		Op: "find pack", Object: id, Class: flow.Config, Err: errors.New("no manifest of it is in " + s.o.Name),
		Hint: "sluice archive ls shows the packs; one without a manifest is not part of the archive.",
	}
}
