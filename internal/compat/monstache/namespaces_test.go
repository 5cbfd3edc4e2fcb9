package monstache

import (
	"strings"
	"testing"

	"sluice/internal/config"
)

// fits is how the loader reads a pattern.
func fits(pattern, ns string) bool {
	f := config.Flow{Namespaces: []string{pattern}}
	return f.Follows(ns)
}

// TestNamespaces: what is copied and followed is what Monstache would copy and
// follow, however its lists and expressions are combined. The question is put to a
// list of namespaces.
func TestNamespaces(t *testing.T) {
	all := []string{"db.a", "db.b", "db.tmp_a", "other.a", "other.x", "db.fs.chunks", "db.fs.files", "monstache.tokens", "db.mysystem.x"}
	for _, x := range []struct {
		toml             string
		copied, followed string
	}{
		{``, "", "db.a db.b db.tmp_a other.a other.x db.fs.files"},
		{`change-stream-namespaces = ["db"]`, "", "db.a db.b db.tmp_a db.fs.files"},
		{`direct-read-namespaces = ["db.a"]`, "db.a", "db.a db.b db.tmp_a other.a other.x db.fs.files"},
		{`direct-read-namespaces = ["db.a"]
change-stream-namespaces = ["db.a"]`, "db.a", "db.a"},
		{`direct-read-namespaces = ["db.a"]
change-stream-namespaces = ["other.a"]`, "db.a", "other.a"},
		{`direct-read-namespaces = ["db.a", "other.x"]
change-stream-namespaces = ["db"]
namespace-regex = "a$"`, "db.a other.x", "db.a db.tmp_a"},
		{`direct-read-namespaces = ["db.b", "db.a"]
change-stream-namespaces = ["db.a", "db.b", "other.a"]
namespace-regex = "^db\\.a$"`, "db.a db.b", "db.a"},
		{`direct-read-namespaces = ["db.b"]
change-stream-namespaces = ["db.b"]
namespace-exclude-regex = "b"`, "db.b", ""},
		{`direct-read-namespaces = ["db.b"]
disable-change-events = true`, "db.b", ""},
		{`direct-read-namespaces = [""]`, "db.a db.b db.tmp_a other.a other.x db.fs.files", "db.a db.b db.tmp_a other.a other.x db.fs.files"},
		{`direct-read-namespaces = [""]
direct-read-dynamic-include-regex = "^db"
direct-read-dynamic-exclude-regex = "tmp"`, "db.a db.b db.fs.files", "db.a db.b db.tmp_a other.a other.x db.fs.files"},
		{`direct-read-namespaces = [""]
change-stream-namespaces = ["db", "other.a", "other.x"]
namespace-regex = "a"
namespace-exclude-regex = "tmp"`, "db.a other.a", "db.a other.a"},
		{`change-stream-namespaces = ["", "db.a"]
namespace-regex = "^db\\.(a|b)$"`, "", "db.a db.b"},
	} {
		s := layered(t, x.toml, nil)
		sel := s.selected()
		covered := func(patterns []string, ns string) bool {
			for _, p := range patterns {
				if fits(p, ns) {
					return true
				}
			}
			return false
		}
		var copied, followed []string
		for _, ns := range all {
			if !covered(sel.namespaces, ns) || covered(sel.exclude, ns) {
				continue
			}
			if sel.snapshot && (sel.snapshotInclude == nil || covered(sel.snapshotInclude, ns)) && !covered(sel.snapshotExclude, ns) {
				copied = append(copied, ns)
			}
			if sel.stream && (sel.streamInclude == nil || covered(sel.streamInclude, ns)) && !covered(sel.streamExclude, ns) {
				followed = append(followed, ns)
			}
		}
		if got := strings.Join(copied, " "); got != x.copied {
			t.Errorf("%s\ncopied %q, want %q: %+v", x.toml, got, x.copied, sel)
		}
		if got := strings.Join(followed, " "); got != x.followed {
			t.Errorf("%s\nfollowed %q, want %q: %+v", x.toml, got, x.followed, sel)
		}
		if tr, err := s.Translate(); err != nil {
			t.Error(err)
		} else {
			loads(t, tr)
		}
	}
}
