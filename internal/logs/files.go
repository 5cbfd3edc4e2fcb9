package logs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"gopkg.in/natefinch/lumberjack.v2"

	"sluice/internal/flow"
)

// Rotate says when a file is put aside, and how long that is kept.
type Rotate struct {
	// MaxBytes is rounded up to whole MiB; 0: 100 MiB.
	MaxBytes int64
	// MaxAge is in whole days; 0 keeps files of any age, as MaxBackups any number.
	MaxAge     time.Duration
	MaxBackups int
	// LocalTime: the times in the names are local, not UTC.
	LocalTime bool
	Compress  bool
}

const (
	mebibyte = 1 << 20
	day      = 24 * time.Hour
)

// files are the open ones, by cleaned path.
type files map[string]*lumberjack.Logger

// openFiles makes sure that every file can be written to, and makes the
// directories that are not there.
func openFiles(f Files, r Rotate) (files, error) {
	all := files{}
	var errs []error
	for _, one := range []struct{ setting, path string }{
		{"logs.info", f.Info}, {"logs.warn", f.Warn}, {"logs.error", f.Error}, {"logs.trace", f.Trace}, {"logs.stats", f.Stats},
	} {
		name := filepath.Clean(one.path)
		if one.path == "" || all[name] != nil {
			continue
		}
		if err := tryFile(name); err != nil {
			errs = append(errs, &flow.Error{
				Op: "open the log file", Object: one.path, Class: flow.Config, Err: cause(err),
				Hint: "make its directory one that this user may write to, or name another file in " + one.setting,
			})
		}
		all[name] = &lumberjack.Logger{
			Filename: name, MaxSize: int((r.MaxBytes + mebibyte - 1) / mebibyte), MaxAge: int(r.MaxAge / day),
			MaxBackups: r.MaxBackups, LocalTime: r.LocalTime, Compress: r.Compress,
		}
	}
	return all, errors.Join(errs...)
}

// tryFile finds out whether a file can be appended to.
func tryFile(name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil { //nolint:gosec // as other programs' log directories
		return err
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the user's own choice
	if err != nil {
		return err
	}
	return f.Close()
}

// cause is the error without the path, which the caller names.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func (f files) writer(path string) io.Writer { return f[filepath.Clean(path)] }

func (f files) close() error {
	var errs []error
	for _, one := range f {
		errs = append(errs, one.Close())
	}
	return errors.Join(errs...)
}
