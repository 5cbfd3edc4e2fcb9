package app

import (
	"strings"
	"testing"
)

func TestScreenKeepsLogsAboveProgress(t *testing.T) {
	var out strings.Builder
	s := NewScreen(&out)
	_, _ = s.Write([]byte("one\n"))
	s.Show("50 %")
	_, _ = s.Write([]byte("two\n"))
	s.Show("")
	_, _ = s.Write([]byte("three\n"))
	want := "one\n" + clearLine + "50 %" + clearLine + "two\n50 %" + clearLine + "three\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
