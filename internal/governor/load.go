package governor

import "time"

// Load is how the live database is doing (rule A7).
type Load struct {
	// LagKnown is false when the lag can't be read; that is a pause.
	LagKnown bool
	// Lag is that of the slowest member that carries data and votes.
	Lag time.Duration
	// FlowControlled: the primary slows its writers down.
	FlowControlled bool
	// WindowKnown and Window: how far back the oplog reaches.
	WindowKnown bool
	Window      time.Duration
	// Dirty is the dirty share of the cache, 0 to 1; Queued the operations that
	// wait for a ticket; both only if LoadKnown.
	LoadKnown bool
	Dirty     float64
	Queued    int64
	// Missing names the rights that would make known what is not.
	Missing []string
}
