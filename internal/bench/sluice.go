package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"sluice/internal/app"
	"sluice/internal/config"
	"sluice/internal/search"
)

// newApp builds the product itself, in this process, with default settings.
func newApp(p params) (*app.App, error) {
	url := p.Search
	if url == "" {
		url = "http://127.0.0.1:9"
	}
	cfg, err := config.FromFlags(config.Overrides{MongoDB: p.URI, Search: []string{url}, Namespaces: p.Namespaces, State: p.State, Listen: "off"})
	if err != nil {
		return nil, err
	}
	o := app.Options{Config: cfg, Once: p.Once}
	if p.Search == "" {
		o.Transport = search.NewDiscard()
		cfg.DeadLetters.Store, cfg.DeadLetters.Path = config.StoreFile, p.State
	}
	return app.New(o), nil
}

// runUntil runs the product until done says so, then drains it. The time is
// that from the first settled change to the last.
func runUntil(ctx context.Context, p params, settled func(app.Status) int64, n int64) (result, error) {
	a, err := newApp(p)
	if err != nil {
		return result{}, err
	}
	drain := make(chan struct{})
	ended := make(chan error, 1)
	engine := cpuOf(p.PID)
	go func() { ended <- a.Run(ctx, drain) }()
	var r result
	var first time.Time
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for r.Docs < n {
		select {
		case err := <-ended:
			if err == nil {
				err = fmt.Errorf("it ended after %d of %d documents", r.Docs, n)
			}
			return r, err
		case <-tick.C:
		}
		r.Docs = settled(a.Status())
		if first.IsZero() && r.Docs > 0 {
			first = time.Now().Add(-2 * time.Millisecond)
		}
	}
	r.Seconds = since(first)
	r.Engine = cpuOf(p.PID) - engine
	r.Queries = a.Status().Rereads()
	close(drain)
	return r, <-ended
}

// sluiceSnapshot copies the namespaces.
func sluiceSnapshot(ctx context.Context, p params) (result, error) {
	return runUntil(ctx, p, app.Status.SnapshotSettled, p.N)
}

// sluiceStream goes on from a saved position until n changes are settled.
func sluiceStream(ctx context.Context, p params) (result, error) {
	return runUntil(ctx, p, app.Status.Settled, p.N)
}

// cpuOf returns the CPU seconds that a process has used, 0 without a process.
func cpuOf(pid int) float64 {
	if pid == 0 {
		return 0
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	// The name in parentheses may hold blanks; user and system time are the
	// 14th and 15th field (proc(5)), in ticks of 10 ms.
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	user, err1 := strconv.ParseFloat(f[11], 64)
	system, err2 := strconv.ParseFloat(f[12], 64)
	if errors.Join(err1, err2) != nil {
		return 0
	}
	return (user + system) / 100
}
