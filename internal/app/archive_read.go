package app

import (
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"time"

	"sluice/internal/archive/catalogue"
	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/objstore"
)

// shelfOf is a place whose packs are asked for, of one rule or of all.
type shelfOf struct {
	*catalogue.Shelf
	// rule is "" for all.
	rule string
}

// library is all of them as one.
func library(all []shelfOf) catalogue.Library {
	var l catalogue.Library
	for _, s := range all {
		l = append(l, catalogue.Section{Shelf: s.Shelf, Rule: s.rule})
	}
	return l
}

// shelves opens the places of the chosen rules. What is opened is released when
// the function returned is called, also after an error.
func (o *ArchiveOptions) shelves(ctx context.Context) (all []shelfOf, release func(), err error) {
	var stores []objstore.Store
	release = func() {
		for _, s := range stores {
			_ = closePlace(s) // all that was asked for has been read
		}
	}
	open := func(a *config.Archive, rules ...string) error {
		store, err := openPlace(ctx, o.Config, a.To)
		if err != nil {
			return err
		}
		stores = append(stores, store)
		shelf := catalogue.New(store, o.shelfOptions(a, archiveOwner()))
		for _, rule := range rules {
			all = append(all, shelfOf{shelf, rule})
		}
		return nil
	}
	var done []string
	for i := range o.Config.Archive {
		a := &o.Config.Archive[i]
		if slices.Contains(done, a.To) {
			continue
		}
		done = append(done, a.To)
		rules := o.rulesIn(a.To)
		if len(rules) == 0 {
			continue
		}
		if err := open(a, rules...); err != nil {
			return nil, release, err
		}
	}
	return all, release, nil
}

// rulesIn returns the rules whose packs are asked for in a place; "" is all. A
// rule that is not configured any more may have packs in any place.
func (o *ArchiveOptions) rulesIn(place string) []string {
	if len(o.Rules) == 0 {
		return []string{""}
	}
	var some []string
	for _, name := range o.Rules {
		i := slices.IndexFunc(o.Config.Archive, func(a config.Archive) bool { return a.Name == name })
		if i < 0 || o.Config.Archive[i].To == place {
			some = append(some, name)
		}
	}
	return some
}

// query is what the catalogue is asked for.
func (w ArchiveWhich) query(rule string) catalogue.Query {
	return catalogue.Query{Rule: rule, NS: w.Namespace, Pack: w.Pack, From: w.From, To: w.To}
}

// ArchiveVerify checks the chosen packs in their places, one after another. What
// is wrong with a pack is told in what is yielded; an error is the end.
func ArchiveVerify(ctx context.Context, o ArchiveOptions, v ArchiveVerifyOptions) iter.Seq2[ArchiveVerified, error] {
	return func(yield func(ArchiveVerified, error) bool) {
		all, release, err := o.shelves(ctx)
		defer release()
		if err != nil {
			yield(ArchiveVerified{}, err)
			return
		}
		for _, s := range all {
			q := ArchiveWhich{Namespace: v.Namespace, Pack: v.Pack}.query(s.rule)
			for c, err := range s.Check(ctx, catalogue.CheckOptions{Query: q, Deep: v.Deep, Grace: GarbageAge}) {
				if !yield(c, err) || err != nil {
					return
				}
			}
		}
	}
}

// GarbageAge is how old an object without a manifest is before it is taken for
// garbage: a younger one may be of a run that goes on.
const GarbageAge = 24 * time.Hour

// ArchiveFind yields the documents that are asked for: of each key the newest
// version, unless all are wanted. After an error it ends.
func ArchiveFind(ctx context.Context, o ArchiveOptions, f ArchiveFindOptions) iter.Seq2[ArchiveFound, error] {
	return func(yield func(ArchiveFound, error) bool) {
		all, release, err := o.shelves(ctx)
		defer release()
		if err != nil {
			yield(ArchiveFound{}, err)
			return
		}
		n := 0
		q := catalogue.FindQuery{Query: f.query(""), Doc: f.Query, IDs: f.IDs, Versions: f.Versions, Thaw: f.Thaw}
		for d, err := range library(all).Find(ctx, q) {
			if err != nil {
				yield(ArchiveFound{}, err)
				return
			}
			if !yield(found(d.Store, d), nil) {
				return
			}
			if n++; n == f.Limit {
				return
			}
		}
	}
}

// found is what the catalogue has found, for the eyes of a user.
func found(store string, d catalogue.Found) ArchiveFound {
	out := ArchiveFound{
		Doc: d.Doc, Rule: d.Header.Rule, Namespace: d.Header.NS, Pack: d.Header.ID, Object: store + "/" + d.Header.Object,
		Entry: d.Entry, Outcome: string(d.Outcome), Archived: time.Unix(int64(d.At.T), 0).UTC(),
	}
	if d.Pending {
		out.Outcome = "pending"
	}
	if d.At.T == 0 {
		out.Archived = d.Header.Created
	}
	return out
}

// ArchiveCat writes the documents of a pack to w: the BSON that bsondump and
// mongorestore read.
func ArchiveCat(ctx context.Context, o ArchiveOptions, pack string, w io.Writer) error {
	all, release, err := o.shelves(ctx)
	defer release()
	if err != nil {
		return err
	}
	for _, s := range all {
		for it, err := range s.List(ctx, catalogue.Query{Rule: s.rule, Pack: pack}) {
			if err != nil && it.Manifest == "" {
				return err
			}
			return s.Cat(ctx, pack, w)
		}
	}
	return &flow.Error{
		Op: "find the pack", Object: pack, Class: flow.Config, Err: errors.New("no place of the chosen rules has a pack of this id with a manifest"),
		Hint: "sluice archive ls --packs lists them",
	}
}
