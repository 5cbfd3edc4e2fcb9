package app

import (
	"errors"
	"log/slog"
	"os"
	"time"

	"sluice/internal/config"
	"sluice/internal/flow"
)

// reloadAgain is how long a configuration that was refused for a reason that
// passes waits until it is tried again.
const reloadAgain = time.Minute

// Watch says how a changed configuration is noticed, and how it is read.
//
// The files are read and compared every few seconds instead of being watched by
// the kernel: that sees a ConfigMap's link swap, a rename and a rewrite alike,
// also on network file systems and in other containers' volumes, and a secret
// that comes later. What is seen has to be the same twice, so that a file is not
// taken while it is being written.
type Watch struct {
	// Load reads the configuration again, with the flags on top.
	Load func() (*config.Config, config.Files, error)
	// Files are those that Options.Config was read from.
	Files config.Files
	// Every is how often they are looked at; 0: never.
	Every time.Duration
	// Hangup, if not nil, asks for a reload. Several at once are one.
	Hangup <-chan os.Signal
}

// watch reloads the configuration when it changes, until all ends.
func (a *App) watch() error {
	w := a.o.Watch
	var tick <-chan time.Time
	if w.Every > 0 {
		t := time.NewTicker(w.Every)
		defer t.Stop()
		tick = t.C
	}
	taken, before := w.Files, w.Files
	var again time.Time
	for {
		asked := false
		select {
		case <-a.ctx.Done():
			return nil
		case <-a.drain:
			return nil
		case <-w.Hangup:
			asked = true
		case <-tick:
		}
		if !asked {
			now := taken.Now()
			still := now.Equal(before)
			before = now
			due := !again.IsZero() && !time.Now().Before(again)
			if !still || now.Equal(taken) && !due {
				continue
			}
		}
		var err error
		taken, err = a.reload()
		before, again = taken, time.Time{}
		if err != nil && flow.ClassOf(err) == flow.Transient {
			again = time.Now().Add(reloadAgain)
		}
	}
}

// reload reads the configuration and applies it, or tells why not.
func (a *App) reload() (config.Files, error) {
	defer a.service.reloading()()
	next, files, err := a.o.Watch.Load()
	done := ""
	if err == nil {
		done, err = a.apply(next)
	}
	if errors.Is(err, errEnding) || err != nil && a.ending() {
		return files, nil
	}
	a.reloads.note(done, err)
	switch {
	case err != nil:
		a.o.Logger.Error("the new configuration is refused; the old one goes on", slog.Any(flow.LogErr, err))
	case done == "":
		a.o.Logger.Info("the configuration was read again; it means the same")
	default:
		a.o.Logger.Info("the new configuration is in force", slog.String("changes", done))
	}
	return files, err
}
