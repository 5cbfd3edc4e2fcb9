package config

import (
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	f := func(in, want, wantFrom string) {
		t.Helper()
		got, from, err := expand(in, testLookup())
		if err != nil || got != want || from != wantFrom {
			t.Errorf("expand(%q) = %q, %q, %v; want %q, %q", in, got, from, err, want, wantFrom)
		}
	}
	f("", "", "")
	f("plain $ and } and $NAME", "plain $ and } and $NAME", "")
	f("${HOST}", "db1", "env HOST")
	f("a${HOST}b${NUMBER}c", "adb1b8c", "env NUMBER")
	f("${EMPTY}", "", "env EMPTY")
	f("${EMPTY:-x}", "x", "env EMPTY (its default)")
	f("${UNSET:-}", "", "env UNSET (its default)")
	f("${UNSET:-a:-b c}", "a:-b c", "env UNSET (its default)")
	f("${HOST:-x}", "db1", "env HOST")
	f("${file:/secrets/token}", planted, "file /secrets/token")
	f("${file:/secrets/crlf}", planted, "file /secrets/crlf")
	f("${file:/secrets/two}", "a\n", "file /secrets/two")
	f("$${HOST}", "${HOST}", "")
	f("$$${HOST}", "$${HOST}", "")
	f("$${${HOST}", "${db1", "env HOST")
	// What is put in isn't expanded again.
	f("${TRICKY}", "a: b\n#c ${PLANTED}", "env TRICKY")
}

func TestExpandErrors(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if _, _, err := expand(in, testLookup()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("expand(%q): %v; want %q", in, err, want)
		}
	}
	f("${UNSET}", "environment variable UNSET is not set")
	f("a ${HOST", "${ without }")
	f("${}", "write ${NAME}")
	f("${1A}", "write ${NAME}")
	f("${A B}", "write ${NAME}")
	f("${file:/nope}", "${file:/nope}: file does not exist")
}

func TestIncludedFileIsBounded(t *testing.T) {
	if _, err := readSmall("/dev/zero"); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Error(err)
	}
	if _, err := readSmall(t.TempDir()); err == nil {
		t.Error("a directory was read")
	}
}
