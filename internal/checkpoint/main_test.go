package checkpoint

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// envOpen makes the test binary play the second process of a lock test: it
// opens the file that the variable names, and prints what came of it.
const envOpen = "SLUICE_CHECKPOINT_TEST_OPEN"

func TestMain(m *testing.M) {
	if path := os.Getenv(envOpen); path != "" {
		_, err := OpenFile(path)
		_, _ = fmt.Fprintln(os.Stdout, err)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
