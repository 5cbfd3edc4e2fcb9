//go:build unix

package checkpoint

import "golang.org/x/sys/unix"

// freeBytes is the room that a user without privileges has in dir.
func freeBytes(dir string) (room int64, known bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, false
	}
	return int64(min(uint64(st.Bavail), 1<<40)) * int64(st.Bsize), true //nolint:unconvert // it is 32 bits wide on other systems
}
