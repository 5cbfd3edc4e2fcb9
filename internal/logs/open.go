package logs

import (
	"io"
	"log/slog"
	"time"

	"sluice/internal/flow"
)

// Format is how a line looks.
type Format string

// The formats.
const (
	Text Format = "text"
	JSON Format = "json"
	// Plain is "LEVEL YYYY/MM/DD HH:MM:SS text", as Monstache writes.
	Plain Format = "plain"
)

// Files are paths by level; "" is the console. Several may be the same.
type Files struct {
	// Info also gets what is below it.
	Info, Warn, Error, Trace, Stats string
}

// Options say how lines look and where they go.
type Options struct {
	Format Format
	// Level is the least to be written; flow.LevelTrace and flow.LevelStats are
	// always, for nobody writes at them unasked.
	Level slog.Level
	// Console gets what goes to no file; Errors what of that are errors, and may
	// be the same. Each may be called from several goroutines.
	Console, Errors io.Writer
	Files           Files
	Rotate          Rotate
	// Location is that of the times of Plain; nil: local.
	Location *time.Location
}

// Open returns a logger, and what closes its files. Every file is there and can be
// written to, or the error, of class Config, tells of each that can't.
func Open(o Options) (*slog.Logger, func() error, error) {
	if o.Location == nil {
		o.Location = time.Local
	}
	files, err := openFiles(o.Files, o.Rotate)
	if err != nil {
		return nil, nil, err
	}
	known := map[io.Writer]slog.Handler{} // one each, for one lock each
	to := func(path string, console io.Writer) slog.Handler {
		w := console
		if path != "" {
			w = files.writer(path)
		}
		if known[w] == nil {
			known[w] = o.handler(w)
		}
		return known[w]
	}
	return slog.New(router{
		least: o.Level,
		info:  to(o.Files.Info, o.Console), warn: to(o.Files.Warn, o.Console), error: to(o.Files.Error, o.Errors),
		trace: to(o.Files.Trace, o.Console), stats: to(o.Files.Stats, o.Console),
	}), files.close, nil
}

// handler writes everything that it gets to w.
func (o Options) handler(w io.Writer) slog.Handler {
	if o.Format == Plain {
		return newPlain(w, o.Location)
	}
	h := &slog.HandlerOptions{Level: flow.LevelTrace, ReplaceAttr: nameLevel}
	if o.Format == JSON {
		return slog.NewJSONHandler(w, h)
	}
	return slog.NewTextHandler(w, h)
}

// nameLevel gives our own levels their names.
func nameLevel(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 || a.Key != slog.LevelKey {
		return a
	}
	if l, ok := a.Value.Any().(slog.Level); ok && (l == flow.LevelTrace || l == flow.LevelStats) {
		a.Value = slog.StringValue(levelName(l))
	}
	return a
}

// levelName is the name of a level in words of which there are six.
func levelName(l slog.Level) string {
	switch {
	case l == flow.LevelTrace:
		return "TRACE"
	case l == flow.LevelStats:
		return "STATS"
	case l >= slog.LevelError:
		return "ERROR"
	case l >= slog.LevelWarn:
		return "WARN"
	case l >= slog.LevelInfo:
		return "INFO"
	}
	return "DEBUG"
}
