package flow

import (
	"errors"
	"testing"
)

func TestFindings(t *testing.T) {
	var f Findings
	f.OK("a", "x", "%d is fine", 1)
	f.Fail(FindingError, "b", "", nil, "")
	if !f.Sound() || len(f) != 1 || f[0].What != "1 is fine" {
		t.Fatalf("%+v", f)
	}
	f.Fail(FindingWarning, "b", "", &Error{Op: "open", Object: "there", Err: errors.New("no"), Hint: "do"}, "not this")
	if got, want := f[1], (Finding{"b", "there", FindingWarning, "could not open there", "no", "do"}); got != want || !f.Sound() {
		t.Errorf("got %+v, want %+v", got, want)
	}
	f.Fail(FindingError, "c", "there", errors.New("no"), "do")
	if got, want := f[2], (Finding{"c", "there", FindingError, "no", "", "do"}); got != want || f.Sound() {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
