package main

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"sluice/internal/app"
	"sluice/internal/config"
)

// watchEvery is how often the files of the configuration are looked at.
const watchEvery = 2 * time.Second

// watched loads the configuration, and says how a newer one is noticed and read:
// from the same file, with the same flags on top. stop ends the attention to
// SIGHUP.
func (r *runCmd) watched() (cfg *config.Config, w *app.Watch, stop func(), err error) {
	over := config.Overrides{Listen: r.Listen}
	cfg, files, err := config.LoadFiles(r.Config, over)
	if err != nil {
		return nil, nil, nil, err
	}
	path := cfg.File
	// One is kept while another is heard: more of them at once are one.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	w = &app.Watch{
		Load: func() (*config.Config, config.Files, error) { return config.LoadFiles(path, over) }, Files: files, Every: watchEvery, Hangup: hangup,
	}
	if r.NoWatch {
		w.Every = 0
	}
	return cfg, w, func() { signal.Stop(hangup) }, nil
}
