package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"sluice/internal/archive"
	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/systemd"
	"sluice/internal/web"
)

// closeGrace is how long closing may take after everything has ended.
const closeGrace = 15 * time.Second

// App runs the flows of a configuration.
type App struct {
	o       Options
	started time.Time
	reg     *prometheus.Registry
	metrics metrics
	// cfg is what runs: that of the options until a reload.
	cfg     atomic.Pointer[config.Config]
	reloads *reloads

	mu    sync.Mutex // guards flows
	flows []*flowRun

	// group, ctx and drain are those of Run, for what a reload starts.
	group *errgroup.Group
	ctx   context.Context
	drain <-chan struct{}
	web   *web.Server
	// service is nil if nobody wants to be told of us.
	service *service
	// grace is how long a reload waits for a flow to drain.
	grace time.Duration
	// ownsMemory: the collector's limit is ours, not the user's.
	ownsMemory bool

	archiveMetrics *archive.Metrics
	archiver       atomic.Pointer[archiver] // nil until it is open
	// archiveUp is closed when the rules of the start are open.
	archiveUp chan struct{}
}

// New prepares an App; nothing is opened before Run.
func New(o Options) *App {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	a := &App{o: o, started: time.Now(), reg: prometheus.NewRegistry()}
	a.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	a.metrics = newMetrics(a.reg)
	a.reg.MustRegister(newGauges(a.Status))
	if len(o.Config.Archive) > 0 {
		a.archiveMetrics = archive.NewMetrics(a.reg)
	}
	a.cfg.Store(o.Config)
	a.grace = drainGrace
	a.archiveUp = make(chan struct{})
	if o.Watch != nil {
		a.reloads = newReloads(a.reg, o.Config.File, o.Watch.Every > 0, a.started)
	}
	for i := range o.Config.Flows {
		a.flows = append(a.flows, a.newFlow(o, o.Config.Flows[i].Name, false))
	}
	return a
}

// newFlow prepares the flow of that name of the configuration.
func (a *App) newFlow(o Options, name string, trial bool) *flowRun {
	f := &flowRun{o: o, metrics: a.metrics, life: newLife(trial), log: o.Logger.With(slog.String(flow.LogFlow, name))}
	for i := range o.Config.Flows {
		if o.Config.Flows[i].Name == name {
			f.cfg = &o.Config.Flows[i]
		}
	}
	f.budget.Store(budgetShare(o.Config))
	return f
}

// budgetShare is what one flow has of limits.memory_budget.
func budgetShare(c *config.Config) int64 {
	return int64(c.Limits.MemoryBudget) / int64(max(1, len(c.Flows)))
}

// live are the flows that there are now.
func (a *App) live() []*flowRun {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.flows)
}

// config is the configuration that runs now.
func (a *App) config() *config.Config { return a.cfg.Load() }

// Run opens and runs everything, until all flows have ended (Once), drain is
// closed (what was read is written, the position saved, nil returned), ctx is
// done, or something fails for good. It has closed everything when it returns.
func (a *App) Run(ctx context.Context, drain <-chan struct{}) error {
	a.ownsMemory = collectorIsFree()
	a.boundMemory()
	servers, err := a.listenAll(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a.group, a.ctx = errgroup.WithContext(ctx)
	a.drain = drain
	if m := systemd.FromEnv(); m.There() {
		a.service = a.newService(m)
	}
	for _, f := range a.live() {
		a.launch(f)
	}
	if len(a.o.Config.Archive) > 0 {
		a.group.Go(a.runArchive)
	} else {
		close(a.archiveUp)
	}
	if a.o.Watch != nil && !a.o.Once {
		a.group.Go(a.watch)
	}
	var aside sync.WaitGroup // what tells about the work, and ends with it
	aside.Go(func() { a.tellStats(a.ctx) })
	if a.service != nil {
		aside.Go(func() { a.service.run(a.ctx, a.drain, a.opened) })
	}
	shown := a.showProgress(a.ctx)
	err = a.group.Wait()
	cancel()
	<-shown
	aside.Wait()
	return errors.Join(err, stopServers(ctx, servers...))
}

func (a *App) runFlow(ctx context.Context, f *flowRun, drain <-chan struct{}) (err error) {
	defer func() {
		closeCtx, done := context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
		defer done()
		err = errors.Join(err, f.close(closeCtx))
		if err != nil && len(a.live()) > 1 {
			err = fmt.Errorf("flow %s: %w", f.cfg.Name, err)
		}
	}()
	err = a.openFlow(ctx, f, drain)
	f.life.upErr = err
	close(f.life.up)
	switch {
	case errors.Is(err, errNotBegun):
		return nil
	case err != nil:
		return err
	}
	return f.run(ctx, drain)
}

// errNotBegun is of a flow that was told to drain before it was open.
var errNotBegun = errors.New("it was told to end before it was open")

// openFlow opens the flow, unless drain comes first.
func (a *App) openFlow(ctx context.Context, f *flowRun, drain <-chan struct{}) error {
	opening, cancel := context.WithCancel(ctx)
	defer cancel()
	opened := make(chan struct{})
	go func() {
		// A signal while we still connect has nothing to drain.
		select {
		case <-drain:
			cancel()
		case <-opened:
		}
	}()
	err := f.open(opening)
	if err == nil && f.life.trial {
		err = f.prepare(opening)
	}
	close(opened)
	if err == nil {
		return nil
	}
	f.setState("failed")
	if ctx.Err() == nil && opening.Err() != nil {
		return errNotBegun
	}
	f.err.Store(&err)
	return err
}

// listen starts the HTTP server, if one is configured.
func (a *App) listen() (*web.Server, error) {
	h := a.config().HTTP
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
