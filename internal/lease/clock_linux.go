package lease

import (
	"time"

	"golang.org/x/sys/unix"
)

// systemClock counts while the machine is suspended.
func systemClock() func() time.Duration {
	return func() time.Duration {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
			// Each kernel since 2.6.39 has it; without it no lease is ever valid.
			return 1<<63 - 1
		}
		return time.Duration(ts.Nano())
	}
}
