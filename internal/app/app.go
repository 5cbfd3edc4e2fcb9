package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"sluice/internal/archive"
	"sluice/internal/flow"
	"sluice/internal/web"
)

// closeGrace is how long closing may take after everything has ended.
const closeGrace = 15 * time.Second

// App runs the flows of a configuration.
type App struct {
	o       Options
	started time.Time
	reg     *prometheus.Registry
	flows   []*flowRun

	archiveMetrics *archive.Metrics
	archiver       atomic.Pointer[archiver] // nil until it is open
}

// New prepares an App; nothing is opened before Run.
func New(o Options) *App {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	a := &App{o: o, started: time.Now(), reg: prometheus.NewRegistry()}
	a.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m := newMetrics(a.reg)
	a.reg.MustRegister(newGauges(a.Status))
	if len(o.Config.Archive) > 0 {
		a.archiveMetrics = archive.NewMetrics(a.reg)
	}
	share := int64(o.Config.Limits.MemoryBudget) / int64(max(1, len(o.Config.Flows)))
	for i := range o.Config.Flows {
		f := &o.Config.Flows[i]
		a.flows = append(a.flows, &flowRun{o: o, cfg: f, metrics: m, budget: share, log: o.Logger.With(slog.String(flow.LogFlow, f.Name))})
	}
	return a
}

// Run opens and runs everything, until all flows have ended (Once), drain is
// closed (what was read is written, the position saved, nil returned), ctx is
// done, or something fails for good. It has closed everything when it returns.
func (a *App) Run(ctx context.Context, drain <-chan struct{}) error {
	a.boundMemory()
	server, err := a.listen()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, gctx := errgroup.WithContext(ctx)
	for _, f := range a.flows {
		g.Go(func() error { return a.runFlow(gctx, f, drain) })
	}
	if len(a.o.Config.Archive) > 0 {
		g.Go(func() error { return a.runArchive(gctx, drain) })
	}
	shown := a.showProgress(gctx)
	err = g.Wait()
	cancel()
	<-shown
	if server != nil {
		stopCtx, done := context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
		defer done()
		err = errors.Join(err, server.Stop(stopCtx))
	}
	return err
}

func (a *App) runFlow(ctx context.Context, f *flowRun, drain <-chan struct{}) (err error) {
	defer func() {
		closeCtx, done := context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
		defer done()
		err = errors.Join(err, f.close(closeCtx))
		if err != nil && len(a.flows) > 1 {
			err = fmt.Errorf("flow %s: %w", f.cfg.Name, err)
		}
	}()
	opening, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, cancel)
	defer stop()
	opened := make(chan struct{})
	go func() {
		// A signal while we still connect has nothing to drain.
		select {
		case <-drain:
			cancel()
		case <-opened:
		}
	}()
	err = f.open(opening)
	close(opened)
	if err != nil {
		f.setState("failed")
		if ctx.Err() == nil && opening.Err() != nil {
			return nil
		}
		f.err.Store(&err)
		return err
	}
	return f.run(ctx, drain)
}

// listen starts the HTTP server, if one is configured.
func (a *App) listen() (*web.Server, error) {
	h := a.o.Config.HTTP
	if h.Listen == "" {
		return nil, nil
	}
	s := web.New(web.Options{
		Listen: h.Listen, Token: h.Token.Reveal(), Registry: a.reg, Logger: a.o.Logger,
		Status: func() any { return a.Status() }, Ready: a.ready, Archive: a, Flows: flowCommands{a},
	})
	if err := s.Start(); err != nil {
		return nil, err
	}
	return s, nil
}

// boundMemory tells the collector what we intend to use, unless the user has
// by GOMEMLIMIT: the queues, and what is being read and written beside them. It
// is no hard limit: larger documents take what they need.
func (a *App) boundMemory() {
	limit := int64(0)
	if len(a.o.Config.Flows) > 0 {
		limit += int64(a.o.Config.Limits.MemoryBudget)
	}
	if len(a.o.Config.Archive) > 0 {
		limit += archiveMemory
	}
	boundMemory(limit)
}

func boundMemory(queues int64) {
	const unset = 1 << 62
	if debug.SetMemoryLimit(-1) >= unset {
		debug.SetMemoryLimit(16<<20 + queues)
	}
}
