package catalogue

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
)

// ForgetOptions choose the documents to erase: all versions of them. Keys or a
// query have to be given.
type ForgetOptions struct {
	Query
	Doc bson.Raw
	IDs []bson.RawValue
	// Reason is noted in the audit records.
	Reason string
	// DryRun counts, and changes nothing.
	DryRun bool
}

// Forgotten is what an erasure reached.
type Forgotten struct {
	// Documents are the versions that were erased, out of Packs packs.
	Documents int `json:"documents"`
	Packs     int `json:"packs"`
	// Rewritten are the packs that took the place of others, also those that did so
	// in an earlier Forget which was killed before it removed the old ones.
	Rewritten []Rewritten `json:"rewritten,omitempty"`
	// Unreached tells what still holds such documents, and why.
	Unreached []Unreached `json:"unreached,omitempty"`
	// Audit are the keys of the audit records.
	Audit []string `json:"audit,omitempty"`
	// Keys are those of the erased documents, for who erases them elsewhere.
	Keys []Key `json:"-"`
}

// Rewritten is a pack that was written anew without the erased documents.
type Rewritten struct {
	Old string `json:"old"`
	New string `json:"new"`
	// Row is the journal's row of the new pack.
	Row cold.Pack `json:"-"`
}

// Unreached is an object that still holds what was to be erased.
type Unreached struct {
	Object string `json:"object"`
	Reason string `json:"reason"`
}

// Key is that of a document in MongoDB.
type Key struct {
	NS string
	ID bson.RawValue
}

// Forget erases documents from the packs (rule A9). Each pack that holds one is
// written anew without it, under a new key: the new pack is read back, gets the
// outcomes of the others, and its manifest is committed; then an audit record is
// put, and the old pack is removed. Killed at any step, no other document is
// lost, and the same Forget again finishes.
//
// It does not reach: packs whose documents are still to be deleted from MongoDB
// (their run ends first), packs without a manifest (gc removes them), objects
// under a lock, and older versions in the bucket; it says so for each that it
// knows of. The caller holds the leases of the rules meanwhile: of two that
// forget in one pack at once, one fails with class Conflict.
func (s *Shelf) Forget(ctx context.Context, o ForgetOptions) (Forgotten, error) {
	f := &forgetting{shelf: s, o: o}
	if len(o.IDs) == 0 && len(o.Doc) == 0 {
		return f.done, &flow.Error{Op: "forget", Class: flow.Config, Err: errors.New("nothing says which documents"), Hint: "Give keys or a query."}
	}
	var err error
	if f.want, err = Want(o.Query, o.IDs, o.Doc); err != nil {
		return f.done, err
	}
	l, err := s.scan(ctx, o.Rule, o.NS)
	if err != nil {
		return f.done, err
	}
	if err := f.each(ctx, l, l.chosen(o.Query), f.rewrite); err != nil {
		return f.done, err
	}
	// What an earlier Forget did not get to remove.
	if err := f.each(ctx, l, l.old, f.remove); err != nil {
		return f.done, err
	}
	f.orphans(l)
	return f.done, nil
}

// forgetting is one call of Forget.
type forgetting struct {
	shelf *Shelf
	o     ForgetOptions
	want  *Wanted
	done  Forgotten
}

// each calls act with each pack of groups that holds documents to be erased.
func (f *forgetting) each(ctx context.Context, l *listing, groups []group, act func(context.Context, *listing, *Opened, []int) error) error {
	byKey := map[string]group{}
	var maybe []Item
	for it, err := range f.shelf.items(ctx, f.o.Query, groups) {
		if err != nil {
			return err
		}
		if f.want.Values() != nil && !mayHold(it, f.want.Values()) {
			continue
		}
		it.Header.Bloom.Bits = nil
		maybe = append(maybe, it)
	}
	for _, g := range groups {
		byKey[g.manifest.Key] = g
	}
	for _, it := range maybe {
		opened, err := f.shelf.Open(ctx, it)
		if err != nil {
			return err
		}
		doomed, err := f.doomed(ctx, l, opened)
		if err != nil {
			return err
		}
		if len(doomed) == 0 {
			continue
		}
		if err := act(ctx, l, opened, doomed); err != nil {
			return err
		}
	}
	return nil
}

