package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Each direct dependency has a line with its reason, and no line outlives its
// dependency.
func TestDependenciesHaveReasons(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		used[m[1]] = false
	}
	for _, p := range mustPackages(t) {
		for _, i := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if first, _, _ := strings.Cut(i, "/"); !strings.Contains(first, ".") {
				continue
			}
			known := false
			for dep := range used {
				if i == dep || strings.HasPrefix(i, dep+"/") {
					used[dep], known = true, true
				}
			}
			if !known {
				t.Errorf("%s imports %s, which docs/dependencies.md gives no reason for", p.name(), i)
			}
		}
	}
	for dep, ok := range used {
		if !ok {
			t.Errorf("docs/dependencies.md has a reason for %s, which nothing imports", dep)
		}
	}
}
