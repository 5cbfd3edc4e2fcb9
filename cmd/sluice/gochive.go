package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"sluice/internal/app"
	"sluice/internal/compat/gochive"
	"sluice/internal/config"
)

// gochiveName is the verb, and a name under which the program is it.
const gochiveName = "gochive"

// gochiveCmd takes the rest of the command line as it is.
type gochiveCmd struct {
	Args []string `arg:"" optional:"" passthrough:"" help:"go-chive's flags; 'sluice gochive -h' lists them."`
}

// Run does what go-chive would do.
func (g *gochiveCmd) Run(ctx context.Context, c *cli, out stdio) error {
	s, err := gochive.Read(g.Args, out.out)
	if err != nil || s.Help {
		return err
	}
	all, notes, err := gochiveConfigs(s)
	if err != nil {
		return err
	}
	logger, err := app.NewLogger(out.err, app.LogOptions{Format: c.LogFormat, Level: c.LogLevel, Terminal: isTerminal(out.err)})
	if err != nil {
		return err
	}
	for _, note := range notes {
		logger.Info(note)
	}
	ctx, drain, cut, stop := signals(ctx)
	defer stop()
	err = runRules(ctx, all, logger, drain, s.Once, out)
	switch {
	case cut():
		return errCut
	case app.ArchiveRefused(err):
		say(out.err, "sluice: "+err.Error())
		return errDiffers
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return nil
	}
	return err
}

// runRules runs the rules of all deployments side by side. The first that can't go
// on ends all: a supervisor sees it, and starts the process again.
func runRules(ctx context.Context, all []*config.Config, logger *slog.Logger, drain <-chan struct{}, once bool, out stdio) error {
	group, inside := errgroup.WithContext(ctx)
	reports := make([][]app.ArchiveReport, len(all))
	for i, cfg := range all {
		group.Go(func() (err error) {
			if once {
				reports[i], err = app.ArchiveRunRules(inside, app.ArchiveOptions{Config: cfg, Logger: logger}, drain, true)
				return err
			}
			return app.New(app.Options{Config: cfg, Logger: logger}).Run(inside, drain)
		})
	}
	err := group.Wait()
	for _, one := range reports {
		if len(one) > 0 {
			say(out.out, reportsText(one))
		}
	}
	return err
}

// gochiveConfigs are the configurations that the settings mean, and what the user
// should know of them.
func gochiveConfigs(s *gochive.Settings) ([]*config.Config, []string, error) {
	texts, notes, err := s.Translate(filepath.Join(os.TempDir(), "sluice-gochive"))
	if err != nil {
		return nil, nil, err
	}
	all := make([]*config.Config, len(texts))
	for i, t := range texts {
		if all[i], err = config.Parse(fmt.Sprintf("%s %d", gochiveName, i+1), []byte(t.Text), config.Overrides{}); err != nil {
			return nil, nil, err
		}
		if err := app.Check(all[i]); err != nil {
			return nil, nil, err
		}
	}
	return all, notes, nil
}

// convertGochive prints the sluice.yaml files of a list; several are documents of
// one stream of YAML.
func convertGochive(out stdio, file string, args []string) error {
	s, err := gochive.Read(append([]string{"-values", file}, args...), out.out)
	if err != nil || s.Help {
		return err
	}
	if _, _, err := gochiveConfigs(s); err != nil {
		return err
	}
	texts, notes, err := s.Translate(filepath.Join(os.TempDir(), "sluice-gochive"))
	if err != nil {
		return err
	}
	for _, note := range notes {
		say(out.err, note)
	}
	if len(texts) > 1 {
		say(out.err, fmt.Sprintf("the entries are of %d deployments: each document below is a sluice.yaml of its own, for a process of its own", len(texts)))
	}
	for i, t := range texts {
		if i > 0 {
			say(out.out, "---")
		}
		if _, err := out.out.Write([]byte(t.Text)); err != nil {
			return err
		}
	}
	return nil
}
