package objstore

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"sluice/internal/flow"
)

// What callers tell apart with errors.Is; each comes inside a *flow.Error.
var (
	// ErrNotFound: there is no object under the key.
	ErrNotFound = errors.New("there is no such object")
	// ErrExists: there is an object under the key, and it was not replaced.
	ErrExists = errors.New("there is an object under this key already")
	// ErrCold: the object's storage class must be thawed before it can be read.
	ErrCold = errors.New("the object is in a cold storage class")
	// ErrRange: the object ends before the first byte that was asked for.
	ErrRange = errors.New("the object ends before that range")
	// ErrDamaged: the bytes are not those of the checksum.
	ErrDamaged = errors.New("the bytes do not match their checksum")
	// ErrNoSpace: the store is full; what was being written is gone.
	ErrNoSpace = errors.New("there is no space left in the store")
)

const (
	hintCold   = "Thaw it first (it takes minutes to hours, by class and tier), then ask again."
	hintBody   = "Nothing was stored. The file was changed or damaged between its writing and its upload: look at the local disk."
	hintSpace  = "Nothing was stored. Free space, or raise the quota; the next run writes it again."
	hintAtRest = "What is stored is not what was written: do not delete anything that is in it. Look at the store's disks; an older version or a replica may be whole."
)

// mismatch is the refusal of a body that is not what its hash promised.
func mismatch(op, object, got, want string) error {
	return &flow.Error{
		Op: op, Object: object, Class: flow.Fatal,
		Err:  fmt.Errorf("%w: the body has SHA-256 %s, promised was %s", ErrDamaged, got, want),
		Hint: hintBody,
	}
}

// ended wraps the end of a context.
func ended(ctx context.Context, op, object string) error {
	return &flow.Error{Op: op, Object: object, Err: context.Cause(ctx)}
}

// full tells whether a file system has no room.
func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// joinCause says one of our errors and the cause in one line.
func joinCause(ours, cause error) error { return fmt.Errorf("%w: %w", ours, cause) }
