package restore

import (
	"context"
	"crypto/sha256"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/archive/catalogue"
	"sluice/internal/cold"
	"sluice/internal/mql"
)

// conflict keeps a document whose key is live, with the hash of the live one, to
// be looked into with others (ReplaceOlder).
func (r *restoring) conflict(g guest, x cold.Return) {
	live := cold.Hash(sha256.Sum256(x.Live))
	g.Replaceable = []cold.Hash{live}
	r.conflicts = append(r.conflicts, g)
	r.conflictBytes += len(g.Doc)
}

// judge restores the conflicting documents once more: those whose live document
// is an archived version older than theirs may replace it. An older one is found
// by the manifests alone, among all packs of the namespace in this store.
func (r *restoring) judge(ctx context.Context) error {
	all := r.conflicts
	r.conflicts, r.conflictBytes = nil, 0
	if len(all) == 0 {
		return nil
	}
	older, err := r.olderVersions(ctx, all)
	if err != nil {
		return err
	}
	var again []guest
	for i, g := range all {
		if older[i] {
			again = append(again, g)
			continue
		}
		r.tally(g, cold.Return{Returned: cold.Conflicting})
	}
	if len(again) == 0 {
		return nil
	}
	return r.writeNow(ctx, again)
}

// olderVersions tells for each whether its Replaceable is the hash of an archived
// version of its key that was read before it.
func (r *restoring) olderVersions(ctx context.Context, all []guest) ([]bool, error) {
	ns := all[0].header.Header.NS // those of one namespace are settled before the next begins
	byKey := make(map[string]int, len(all))
	ids := make([]bson.RawValue, len(all))
	for i, g := range all {
		ids[i] = g.ID
		byKey[string(mql.AppendKey(nil, g.ID))] = i
	}
	q := catalogue.Query{NS: ns}
	items, err := r.d.Packs.Select(ctx, q, ids)
	if err != nil {
		return nil, err
	}
	older := make([]bool, len(all))
	var key []byte
	for _, it := range items {
		o, err := r.d.Packs.Open(ctx, it)
		if err != nil {
			return nil, err
		}
		for n, e := range o.Manifest.Entries {
			key = mql.AppendKey(key[:0], e.ID)
			i, ok := byKey[string(key)]
			if ok && e.Hash == all[i].Replaceable[0] && before(it, n, all[i]) {
				older[i] = true
			}
		}
	}
	return older, nil
}

// before tells whether entry n of a pack is older than a document on its way.
func before(it catalogue.Item, n int, g guest) bool {
	if it.Header.ID == g.header.Header.ID {
		return n < g.entry
	}
	return catalogue.Older(it.Header, g.header.Header)
}
