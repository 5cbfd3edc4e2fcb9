//go:build integration

package e2e

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// mountSmall mounts a disk of 64 KB on dir until the test ends; false if this
// user may not.
func mountSmall(t *testing.T, dir string) bool {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		return false
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return true
}

// setReadOnly mounts a disk on dir that nobody may write to; a user who may
// not mount is kept out by the mode of the folder.
func setReadOnly(t *testing.T, dir string) bool {
	t.Helper()
	if mountSmall(t, dir) {
		if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
		return true
	}
	if unix.Getuid() == 0 {
		return false // modes don't hold root back
	}
	if err := unix.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	return true
}

func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) }
