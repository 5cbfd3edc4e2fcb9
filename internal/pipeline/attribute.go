package pipeline

import (
	"context"

	"sluice/internal/flow"
)

const whatAttribute = "attribute"

// Attributor tells an archive's deletes from users' (rule A5).
type Attributor interface {
	// Attribute sets Archived on those OpDelete among changes that are an
	// archive's own, and changes nothing else. It may return nil only when it
	// knows of every delete: a guess would leave a user's deleted document in
	// the index, or take an archived one out of it. A Transient error is tried
	// again with the same changes. One goroutine calls it, in the order of the
	// stream; it keeps none of the changes' bytes.
	Attribute(ctx context.Context, changes []flow.Change) error
}

// attribute lets the deletes of a stream's batch be told apart. It comes before
// changes are merged: what becomes of a key depends on whose each delete is.
func (p *Pump) attribute(ctx context.Context, b *flow.Batch) error {
	if p.opts.Attributor == nil {
		return nil
	}
	first := firstDelete(b.Changes)
	if first < 0 {
		return nil
	}
	return p.retry.do(ctx, whatAttribute, Retrying, func(ctx context.Context) error {
		return p.opts.Attributor.Attribute(ctx, b.Changes[first:])
	})
}