func mayHold(it Item, ids []bson.RawValue) bool {
	for _, id := range ids {
		if it.Header.MayHold(id) {
			return true
		}
	}
	return false
}

// doomed returns the entries of a pack that are to be erased.
func (f *forgetting) doomed(ctx context.Context, l *listing, o *Opened) ([]int, error) {
	some := o.All(f.want, func(int) bool { return true })
	if f.want.match == nil {
		return some, nil
	}
	if _, there := l.packs[o.Header.Object]; !there {
		return some, nil // half removed: only the keys are left, and they go
	}
	var matching []int
	for d, err := range o.Docs(ctx, some) {
		if err != nil {
			return nil, err
		}
		if f.want.Match(d.Doc) {
			matching = append(matching, d.Entry)
		}
	}
	return matching, nil
}

func (f *forgetting) unreached(object, reason string) {
	f.done.Unreached = append(f.done.Unreached, Unreached{object, reason})
}

// rewrite writes a pack anew without the doomed.
func (f *forgetting) rewrite(ctx context.Context, _ *listing, o *Opened, doomed []int) error {
	if o.Pending() {
		f.unreached(o.Header.Object, "its documents are still to be deleted from MongoDB; end the run first (sluice archive run), then forget again")
		return nil
	}
	f.count(o, doomed)
	if f.o.DryRun {
		return nil
	}
	m, err := f.shelf.rewrite(ctx, o, doomed)
	if err != nil {
		return err
	}
	if _, err := f.successor(ctx, o.Header.ID); err != nil {
		return err
	}
	if err := f.audit(ctx, o, m.Header.ID, doomed); err != nil {
		return err
	}
	return f.removeOld(ctx, o)
}

// successor notes which pack has taken the place of old, for the journal.
func (f *forgetting) successor(ctx context.Context, old string) (id string, err error) {
	it, err := f.shelf.item(ctx, old)
	if err != nil {
		return "", err
	}
	f.done.Rewritten = append(f.done.Rewritten, Rewritten{old, it.Header.ID, f.shelf.Row(it)})
	return it.Header.ID, nil
}

func (f *forgetting) count(o *Opened, doomed []int) {
	f.done.Packs++
	f.done.Documents += len(doomed)
	for _, i := range doomed {
		f.done.Keys = append(f.done.Keys, Key{o.Header.NS, o.Manifest.Entries[i].ID})
	}
}

// remove removes a pack whose successor an earlier Forget has committed.
func (f *forgetting) remove(ctx context.Context, l *listing, o *Opened, doomed []int) error {
	_, whole := l.packs[o.Header.Object] // else it was audited, and its documents are gone
	if whole {
		f.count(o, doomed)
	}
	if f.o.DryRun {
		return nil
	}
	// Which that is, may have changed since the listing.
	it, err := f.shelf.item(ctx, o.Header.ID)
	if err != nil {
		return err
	}
	m, err := f.shelf.Manifest(ctx, it.Manifest)
	if err != nil {
		return err
	}
	if err := f.shelf.Verify(ctx, m); err != nil {
		return err
	}
	successor, err := f.successor(ctx, o.Header.ID)
	if err != nil {
		return err
	}
	if whole {
		if err := f.audit(ctx, o, successor, doomed); err != nil {
			return err
		}
	}
	return f.removeOld(ctx, o)
}

// removeOld removes a pack that has a successor. What the store refuses to
// remove is told, and is ignored from now on by all who read the archive.
func (f *forgetting) removeOld(ctx context.Context, o *Opened) error {
	s, object := f.shelf, o.Header.Object
	info, err := s.store.Head(ctx, object)
	if err == nil && info.Version != "" && info.Version != "null" {
		f.unreached(object, fmt.Sprintf("the bucket keeps older versions: version %s still holds the documents; remove it with the bucket's own tools", info.Version))
	}
	err = s.removePack(ctx, stemOf(o.Item.Manifest), o.Manifest.Header)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil || flow.ClassOf(err) == flow.Transient {
		return err
	}
	f.unreached(object, "the store does not let it be removed (object lock, or a missing right): "+err.Error())
	return nil
}

// orphans tells of packs that could not be looked into.
func (f *forgetting) orphans(l *listing) {
	for key := range l.packs {
		if !l.hasManifest(key) {
			f.unreached(key, "a pack without a manifest is not looked into; sluice archive gc removes it")
		}
	}
}
