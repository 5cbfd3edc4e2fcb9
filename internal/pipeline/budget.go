package pipeline

import (
	"context"
	"sync/atomic"

	"sluice/internal/flow"
	"sluice/internal/quota"
)

// origin tells the two sources of a pump apart.
type origin uint8

const (
	fromStream origin = iota
	fromSnapshot
)

func (o origin) String() string {
	if o == fromSnapshot {
		return "snapshot"
	}
	return "stream"
}

// changeCost is what one waiting change takes beside its BSON: the Change, its
// place in a lane's queue and in a merged batch.
const changeCost = 384

// cost is what a batch takes of the budget.
func cost(b *flow.Batch) int64 { return int64(b.Bytes) + changeCost*int64(len(b.Changes)) }

// budget bounds the bytes that were read and are not settled (rule S9). Each
// origin may hold at most three quarters: the last quarter is always free for
// the other one. Who holds bytes never waits for more of them, so what is held
// is always let go in the end, and waiters are served in order.
type budget struct {
	total *quota.Quota
	share [2]*quota.Quota
	used  [2]atomic.Int64
}

func newBudget(bytes int64) *budget {
	b := &budget{total: quota.New(bytes)}
	for i := range b.share {
		b.share[i] = quota.New(shareOf(bytes))
	}
	return b
}

// shareOf is what each origin may hold of a budget.
func shareOf(bytes int64) int64 { return bytes - bytes/4 }

// resize changes the budget. Of a smaller one, what is held beyond it is let go
// as it settles, and nothing is read until then.
func (b *budget) resize(bytes int64) {
	for i := range b.share {
		b.share[i].Resize(shareOf(bytes))
	}
	b.total.Resize(bytes)
}

// acquire waits until n bytes are free for o and returns how many were taken:
// a batch larger than the whole share takes all of it.
func (b *budget) acquire(ctx context.Context, o origin, n int64) (int64, error) {
	n = min(n, b.share[o].Size())
	if err := b.share[o].Acquire(ctx, n); err != nil {
		return 0, err
	}
	if err := b.total.Acquire(ctx, n); err != nil {
		b.share[o].Release(n)
		return 0, err
	}
	b.used[o].Add(n)
	return n, nil
}

// release gives back what acquire took.
func (b *budget) release(o origin, n int64) {
	b.used[o].Add(-n)
	b.total.Release(n)
	b.share[o].Release(n)
}

// inUse returns the bytes that wait now.
func (b *budget) inUse() int64 {
	return b.used[fromStream].Load() + b.used[fromSnapshot].Load()
}
