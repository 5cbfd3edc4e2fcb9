// Package gochive reads the command line and the lists of go-chive
// (github.com/godtechwak/go-chive), and says the same as a sluice.yaml.
//
// It imports nothing of ours and starts nothing: whoever calls it gives the text
// to the strict loader of internal/config. What it can't take is one *Error that
// names every mistake.
package gochive

import (
	"fmt"
	"strings"
)

// Error is what is wrong with a command line or a list. Its text is for the user,
// a mistake per line, and holds no secret.
type Error struct{ Lines []string }

// Error joins the mistakes.
func (e *Error) Error() string { return strings.Join(e.Lines, "\n") }

func fault(format string, args ...any) *Error {
	return &Error{Lines: []string{fmt.Sprintf(format, args...)}}
}
