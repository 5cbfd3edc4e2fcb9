package monstache

import (
	"os"
	"strings"
	"testing"
)

// TestMetadataOf finds what scripts say of documents, in the ways that
// documentation and users write it.
func TestMetadataOf(t *testing.T) {
	for code, want := range map[string]string{
		"doc._meta_monstache = { routing: doc.a, index: 'b' };":              "index, routing",
		"doc._meta_monstache = {\n  'pipeline': 'x'\n};":                     "pipeline",
		"var meta = {}; doc._meta_monstache.id = 3":                          "id",
		"doc['_meta_monstache']['version'] = 3":                              "",
		"doc._meta_monstache['version'] = 3":                                 "version",
		"return {a: 1, _meta_monstache: {parent: doc.p, versionType: 'x'}};": "parent, versionType",
		"doc._meta_monstache = { skip: true }; doc.index = 1":                "",
		"doc.index = 1; doc.routing = 2":                                     "",
	} {
		if got := strings.Join(metadataOf(code), ", "); got != want {
			t.Errorf("%s: %q, want %q", code, got, want)
		}
	}
}

// TestMetadataStops: such a script stops the start, wherever it stands.
func TestMetadataStops(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("a.js", []byte("module.exports = function(doc) { doc._meta_monstache = {routing: 1}; return doc }"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"path = 'a.js'", "script = 'doc._meta_monstache.routing = 1'"} {
		_, err := layered(t, "[[script]]\nnamespace = 'a.b'\n"+line+"\n", nil).Translate()
		if err == nil || !strings.Contains(err.Error(), ":2:1: [[script]] sets routing in _meta_monstache") {
			t.Errorf("%s: %v", line, err)
		}
	}
}
