package deadletter

import "context"

// Store keeps letters durably, one per key. It is called from one goroutine at
// a time. What it returns nil for survives a crash.
type Store interface {
	// Put writes letters; each replaces the one of its key. After an error any
	// of them may have been written.
	Put(ctx context.Context, letters []Letter) error
	// Remove takes the letters of keys away; keys without one are no error.
	Remove(ctx context.Context, keys []Key) error
	// Load calls f with every letter, in no order, until f returns an error,
	// which it returns. f must not call the store.
	Load(ctx context.Context, f func(Letter) error) error
}
