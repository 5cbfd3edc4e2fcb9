package flow

// Keys of log attributes, the same in every package.
const (
	LogNS     = "ns"
	LogIndex  = "index"
	LogErr    = "error"
	LogHint   = "hint"
	LogClass  = "class"
	LogReason = "reason"
	LogCount  = "count"
	LogBytes  = "bytes"
	LogFlow   = "flow"
	LogTime   = "cluster_time"
)
