package catalogue

import (
	"context"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/pack"
)

// Library is shelves whose packs are read as those of one: the newest version of
// a key is the newest of all of them. It is safe for concurrent use.
type Library []Section

// Section is what is asked for of one shelf: the packs of a rule, or with "" those
// of all rules. No pack may be in two sections.
type Section struct {
	Shelf *Shelf
	Rule  string
}

// Name tells of the places and rules, without secrets.
func (l Library) Name() string {
	names := make([]string, len(l))
	for i, s := range l {
		if names[i] = s.Shelf.Name(); s.Rule != "" {
			names[i] += " " + s.Rule
		}
	}
	return strings.Join(names, ", ")
}

// Select is that of a Shelf, over all sections: a rule in q counts beside that of
// a section. The Items know where they are from.
func (l Library) Select(ctx context.Context, q Query, ids []bson.RawValue) ([]Item, error) {
	var all []Item
	for _, s := range l {
		part := q
		switch {
		case s.Rule != "" && q.Rule != "" && s.Rule != q.Rule:
			continue
		case s.Rule != "":
			part.Rule = s.Rule
		}
		some, err := s.Shelf.Select(ctx, part, ids)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	slices.SortStableFunc(all, newestFirst)
	return all, nil
}

// Open reads the manifest and the outcomes of a pack that Select or List gave.
func (l Library) Open(ctx context.Context, it Item) (*Opened, error) { return it.shelf.Open(ctx, it) }

// Describe is that of the pack's Shelf.
func (l Library) Describe(ctx context.Context, it Item) (pack.Header, error) {
	return it.shelf.Describe(ctx, it)
}

// Thaw asks for the packs of each Shelf in turn; see there. Packs of a later one
// are asked for too when those of an earlier one are not readable yet.
func (l Library) Thaw(ctx context.Context, items []Item, days int, tier string) error {
	byShelf := map[*Shelf][]Item{}
	for _, it := range items {
		byShelf[it.shelf] = append(byShelf[it.shelf], it)
	}
	var first error
	for _, s := range l {
		some := byShelf[s.Shelf]
		delete(byShelf, s.Shelf)
		if err := s.Shelf.Thaw(ctx, some, days, tier); err != nil && first == nil {
			first = err
		}
	}
	return first
}
