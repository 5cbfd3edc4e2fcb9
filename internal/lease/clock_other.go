//go:build !linux

package lease

import "time"

// systemClock counts while the machine is suspended: the wall clock does, and
// the monotonic one can't be set back; what has gone further is right.
func systemClock() func() time.Duration {
	start := time.Now()
	return func() time.Duration {
		now := time.Now()
		return max(now.Sub(start), now.Round(0).Sub(start.Round(0)))
	}
}
