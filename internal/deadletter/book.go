package deadletter

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"sluice/internal/flow"
	"sluice/internal/transcode"
)

// Book is the dead letters of one flow: a Store, and the keys of the open
// letters in memory. It is safe for concurrent use, and the only user of its store.
type Book struct {
	store Store
	count atomic.Int64

	// io makes calls of the store, and what follows from them, one at a time.
	// It is taken before mu.
	io sync.Mutex

	mu sync.RWMutex
	// open holds the versions of the open letters. Two levels, so that a
	// look-up needs no new string.
	open map[flow.Namespace]map[string]int64
	// closing holds keys that are settled, whose removal has failed so far.
	closing map[Key]int64
}

// Open loads the keys of the open letters.
func Open(ctx context.Context, s Store) (*Book, error) {
	b := &Book{store: s, open: make(map[flow.Namespace]map[string]int64), closing: make(map[Key]int64)}
	err := s.Load(ctx, func(l Letter) error {
		b.note(l.Key, l.Version)
		return nil
	})
	if err != nil {
		return nil, &flow.Error{Op: "load the dead letters", Class: flow.ClassOf(err), Err: err}
	}
	return b, nil
}

// Count returns the number of open letters.
func (b *Book) Count() int { return int(b.count.Load()) }

// Has tells whether the key has an open letter.
func (b *Book) Has(k Key) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	_, ok := b.open[k.NS][k.ID]
	return ok
}

// Letters calls f with every open letter, in no order; f must not call the
// book. It stops at f's first error and returns it.
func (b *Book) Letters(ctx context.Context, f func(Letter) error) error {
	b.io.Lock()
	defer b.io.Unlock()
	return b.store.Load(ctx, f)
}

// Put keeps one letter per change and returns when they are durable. A letter
// of a newer version of its key stays as it is. Nothing of changes is kept.
// Several changes of one key: the newest counts.
func (b *Book) Put(ctx context.Context, changes []flow.Change, verdicts []flow.Verdict) error {
	now := time.Now()
	newest := make(map[Key]int, len(changes))
	letters := make([]Letter, 0, len(changes))
	for i := range changes {
		l, err := New(&changes[i], verdicts[i], now)
		if err != nil {
			return &flow.Error{Op: "write a dead letter of", Object: changes[i].NS.String(), Class: flow.Fatal, Err: err}
		}
		at, seen := newest[l.Key]
		switch {
		case !seen:
			newest[l.Key] = len(letters)
			letters = append(letters, l)
		case letters[at].Version <= l.Version:
			letters[at] = l
		}
	}
	b.io.Lock()
	defer b.io.Unlock()
	letters = b.fresh(letters)
	if len(letters) == 0 {
		return nil
	}
	if err := b.store.Put(ctx, letters); err != nil {
		return wrap("write dead letters", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range letters {
		b.note(letters[i].Key, letters[i].Version)
		delete(b.closing, letters[i].Key)
	}
	return nil
}

// fresh leaves out the letters whose key has a newer one.
func (b *Book) fresh(letters []Letter) []Letter {
	b.mu.RLock()
	defer b.mu.RUnlock()
	kept := letters[:0]
	for _, l := range letters {
		if v, ok := b.open[l.NS][l.ID]; !ok || v <= l.Version {
			kept = append(kept, l)
		}
	}
	return kept
}

// note puts down that key has an open letter; b.mu is held, or b not shared yet.
func (b *Book) note(k Key, version int64) {
	ids := b.open[k.NS]
	if ids == nil {
		ids = make(map[string]int64)
		b.open[k.NS] = ids
	}
	if _, ok := ids[k.ID]; !ok {
		b.count.Add(1)
	}
	ids[k.ID] = version
}

// Settled closes the letters of the keys of changes, which are all settled, if
// they are not older than the letter. Without open letters it costs one load.
// After an error the letters are still open; the next call tries again.
func (b *Book) Settled(ctx context.Context, changes []flow.Change) error {
	if b.count.Load() == 0 {
		return nil
	}
	closed := b.match(changes)
	if len(closed) == 0 && !b.isClosing() {
		return nil
	}
	b.io.Lock()
	defer b.io.Unlock()
	return b.remove(ctx, closed)
}

// match returns the keys of changes that close an open letter, with the
// versions that the changes reach.
func (b *Book) match(changes []flow.Change) map[Key]int64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var closed map[Key]int64
	var text [128]byte
	for i := range changes {
		c := &changes[i]
		ids := b.open[c.NS]
		if len(ids) == 0 {
			continue
		}
		id := transcode.AppendID(text[:0], c.ID)
		if v, ok := ids[string(id)]; !ok || reach(c) < v {
			continue
		}
		if closed == nil {
			closed = make(map[Key]int64)
		}
		k := Key{NS: c.NS, ID: string(id)}
		closed[k] = max(closed[k], reach(c))
	}
	return closed
}

func (b *Book) isClosing() bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.closing) > 0
}

// Close takes the letters of keys away, whatever their version: a person
// decided so. Keys without a letter are no error.
func (b *Book) Close(ctx context.Context, keys []Key) error {
	b.io.Lock()
	defer b.io.Unlock()
	closed := make(map[Key]int64)
	b.mu.RLock()
	for _, k := range keys {
		if v, ok := b.open[k.NS][k.ID]; ok {
			closed[k] = v
		}
	}
	b.mu.RUnlock()
	return b.remove(ctx, closed)
}

// CloseNamespace takes away the letters of a namespace that was dropped.
func (b *Book) CloseNamespace(ctx context.Context, ns flow.Namespace) error {
	b.io.Lock()
	defer b.io.Unlock()
	closed := make(map[Key]int64)
	b.mu.RLock()
	for id, v := range b.open[ns] {
		closed[Key{NS: ns, ID: id}] = v
	}
	b.mu.RUnlock()
	return b.remove(ctx, closed)
}

// remove takes away the letters of closed, and of what is still closing, that
// are not newer than the version given; b.io is held.
func (b *Book) remove(ctx context.Context, closed map[Key]int64) error {
	b.mu.Lock()
	for k, v := range closed {
		b.closing[k] = max(b.closing[k], v)
	}
	keys := make([]Key, 0, len(b.closing))
	for k, v := range b.closing {
		if have, ok := b.open[k.NS][k.ID]; ok && have <= v {
			keys = append(keys, k)
		} else {
			delete(b.closing, k)
		}
	}
	b.mu.Unlock()
	if len(keys) == 0 {
		return nil
	}
	if err := b.store.Remove(ctx, keys); err != nil {
		return wrap("close dead letters", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range keys {
		delete(b.closing, k)
		ids := b.open[k.NS]
		delete(ids, k.ID)
		if len(ids) == 0 {
			delete(b.open, k.NS)
		}
		b.count.Add(-1)
	}
	return nil
}

func wrap(op string, err error) error {
	return &flow.Error{Op: op, Class: flow.ClassOf(err), Err: err}
}
