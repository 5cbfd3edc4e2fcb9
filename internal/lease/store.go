package lease

import (
	"context"
	"errors"
	"time"
)

var (
	// ErrConflict says that the stored row is not the one that was compared
	// with. It comes wrapped in a flow.Error of class Conflict.
	ErrConflict = errors.New("the lease has another owner or has moved")
	// ErrLost says that the lease is ours no more, or for too short a time.
	ErrLost = errors.New("the lease is lost")
)

// Row is what a Store keeps of one lease. A zero Owner is a lease that nobody
// holds.
type Row struct {
	Name string
	// Owner names a process, unique over hosts and restarts.
	Owner string
	// Fence rises by one with each taking; it never falls.
	Fence int64
	// Beat rises with each renewal, and with each change that is made under the
	// lease (a delete transaction increments it too).
	Beat int64
	// TTL is for how long the owner may hold it without a beat.
	TTL time.Duration
}

// Store keeps leases durably. Both methods are safe from several goroutines and
// processes; leasetest.TestStore is the contract in full.
type Store interface {
	// Load returns the row, or a Row with only its Name if there is none.
	Load(ctx context.Context, name string) (Row, error)
	// Save puts next in the place of old if the stored row still has old's
	// Owner, Fence and Beat (a zero old: if there is none). Else ErrConflict, and
	// nothing has changed. After any other error the outcome is unknown; Load tells.
	Save(ctx context.Context, old, next Row) error
}
