package main

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/term"

	"sluice/internal/app"
	"sluice/internal/config"
)

// choices are what a user may say at a start about a state that doesn't fit.
type choices struct {
	Resync      []string `sep:"none" help:"Copy this namespace again, in place; 'all' for all. May be repeated." placeholder:"NS"`
	AcceptShape bool     `help:"Go on although the configuration now shapes documents in another way; those already indexed stay as they are until they change."`
}

type runCmd struct {
	Config string `short:"c" help:"The configuration; without it ./sluice.yaml, then /etc/sluice/sluice.yaml." placeholder:"FILE"`
	Listen string `help:"Where to answer /status, /metrics, /healthz and /readyz; overrides http.listen." placeholder:"HOST:PORT"`
	Once   bool   `help:"End when every snapshot is complete and the streams have reached the time at which it ended."`
	// NoWatch leaves SIGHUP.
	NoWatch bool `help:"Don't look whether the configuration changes; SIGHUP still reads it again." env:"SLUICE_NO_WATCH"`
	// DrainLimit is for supervisors that kill after a time of their own.
	DrainLimit time.Duration `help:"After the first signal, the longest that writing what was read may take; then it is cut, as by a second signal. 0 is as long as it takes." placeholder:"DURATION"`
	choices
}

// Run runs everything in the configuration.
func (r *runCmd) Run(ctx context.Context, c *cli, out stdio) error {
	o := app.Options{Once: r.Once, Resync: r.Resync, AcceptShape: r.AcceptShape}
	var err error
	if r.Once {
		o.Config, err = config.Load(r.Config, config.Overrides{Listen: r.Listen})
	} else {
		var stop func()
		if o.Config, o.Watch, stop, err = r.watched(); err == nil {
			defer stop()
		}
	}
	if err != nil {
		return err
	}
	return runApp(ctx, c, out, o, r.DrainLimit, false)
}

// runApp runs the configuration until it ends or a signal comes, after which it
// has drainLimit (0: any time) for what was read.
func runApp(ctx context.Context, c *cli, out stdio, o app.Options, drainLimit time.Duration, asJSON bool) error {
	return runHooked(ctx, c, out, o, drainLimit, asJSON, hooks{})
}

// runHooked is runApp with something added to its log.
func runHooked(ctx context.Context, c *cli, out stdio, o app.Options, drainLimit time.Duration, asJSON bool, h hooks) error {
	lo := app.LogOptions{Format: c.LogFormat, Level: c.LogLevel, Terminal: isTerminal(out.err)}
	w := out.err
	if lo.Terminal && !app.MonstacheLines(o.Config.Logs, lo) {
		o.Progress = app.NewScreen(out.err)
		w = o.Progress
	}
	logger, closeLogs, err := app.OpenLogs(o.Config.Logs, lo, out.out, w)
	if err != nil {
		return err
	}
	defer func() { _ = closeLogs() }() // what was written is written
	o.Logger = h.apply(logger)
	ctx, drain, cut, stop := signalsWithin(ctx, drainLimit)
	defer stop()
	a := app.New(o)
	err = a.Run(ctx, drain)
	if cut() {
		return errCut
	}
	if err == nil && o.Once {
		return told(out, a.Status(), asJSON)
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil
	}
	return err
}

// told prints the result of finite work.
func told(out stdio, st app.Status, asJSON bool) error {
	if !asJSON {
		say(out.out, st.Summary())
		return nil
	}
	text, err := st.JSON()
	say(out.out, string(text))
	return err
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
