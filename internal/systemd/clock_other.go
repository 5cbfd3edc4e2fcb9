//go:build !linux

package systemd

// monotonic is not known here, and nor is there a systemd.
func monotonic() (usec int64, ok bool) { return 0, false }
