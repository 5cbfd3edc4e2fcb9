package checkpoint

import (
	"context"
	"errors"
)

var (
	// ErrConflict says that the stored record is not the one that the caller
	// saw: somebody else saved, or removed it. It comes wrapped in a
	// flow.Error of class Conflict.
	ErrConflict = errors.New("the stored state is not the one that we know")
	// ErrLocked says that another process has the state file open. It comes
	// wrapped in a flow.Error of class Conflict that names the process.
	ErrLocked = errors.New("another process has it open")
)

// Record is what a Store keeps: one per place.
type Record struct {
	// Rev is the opaque token of compare-and-set; "" means that there is no
	// record, or that there must be none yet.
	Rev string
	// Fence rises by one with each owner. A Store keeps it and gives it back.
	Fence int64
	// Data belongs to who got the Record; a Store keeps no reference to it.
	Data []byte
}

// Store keeps one Record durably, by compare-and-set. Both methods are safe
// from several goroutines; storetest.TestStore is the contract in full.
type Store interface {
	// Load returns the record, or a zero Record and no error if there is none.
	Load(ctx context.Context) (Record, error)
	// Save replaces the record if its Rev still is r.Rev, and returns r with
	// the new Rev once it is durable. If it is another: ErrConflict, and
	// nothing has changed. After any other error the outcome is unknown: either
	// the old record is there or r, never a mixture; Load tells.
	Save(ctx context.Context, r Record) (Record, error)
}
