package flow

import (
	"errors"
	"strings"
)

// Class says what an error means for who gets it.
type Class uint8

// The classes of errors.
const (
	// Unknown: not classified; treated as Transient a few times, then as Fatal.
	Unknown Class = iota
	// Transient: it passes; try again with a pause.
	Transient
	// Document: this one document can't be written.
	Document
	// Config: what the user configured can't work; exit code 2.
	Config
	// Auth: who we are, or what we may do.
	Auth
	// Lost: the history that we need is gone (rule S6).
	Lost
	// Conflict: somebody else owns what we wanted to change.
	Conflict
	// Fatal: stop, and tell.
	Fatal
)

// String names the class as logs show it.
func (c Class) String() string {
	names := [...]string{"unknown", "transient", "document", "config", "auth", "lost", "conflict", "fatal"}
	if int(c) < len(names) {
		return names[c]
	}
	return "unknown"
}

// Error tells operation, object, cause, class and cure. It is returned or
// logged, never both. It holds no secret: who makes one redacts first.
type Error struct {
	// Op is what was being done: "open change stream".
	Op string
	// Object is what it was done to: "shop.orders", "http://127.0.0.1:9200".
	Object string
	Class  Class
	// Err is the cause.
	Err error
	// Hint is the cure, in words that a user can act on. May span lines.
	Hint string
}

// Error formats the error in one line, with the hint on lines of its own.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Object != "" {
		b.WriteString(" " + e.Object)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	if e.Hint != "" {
		b.WriteString("\n  " + strings.ReplaceAll(e.Hint, "\n", "\n  "))
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ClassOf returns the class of the outermost Error in err's chain that has
// one, Unknown without any.
func ClassOf(err error) Class {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return Unknown
		}
		if e.Class != Unknown {
			return e.Class
		}
		err = e.Err
	}
	return Unknown
}
