package flow

import (
	"errors"
	"fmt"
)

// Severity says how much a Finding matters.
type Severity string

// The severities of findings.
const (
	// FindingOK: looked at, and sound.
	FindingOK Severity = "ok"
	// FindingInfo: good to know; nothing has to be done.
	FindingInfo Severity = "info"
	// FindingWarning: it works, and may not tomorrow; or not for every document.
	FindingWarning Severity = "warning"
	// FindingError: it can't work as it is.
	FindingError Severity = "error"
)

// Finding is what one check of a preflight has found. It holds no secret.
type Finding struct {
	// Check names the check, for programs: "mongodb.majority", "search.disk".
	Check string `json:"check"`
	// Object is what was looked at: a namespace, an index, a URL, a path.
	Object   string   `json:"object,omitempty"`
	Severity Severity `json:"severity"`
	// What was found, Cause why it is so or why it matters, Cure what to do: each
	// in words. A sound check has What alone.
	What  string `json:"what"`
	Cause string `json:"cause,omitempty"`
	// Cure may span lines.
	Cure string `json:"cure,omitempty"`
}

// Findings collects what checks have found. The zero value is ready; one
// goroutine uses it.
type Findings []Finding

// OK notes a check that found nothing wrong.
func (f *Findings) OK(check, object, format string, args ...any) {
	*f = append(*f, Finding{Check: check, Object: object, Severity: FindingOK, What: fmt.Sprintf(format, args...)})
}

// Add notes a finding.
func (f *Findings) Add(severity Severity, check, object, what, cause, cure string) {
	*f = append(*f, Finding{Check: check, Object: object, Severity: severity, What: what, Cause: cause, Cure: cure})
}

// Fail notes err, with its cause and its cure where it has them. An error
// without a cure gets the given one. nil notes nothing.
func (f *Findings) Fail(severity Severity, check, object string, err error, cure string) {
	if err == nil {
		return
	}
	one := Finding{Check: check, Object: object, Severity: severity, What: err.Error(), Cure: cure}
	if e, ok := errors.AsType[*Error](err); ok {
		one.What = "could not " + e.Op
		if e.Object != "" {
			one.What += " " + e.Object
			if object == "" {
				one.Object = e.Object
			}
		}
		if e.Err != nil {
			one.Cause = e.Err.Error()
		}
		if e.Hint != "" {
			one.Cure = e.Hint
		}
	}
	*f = append(*f, one)
}

// Sound tells whether there is no error among them.
func (f Findings) Sound() bool {
	for _, one := range f {
		if one.Severity == FindingError {
			return false
		}
	}
	return true
}
