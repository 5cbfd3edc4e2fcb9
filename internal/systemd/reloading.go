package systemd

import "strconv"

// Reloading is the state of one who takes a new configuration, until it is Ready
// again. Where the manager's clock is known, it says when that began, which units
// of the type notify-reload want to know.
func Reloading() string {
	const state = "RELOADING=1"
	usec, ok := monotonic()
	if !ok {
		return state
	}
	return state + "\nMONOTONIC_USEC=" + strconv.FormatInt(usec, 10)
}
