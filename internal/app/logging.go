package app

import (
	"fmt"
	"io"
	"log/slog"

	"sluice/internal/config"
	"sluice/internal/logs"
)

// LogOptions say how log lines look and which of them are written.
type LogOptions struct {
	// Format is "text", "json" or "auto": as the configuration says, and else
	// text on a terminal, json elsewhere.
	Format string
	// Level is "debug", "info", "warn" or "error".
	Level string
	// Terminal tells whether the console is one.
	Terminal bool
}

// NewLogger returns a logger that writes to w.
func NewLogger(w io.Writer, o LogOptions) (*slog.Logger, error) {
	l, _, err := OpenLogs(config.Logs{}, o, w, w)
	return l, err
}

// OpenLogs returns a logger as c and o say, and what closes its files. What goes
// to no file goes to errOut, and in Monstache's style to out what is no error.
func OpenLogs(c config.Logs, o LogOptions, out, errOut io.Writer) (*slog.Logger, func() error, error) {
	lo := logs.Options{
		Console: errOut, Errors: errOut,
		Files: logs.Files{Info: c.Info, Warn: c.Warn, Error: c.Error, Trace: c.Trace, Stats: c.Stats},
		Rotate: logs.Rotate{
			MaxBytes: int64(c.Rotate.MaxSize), MaxAge: c.Rotate.MaxAge, MaxBackups: c.Rotate.MaxBackups,
			LocalTime: c.Rotate.LocalTime, Compress: c.Rotate.Compress,
		},
	}
	if err := lo.Level.UnmarshalText([]byte(o.Level)); err != nil {
		return nil, nil, fmt.Errorf("--log-level %q: use debug, info, warn or error", o.Level)
	}
	switch {
	case MonstacheLines(c, o):
		lo.Format, lo.Console = logs.Plain, out
	case o.Format == "json", o.Format == "auto" && !o.Terminal:
		lo.Format = logs.JSON
	case o.Format == "text", o.Format == "auto":
		lo.Format = logs.Text
	default:
		return nil, nil, fmt.Errorf("--log-format %q: use auto, text or json", o.Format)
	}
	return logs.Open(lo)
}

// MonstacheLines tells whether the lines are in Monstache's style.
func MonstacheLines(c config.Logs, o LogOptions) bool {
	return c.Style == config.LogMonstache && o.Format == "auto"
}
