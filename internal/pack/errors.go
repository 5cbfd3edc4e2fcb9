package pack

import (
	"errors"
	"fmt"
	"io"

	"sluice/internal/flow"
)

// What is done, as errors call it.
const (
	opWrite    = "write pack"
	opVerify   = "verify pack"
	opRead     = "read pack"
	opManifest = "read manifest"
	opEncode   = "write manifest"
	opOutcome  = "read outcome"
)

// hintDamaged is the cure for a file that is not what it was.
const hintDamaged = "The file was cut or changed after it was written. Nothing is deleted on its word.\n" +
	"Bring it back from a replica or an older version in the bucket."

// damaged is the error of a file that is not what it should be.
func damaged(op, object, format string, args ...any) error {
	return &flow.Error{Op: op, Object: object, Class: flow.Fatal, Err: fmt.Errorf(format, args...), Hint: hintDamaged}
}

// newer refuses a file of a format that we don't know.
func newer(op, object string, format, known int) error {
	return &flow.Error{
		Op: op, Object: object, Class: flow.Config,
		Err:  fmt.Errorf("it is of format %d, and this sluice knows formats up to %d", format, known),
		Hint: "A newer sluice wrote it. Use that version or a later one; docs/archive-format.md tells how to read it without.",
	}
}

// cut makes of an end that comes too early the error that says so; another
// error of the reader is passed on with its place.
func cut(op, object string, err error, format string, args ...any) error {
	where := fmt.Sprintf(format, args...)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged(op, object, "it ends too early, %s", where)
	}
	// What the store says keeps its class and its cure.
	return &flow.Error{Op: op, Object: object, Class: flow.ClassOf(err), Err: fmt.Errorf("%s: %w", where, err)}
}
