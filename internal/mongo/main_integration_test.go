//go:build integration

package mongo

import (
	"os"
	"strconv"
	"testing"

	"sluice/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// rounds is how often a test repeats its random part: few in `make test`, the
// full count in `make soak`.
func rounds(few, soak int) int {
	if on, _ := strconv.ParseBool(os.Getenv("SLUICE_SOAK")); on {
		return soak
	}
	return few
}
