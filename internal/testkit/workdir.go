package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// workPrefix starts the name of a server's folder; pid, name and a number follow.
const workPrefix = "sluice-testkit-run-"

// newWorkDir makes the folder of one server, in parent or the system's
// temporary folder, and removes the data that killed processes left behind.
func newWorkDir(parent, name string) (string, error) {
	if parent == "" {
		parent = os.TempDir()
		sweep(parent)
	}
	return os.MkdirTemp(parent, fmt.Sprintf("%s%d-%s-*", workPrefix, os.Getpid(), name))
}

// dropWorkDir removes a server's folder. In tests the logs are kept: Main
// removes them when all tests passed.
func dropWorkDir(dir string) error {
	if !testing.Testing() {
		return os.RemoveAll(dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != logsDir {
			err = os.RemoveAll(filepath.Join(dir, e.Name()))
		}
	}
	return err
}

// logsDir is the part of a server's folder that outlives it.
const logsDir = "logs"

func sweep(parent string) {
	dirs, err := filepath.Glob(filepath.Join(parent, workPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		var pid int
		rest := strings.TrimPrefix(filepath.Base(dir), workPrefix)
		if _, err := fmt.Sscanf(rest, "%d-", &pid); err != nil || alive(pid) {
			continue
		}
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			_ = os.RemoveAll(dir)
			continue
		}
		_ = dropWorkDir(dir)
	}
}
