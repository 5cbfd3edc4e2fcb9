package app

import (
	"context"
	"slices"
	"strings"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/archive/catalogue"
	"sluice/internal/cold"
	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/objstore"
	"sluice/internal/transcode"
)

// shelves look ids up in the places of the archive rules: by the headers of all
// packs of a collection, and by the manifests of those that may hold an id. The
// places are opened when they are first asked. Safe from several goroutines.
type shelves struct {
	cfg *config.Config

	mu     sync.Mutex
	opened map[string]*catalogue.Shelf
	stores []objstore.Store
}

func newShelves(cfg *config.Config) *shelves {
	return &shelves{cfg: cfg, opened: map[string]*catalogue.Shelf{}}
}

// Covers tells whether a rule takes documents of ns.
func (s *shelves) Covers(ns flow.Namespace) bool {
	for i := range s.cfg.Archive {
		if s.cfg.Archive[i].Covers(ns.String()) {
			return true
		}
	}
	return false
}

// of returns the places of the rules that cover ns.
func (s *shelves) of(ctx context.Context, ns flow.Namespace) ([]*catalogue.Shelf, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*catalogue.Shelf
	for i := range s.cfg.Archive {
		a := &s.cfg.Archive[i]
		if !a.Covers(ns.String()) {
			continue
		}
		sh := s.opened[a.To]
		if sh == nil {
			store, err := openPlace(ctx, s.cfg, a.To)
			if err != nil {
				return nil, err
			}
			sh = catalogue.New(store, catalogue.Options{Name: objstore.Name(a.To)})
			s.opened[a.To], s.stores = sh, append(s.stores, store)
		}
		if !slices.Contains(all, sh) {
			all = append(all, sh)
		}
	}
	return all, nil
}

// close releases all places.
func (s *shelves) close(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var first error
	for _, store := range s.stores {
		if err := closePlace(store); err != nil && first == nil {
			first = err
		}
	}
	s.opened, s.stores = map[string]*catalogue.Shelf{}, nil
	return first
}

// packAt is a pack with where it lies.
type packAt struct {
	shelf *catalogue.Shelf
	item  catalogue.Item
}

// ArchivedIDs returns for each of ids where its newest archived version lies, if
// the archive has deleted that one from ns; nil for all others. What the archive
// only copied, found changed or found gone, it did not take: a user deleted it.
func (s *shelves) ArchivedIDs(ctx context.Context, ns flow.Namespace, ids []bson.RawValue) ([]*flow.Archived, error) {
	all, err := s.of(ctx, ns)
	if err != nil {
		return nil, err
	}
	var packs []packAt
	for _, sh := range all {
		items, err := sh.Select(ctx, catalogue.Query{NS: ns.String()}, ids)
		if err != nil {
			return nil, err
		}
		for _, it := range items {
			packs = append(packs, packAt{sh, it})
		}
	}
	slices.SortStableFunc(packs, func(a, b packAt) int {
		if c := b.item.Header.ReadTo.Compare(a.item.Header.ReadTo); c != 0 {
			return c
		}
		return strings.Compare(b.item.Header.ID, a.item.Header.ID)
	})
	out := make([]*flow.Archived, len(ids))
	open := map[string][]int{} // places in ids of keys that no pack has had yet
	for i, id := range ids {
		key := string(transcode.AppendID(nil, id))
		open[key] = append(open[key], i)
	}
	for _, p := range packs {
		if len(open) == 0 {
			break
		}
		if err := p.look(ctx, open, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// look settles the open keys that the pack holds.
func (p packAt) look(ctx context.Context, open map[string][]int, out []*flow.Archived) error {
	o, err := p.shelf.Open(ctx, p.item)
	if err != nil {
		return err
	}
	var found *flow.Archived
	var key []byte
	for i, e := range slices.Backward(o.Manifest.Entries) {
		key = transcode.AppendID(key[:0], e.ID)
		places, is := open[string(key)]
		if !is {
			continue
		}
		delete(open, string(key))
		if !isTaken(o, i) {
			continue
		}
		if found == nil {
			h := &o.Manifest.Header
			found = &flow.Archived{At: o.Outcome.At, Rule: h.Rule, Object: p.shelf.Name() + "/" + h.Object}
		}
		for _, at := range places {
			out[at] = found
		}
	}
	return nil
}

// isTaken tells whether the archive has deleted the document of an entry, or may
// have: it is known to be gone from MongoDB.
func isTaken(o *catalogue.Opened, entry int) bool {
	switch o.Of(entry) {
	case cold.Deleted, cold.Unknown:
		return true
	case "":
		return o.Pending()
	}
	return false
}
