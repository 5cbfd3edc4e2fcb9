// Package leasetest holds the contract of lease.Store as a test suite, and a
// store in memory. It is for tests only.
package leasetest

import (
	"context"
	"sync"

	"sluice/internal/flow"
	"sluice/internal/lease"
)

// Memory is a lease.Store that lasts as long as the process.
type Memory struct {
	mu   sync.Mutex
	rows map[string]lease.Row
}

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{rows: map[string]lease.Row{}} }

// Load is that of lease.Store.
func (m *Memory) Load(ctx context.Context, name string) (lease.Row, error) {
	if err := ctx.Err(); err != nil {
		return lease.Row{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	row := m.rows[name]
	row.Name = name
	return row, nil
}

// Save is that of lease.Store.
func (m *Memory) Save(ctx context.Context, old, next lease.Row) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	row, ok := m.rows[next.Name]
	absent := old.Owner == "" && old.Fence == 0 && old.Beat == 0
	if ok == absent || row.Owner != old.Owner || row.Fence != old.Fence || row.Beat != old.Beat {
		return conflict(next.Name)
	}
	m.rows[next.Name] = next
	return nil
}

// Bump is what a delete transaction does to the row of its lease: the beat
// rises if owner and fence fit. Else lease.ErrLost.
func (m *Memory) Bump(name, owner string, fence int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	row := m.rows[name]
	if row.Owner != owner || row.Fence != fence {
		return &flow.Error{Op: "change under lease", Object: name, Class: flow.Conflict, Err: lease.ErrLost}
	}
	row.Beat++
	m.rows[name] = row
	return nil
}

func conflict(name string) error {
	return &flow.Error{Op: "save lease", Object: name, Class: flow.Conflict, Err: lease.ErrConflict}
}
