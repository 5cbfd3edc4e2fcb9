package catalogue

import (
	"context"
	"errors"
	"strings"
	"time"

	"sluice/internal/objstore"
	"sluice/internal/pack"
)

// GCOptions say what is garbage.
type GCOptions struct {
	// OlderThan is how old a pack without a manifest must be. It has to be longer
	// than a run takes from the upload to the manifest.
	OlderThan time.Duration
	// DryRun removes nothing.
	DryRun bool
	// Live returns the keys of the objects of packs that are not finished; nil:
	// there are none. It is asked after the store was listed, for an object that
	// was uploaded since an earlier answer would be taken for garbage.
	Live func(ctx context.Context) (map[string]bool, error)
}

// Garbage is an object that belongs to no pack.
type Garbage struct {
	Store    string    `json:"store"`
	Object   string    `json:"object"`
	Bytes    int64     `json:"bytes"`
	Modified time.Time `json:"modified,omitzero"`
	// Why it is garbage.
	Why string `json:"why"`
}

// GC removes what belongs to no pack, and returns it: packs without a manifest
// (rule A4), outcomes without one, and what is left of packs that Forget wrote
// anew, once their successors were read back. It removes nothing while there is a
// manifest that can't be read, and nothing that it does not know. Leftovers of
// uploads that died are swept too.
func (s *Shelf) GC(ctx context.Context, o GCOptions) ([]Garbage, error) {
	l, err := s.scan(ctx, "", "")
	if err != nil {
		return nil, err
	}
	named := map[string]bool{}
	for it, err := range s.items(ctx, Query{}, append(append([]group{}, l.groups...), l.old...)) {
		if err != nil {
			return nil, err
		}
		named[it.Header.Object] = true
	}
	live := map[string]bool{}
	if o.Live != nil {
		if live, err = o.Live(ctx); err != nil {
			return nil, err
		}
	}
	all, err := s.orphans(ctx, l, named, live, o)
	if err != nil {
		return all, err
	}
	old, err := s.superseded(ctx, l, o.DryRun)
	all = append(all, old...)
	if err == nil && !o.DryRun {
		if sweeper, ok := objstore.As[objstore.Sweeper](s.store); ok {
			_, err = sweeper.Sweep(ctx, o.OlderThan)
			err = fail("sweep", s.o.Name, err)
		}
	}
	return all, err
}

// orphans removes packs that no manifest names, and outcomes without a manifest.
func (s *Shelf) orphans(ctx context.Context, l *listing, named, live map[string]bool, o GCOptions) ([]Garbage, error) {
	var all []Garbage
	young := func(info objstore.Info) bool {
		return info.Modified.IsZero() || s.o.Now().Sub(info.Modified) < o.OlderThan || live[info.Key]
	}
	remove := func(info objstore.Info, why string) error {
		// Its manifest may have come since the listing.
		for _, stem := range stemsOf(info.Key) {
			if l.stems[stem] {
				continue // it names another object
			}
			if _, err := s.store.Head(ctx, manifestOf(stem)); !errors.Is(err, objstore.ErrNotFound) {
				return fail("look for manifest", manifestOf(stem), err)
			}
		}
		all = append(all, Garbage{s.o.Name, info.Key, info.Size, info.Modified, why})
		if o.DryRun {
			return nil
		}
		return fail("remove", info.Key, s.store.Delete(ctx, info.Key))
	}
	for _, info := range l.packs {
		if named[info.Key] || young(info) {
			continue
		}
		if err := remove(info, "a pack without a manifest"); err != nil {
			return all, err
		}
	}
	for _, info := range l.strays {
		if young(info) {
			continue
		}
		if err := remove(info, "an outcome without a manifest"); err != nil {
			return all, err
		}
	}
	return all, nil
}

// stemsOf are the stems that the manifest of a pack under this key may have: its
// own, and, for one that was rewritten, without the piece of its hash.
func stemsOf(key string) []string {
	stem := parse(key).stem
	if at := strings.LastIndexByte(stem, '-'); at > strings.LastIndexByte(stem, '/') {
		return []string{stem, stem[:at]}
	}
	return []string{stem}
}

// superseded removes what is left of packs that were written anew.
func (s *Shelf) superseded(ctx context.Context, l *listing, dry bool) ([]Garbage, error) {
	var all []Garbage
	whole := map[string]bool{} // successors that were read back, by base
	for _, g := range l.old {
		m, err := s.Manifest(ctx, g.manifest.Key)
		if err != nil {
			return all, err
		}
		base, _ := revision(g.stem)
		if !dry && !whole[base] {
			if err := s.verifyNewest(ctx, l, base); err != nil {
				return all, err
			}
			whole[base] = true
		}
		const why = "the pack was written anew"
		for _, info := range []objstore.Info{l.packs[m.Header.Object], g.outcome, g.manifest} {
			if info.Key != "" {
				all = append(all, Garbage{s.o.Name, info.Key, info.Size, info.Modified, why})
			}
		}
		if dry {
			continue
		}
		if err := s.removePack(ctx, g.stem, m.Header); err != nil {
			return all, err
		}
	}
	return all, nil
}

// verifyNewest reads the pack back that counts for a base.
func (s *Shelf) verifyNewest(ctx context.Context, l *listing, base string) error {
	for _, g := range l.groups {
		if b, _ := revision(g.stem); b != base {
			continue
		}
		m, err := s.Manifest(ctx, g.manifest.Key)
		if err != nil {
			return err
		}
		return s.Verify(ctx, m)
	}
	return nil
}

// removePack removes a pack whose successor is whole. The manifest goes last, so
// that what is left can always be told.
func (s *Shelf) removePack(ctx context.Context, stem string, h pack.Header) error {
	for _, key := range []string{h.Object, outcomeOf(stem), manifestOf(stem)} {
		if err := s.store.Delete(ctx, key); err != nil {
			return fail("remove", key, err)
		}
	}
	return nil
}
