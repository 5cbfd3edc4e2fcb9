package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestLoadFiles: the file, its secrets and its certificates are all that is
// watched, whether they can be read or not, and every change of one is seen.
func TestLoadFiles(t *testing.T) {
	dir := t.TempDir()
	path, secret, ca := filepath.Join(dir, "sluice.yaml"), filepath.Join(dir, "key"), filepath.Join(dir, "ca.pem")
	text := strings.Replace(least, "[http://127.0.0.1:9200]", "[https://127.0.0.1:9200]\n  auth: {api_key: \"${file:"+secret+"}\"}\n  tls: {ca_file: "+ca+"}", 1)
	write(t, path, text)
	_, files, err := LoadFiles(path, Overrides{})
	if err == nil {
		t.Fatal("a secret that is not there was read")
	}
	if names := files.Names(); !slices.Equal(names, []string{secret, path}) {
		t.Fatalf("%v", names)
	}
	write(t, secret, "one")
	if files.Now().Equal(files) {
		t.Error("a secret that came is not seen")
	}
	write(t, ca, "PEM")
	a, files, err := LoadFiles(path, Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	if names := files.Names(); !slices.Equal(names, []string{ca, secret, path}) || !files.Now().Equal(files) {
		t.Fatalf("%v", names)
	}
	for _, p := range []string{ca, secret, path} {
		old, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		write(t, p, string(old)+"\n# more")
		if files.Now().Equal(files) {
			t.Errorf("a change of %s is not seen", p)
		}
		b, _, err := LoadFiles(path, Overrides{})
		if err != nil {
			t.Fatal(err)
		}
		if d := diffOf(t, a, b); d.Empty() != (p == path) {
			t.Errorf("%s: %+v", p, d)
		}
		write(t, p, string(old))
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if files.Now().Equal(files) {
		t.Error("a file that is gone is not seen")
	}
	if _, gone, err := LoadFiles(path, Overrides{}); err == nil || !slices.Equal(gone.Names(), []string{path}) || !gone.Now().Equal(gone) {
		t.Error(gone.Names(), err)
	}
}
