//go:build integration && !linux

package e2e

import (
	"os"
	"testing"
)

func mountSmall(*testing.T, string) bool { return false }

func setReadOnly(t *testing.T, dir string) bool {
	t.Helper()
	if os.Getuid() <= 0 {
		return false
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	return true
}

func isFull(error) bool { return true }
