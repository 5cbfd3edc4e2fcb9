package app

import (
	"fmt"
	"io"
	"log/slog"
)

// LogOptions say how log lines look and which of them are written.
type LogOptions struct {
	// Format is "text", "json" or "auto": text on a terminal, json elsewhere.
	Format string
	// Level is "debug", "info", "warn" or "error".
	Level string
	// Terminal tells whether w is one.
	Terminal bool
}

// NewLogger returns a logger that writes to w.
func NewLogger(w io.Writer, o LogOptions) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.Level)); err != nil {
		return nil, fmt.Errorf("--log-level %q: use debug, info, warn or error", o.Level)
	}
	h := &slog.HandlerOptions{Level: level}
	switch {
	case o.Format == "json", o.Format == "auto" && !o.Terminal:
		return slog.New(slog.NewJSONHandler(w, h)), nil
	case o.Format == "text", o.Format == "auto":
		return slog.New(slog.NewTextHandler(w, h)), nil
	}
	return nil, fmt.Errorf("--log-format %q: use auto, text or json", o.Format)
}
