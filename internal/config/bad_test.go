package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBad holds every file testdata/*.bad.yaml against its messages.
func TestBad(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil || len(paths) < 30 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".bad.yaml"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := messages(t, string(text))
			if got == "" {
				t.Fatal("loads without an error")
			}
			if strings.Contains(got, "hunter") || strings.Contains(got, planted) {
				t.Errorf("a secret in a message:\n%s", got)
			}
			expected := strings.TrimSuffix(path, ".yaml") + ".txt"
			if update() {
				if err := os.WriteFile(expected, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(expected)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%swant:\n%s", got, want)
			}
		})
	}
}
