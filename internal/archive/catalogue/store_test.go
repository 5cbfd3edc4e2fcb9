package catalogue

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/internal/flow"
	"sluice/internal/objstore"
)

var errKilled = errors.New("killed")

// memory is a store that counts its calls, and dies at one of them: it, and all
// that follow, fail. Of the call that it dies at, the effect may be there.
type memory struct {
	mu       sync.Mutex
	objects  map[string][]byte
	modified map[string]time.Time
	version  string
	locked   func(key string) bool
	spoil    func(key string) bool // what it stores differs from what it got
	gets     []string
	calls    int
	// dieAt is the number of the write (from 1 on) to die at, 0 for none; late:
	// after its effect.
	writes, dieAt int
	late          bool
}

func newMemory() *memory {
	return &memory{objects: map[string][]byte{}, modified: map[string]time.Time{}}
}

func (m *memory) copy() *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &memory{objects: maps.Clone(m.objects), modified: maps.Clone(m.modified), version: m.version}
}

func (m *memory) dead() error {
	m.calls++
	if m.dieAt > 0 && m.writes >= m.dieAt {
		return &flow.Error{Op: "call", Class: flow.Transient, Err: errKilled}
	}
	return nil
}

// write does an effect, or dies.
func (m *memory) write(effect func() error) error {
	if err := m.dead(); err != nil {
		return err
	}
	m.writes++
	if m.writes != m.dieAt {
		return effect()
	}
	if m.late {
		_ = effect()
	}
	return &flow.Error{Op: "write", Class: flow.Transient, Err: errKilled}
}

func (m *memory) missing(key string) error {
	return &flow.Error{Op: "get", Object: key, Class: flow.Fatal, Err: objstore.ErrNotFound}
}

func (m *memory) Get(_ context.Context, key string, off, n int64) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.dead(); err != nil {
		return nil, err
	}
	m.gets = append(m.gets, key)
	b, ok := m.objects[key]
	if !ok {
		return nil, m.missing(key)
	}
	if off > int64(len(b)) {
		return nil, &flow.Error{Op: "get", Object: key, Class: flow.Fatal, Err: objstore.ErrRange}
	}
	b = b[off:]
	if n >= 0 && n < int64(len(b)) {
		b = b[:n]
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func (m *memory) Head(_ context.Context, key string) (objstore.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.dead(); err != nil {
		return objstore.Info{}, err
	}
	b, ok := m.objects[key]
	if !ok {
		return objstore.Info{}, m.missing(key)
	}
	return objstore.Info{Key: key, Size: int64(len(b)), Modified: m.modified[key], Version: m.version}, nil
}

func (m *memory) List(_ context.Context, prefix string) iter.Seq2[objstore.Info, error] {
	m.mu.Lock()
	defer m.mu.Unlock()
	dead := m.dead()
	var all []objstore.Info
	for _, k := range slices.Sorted(maps.Keys(m.objects)) {
		if strings.HasPrefix(k, prefix) {
			all = append(all, objstore.Info{Key: k, Size: int64(len(m.objects[k])), Modified: m.modified[k]})
		}
	}
	return func(yield func(objstore.Info, error) bool) {
		if dead != nil {
			yield(objstore.Info{}, dead)
			return
		}
		for _, i := range all {
			if !yield(i, nil) {
				return
			}
		}
	}
}

func (m *memory) Put(_ context.Context, key string, b objstore.Body, _ objstore.PutOptions) (objstore.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := objstore.CheckKey(key); err != nil {
		return objstore.Info{}, err
	}
	all := make([]byte, b.Size())
	if _, err := b.ReadAt(all, 0); err != nil && !errors.Is(err, io.EOF) {
		return objstore.Info{}, err
	}
	return objstore.Info{Key: key, Size: b.Size()}, m.write(func() error {
		if _, ok := m.objects[key]; ok {
			return &flow.Error{Op: "put", Object: key, Class: flow.Conflict, Err: objstore.ErrExists}
		}
		if m.spoil != nil && m.spoil(key) {
			all[len(all)/2] ^= 1
		}
		m.objects[key], m.modified[key] = all, time.Now()
		return nil
	})
}

func (m *memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.write(func() error {
		if m.locked != nil && m.locked(key) {
			return &flow.Error{Op: "delete", Object: key, Class: flow.Auth, Err: errors.New("object is locked")}
		}
		delete(m.objects, key)
		return nil
	})
}
