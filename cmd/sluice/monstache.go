package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"sluice/internal/app"
	"sluice/internal/compat/monstache"
	"sluice/internal/config"
)

// monstacheName is the verb, and the name under which the program is it.
const monstacheName = "monstache"

// monstacheCmd takes the rest of the command line as it is.
type monstacheCmd struct {
	Args []string `arg:"" optional:"" passthrough:"" help:"Monstache's flags; 'sluice monstache -h' lists them."`
}

// calledAs puts the verb in front of the arguments of a program that is called by
// the name of Monstache or go-chive.
func calledAs(program string, args []string) []string {
	name := strings.TrimSuffix(filepath.Base(program), ".exe")
	switch name {
	case monstacheName:
		return append([]string{monstacheName}, args...)
	case gochiveName, "go-chive":
		return append([]string{gochiveName}, args...)
	}
	return args
}

// Run does what Monstache would do.
func (m *monstacheCmd) Run(ctx context.Context, c *cli, out stdio) error {
	s, err := monstache.Read(monstache.Input{Args: m.Args, Environ: os.Environ(), Usage: out.err})
	switch {
	case err != nil:
		return err
	case s.Help:
		return nil
	case s.Version:
		say(out.out, monstache.Version)
		return nil
	case s.Print:
		_, err := out.out.Write([]byte(s.PrintConfig(time.Now())))
		return err
	}
	t, cfg, err := translated(s)
	if err != nil {
		return err
	}
	var told atomic.Int64
	err = runHooked(ctx, c, out, app.Options{Config: cfg, Once: t.Once}, 0, false, hooks{
		wrap: func(h slog.Handler) slog.Handler { return errorCount{h, &told} },
		begin: func(l *slog.Logger) {
			for _, w := range t.Warnings {
				l.Warn(w)
			}
		},
	})
	switch {
	case err == nil && told.Load() > 0:
		return errTold
	case errors.Is(err, errCut) || exitCode(err) == exitUsage:
		return ended{err}
	}
	return err
}

// translated is the configuration that the settings mean. Faults are told by
// Monstache's own keys.
func translated(s *monstache.Settings) (*monstache.Translation, *config.Config, error) {
	t, err := s.Translate()
	if err != nil {
		return nil, nil, err
	}
	name := s.File
	if name == "" {
		name = monstacheName
	}
	cfg, err := config.Parse(name, []byte(t.Text), config.Overrides{})
	var bad config.Errors
	if errors.As(err, &bad) {
		return nil, nil, blamed(t, bad)
	}
	if err == nil {
		err = app.Check(cfg)
	}
	if err != nil {
		return nil, nil, &monstache.Error{Code: exitFailed, Message: t.NameScripts(err.Error())}
	}
	return t, cfg, nil
}

// blamed tells faults of the translated text by the keys that they are from.
func blamed(t *monstache.Translation, bad config.Errors) error {
	lines := make([]string, len(bad))
	for i, one := range bad {
		lines[i] = one.Message
		if from := t.Blame(one.Line); from != "" {
			lines[i] = from + ": " + one.Message
		}
	}
	return &monstache.Error{Code: exitFailed, Message: strings.Join(lines, "\n")}
}

// ended is an end that Monstache tells by exit code 1.
type ended struct{ err error }

func (e ended) Error() string { return e.err.Error() }
func (e ended) Unwrap() error { return e.err }
