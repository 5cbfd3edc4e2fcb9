package flow

import "log/slog"

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

// Levels of the log beside slog's. Both are written whenever somebody asks for
// what is told at them, whatever the least level is.
const (
	// LevelTrace is for whole requests and answers.
	LevelTrace = slog.LevelDebug - 4
	// LevelStats is for counts, every while.
	LevelStats = slog.LevelInfo + 2
)
