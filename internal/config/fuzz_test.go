package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzLoad: whatever the text, there is a configuration or there are Errors;
// nothing panics, no secret shows, and what is printed loads and means the same.
func FuzzLoad(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(paths) == 0 {
		f.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4<<10 {
			return // the parser takes quadratic time
		}
		c, err := loadText(text)
		if err != nil {
			var errs Errors
			if !errors.As(err, &errs) || len(errs) == 0 {
				t.Fatalf("%T: %v", err, err)
			}
			if strings.Contains(err.Error(), planted) && !strings.Contains(text, planted) {
				t.Errorf("a secret in: %v", err)
			}
			return
		}
		roundTrip(t, c, printed(t, c))
	})
}
