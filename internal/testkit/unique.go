package testkit

import (
	"fmt"
	"hash/fnv"
	"os"
	"strings"
	"testing"
	"time"
)

// UniqueName makes a name from the test's name that no other test and no other
// process has: lower-case letters, digits and underscores, at most 48 bytes,
// good as a database name, an index name, or a prefix of one.
func UniqueName(t testing.TB) string {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%s %d %d", t.Name(), os.Getpid(), time.Now().UnixNano())
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, t.Name())
	return fmt.Sprintf("%s_%08x", strings.Trim(clean[:min(len(clean), 36)], "_"), uint32(h.Sum64()))
}
