package catalogue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/mql"
	"sluice/internal/objstore"
	"sluice/internal/pack"
)

// Select returns the packs that may hold documents of the query, the newest
// first: those of one namespace are in the order in which their documents were
// read from MongoDB. The filters over their keys and the descriptions of their
// collections are left out, so that many fit into memory; Describe brings the
// latter. ids, if not nil, are the only keys that are asked for.
func (s *Shelf) Select(ctx context.Context, q Query, ids []bson.RawValue) ([]Item, error) {
	l, err := s.scan(ctx, q.Rule, q.NS)
	if err != nil {
		return nil, err
	}
	var all []Item
	for it, err := range s.items(ctx, q, l.chosen(q)) {
		if err != nil {
			return nil, err
		}
		if ids != nil && !slices.ContainsFunc(ids, it.Header.MayHold) {
			continue
		}
		it.Header.Bloom, it.Header.Options, it.Header.Indexes = pack.Bloom{}, nil, nil
		all = append(all, it)
	}
	slices.SortFunc(all, newestFirst)
	return all, nil
}

// Describe returns the whole header of a pack, with the options and indexes of
// its collection.
func (s *Shelf) Describe(ctx context.Context, it Item) (pack.Header, error) {
	return s.header(ctx, objstore.Info{Key: it.Manifest, Size: pack.HeaderBytes + 1})
}

func newestFirst(a, b Item) int { return -compareAge(a.Header, b.Header) }

// compareAge orders packs by namespace, then by when they were read.
func compareAge(a, b pack.Header) int {
	return cmp.Or(cmp.Compare(b.NS, a.NS), a.ReadTo.Compare(b.ReadTo), cmp.Compare(a.ID, b.ID))
}

// Wanted is what a query asks for, made ready.
type Wanted struct {
	query Query
	// ids are the only keys, by mql.AppendKey; nil stands for all.
	ids    map[string]struct{}
	values []bson.RawValue
	match  *mql.Matcher // nil without a query
}

// Want makes ready what is asked for: the packs that q chooses, and of them the
// documents with one of the keys (nil: any) that match the query (nil: all). The
// values must not change afterwards. An error is of class Config.
func Want(q Query, ids []bson.RawValue, query bson.Raw) (*Wanted, error) {
	w := &Wanted{query: q, values: ids}
	if len(query) > 0 {
		m, err := mql.Compile(query)
		if err != nil {
			return nil, &flow.Error{Op: "read the query", Class: flow.Config, Err: err}
		}
		w.match = m
		if pinned, ok := mql.IDsOf(query); ok && ids == nil {
			w.values = slices.Clip(append([]bson.RawValue{}, pinned...))
		}
	}
	if w.values == nil {
		return w, nil
	}
	w.ids = make(map[string]struct{}, len(w.values))
	for _, v := range w.values {
		w.ids[string(mql.AppendKey(nil, v))] = struct{}{}
	}
	return w, nil
}

// Values are the only keys that are asked for; nil stands for all.
func (w *Wanted) Values() []bson.RawValue { return w.values }

// Fits tells whether the key and the age (ms since 1970) of an entry are asked
// for; the query is not looked at.
func (w *Wanted) Fits(id bson.RawValue, age int64) bool {
	if !w.query.From.IsZero() && age < w.query.From.UnixMilli() || !w.query.To.IsZero() && age >= w.query.To.UnixMilli() {
		return false
	}
	if w.ids == nil {
		return true
	}
	var room [64]byte
	_, ok := w.ids[string(mql.AppendKey(room[:0], id))]
	return ok
}

// Match tells whether a document matches the query.
func (w *Wanted) Match(doc bson.Raw) bool { return w.match == nil || w.match.Match(doc) }

// Thaw asks for the packs that are in a cold class to be made readable for some
// days, and fails with class Transient, and ErrCold, while there are any.
func (s *Shelf) Thaw(ctx context.Context, items []Item, days int, tier string) error {
	const op = "thaw packs in"
	cold := 0
	head := func(ctx context.Context, it Item) (bool, error) {
		info, err := s.store.Head(ctx, it.Header.Object)
		if err != nil || !info.Cold {
			return false, fail("look at pack", it.Header.Object, err)
		}
		thawer, ok := objstore.As[objstore.Thawer](s.store)
		if !ok {
			return true, nil
		}
		return true, fail("thaw pack", it.Header.Object, thawer.Thaw(ctx, it.Header.Object, days, tier))
	}
	for is, err := range ordered(ctx, readers, items, head) {
		if err != nil {
			return err
		}
		if is {
			cold++
		}
	}
	if cold == 0 {
		return nil
	}
	return &flow.Error{
		Op: op, Object: s.o.Name, Class: flow.Transient, Err: fmt.Errorf("%d of %d packs: %w", cold, len(items), objstore.ErrCold),
		Hint: "They are being thawed; that takes minutes to hours. Then give the same command again.",
	}
}

// coldHint adds the way out to the error of an object in a cold class.
func coldHint(op, object string, err error) error {
	if !errors.Is(err, objstore.ErrCold) {
		return err
	}
	return &flow.Error{Op: op, Object: object, Class: flow.Config, Err: err, Hint: "Give the command with --thaw; it takes minutes to hours until they can be read."}
}

// Older tells whether the documents of pack a were read before those of pack b,
// of the same namespace.
func Older(a, b pack.Header) bool { return compareAge(a, b) < 0 }
