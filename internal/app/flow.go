package app

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/v2/bson"
	"golang.org/x/sync/errgroup"

	"sluice/internal/checkpoint"
	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/mongo"
	"sluice/internal/pipeline"
	"sluice/internal/script"
	"sluice/internal/search"
	"sluice/internal/transform"
)

// saveEvery is how often a changed position is saved.
const saveEvery = time.Second

// resyncAll stands for every namespace in Options.Resync.
const resyncAll = "all"

// askTimeout bounds a question on the side to a server.
const askTimeout = 5 * time.Second

// metrics are those of all components, shared by the flows of a process.
type metrics struct {
	mongo      *mongo.Metrics
	pipeline   *pipeline.Metrics
	search     *search.Metrics
	checkpoint *checkpoint.Metrics
	script     *script.Metrics
}

func newMetrics(reg prometheus.Registerer) metrics {
	return metrics{
		mongo: mongo.NewMetrics(reg), pipeline: pipeline.NewMetrics(reg),
		search: search.NewMetrics(reg), checkpoint: checkpoint.NewMetrics(reg), script: script.NewMetrics(reg),
	}
}

// flowRun is one flow from open to close.
type flowRun struct {
	o       Options
	cfg     *config.Flow
	log     *slog.Logger
	metrics metrics
	budget  atomic.Int64
	life    *life
	// mirror is nil where nobody's state is kept up to date.
	mirror *mirror
	// replaces: it takes the place of one that ran until a reload.
	replaces bool

	source  *mongo.Source
	client  *search.Client
	sink    *search.Sink
	keeper  *checkpoint.Keeper
	letters *letters
	bind    *binding
	places  *places
	pump    *pipeline.Pump
	// where is nil where nothing is left out by content.
	where *transform.Where
	// scripts is nil where documents go through none.
	scripts *script.Stage
	// templates is nil where no place comes from one.
	templates *transform.Places
	// files is nil where none are attached.
	files *mongo.Files
	// gate holds the reading back while the flow pauses.
	gate gate
	// attributor is nil where it makes no difference whose a delete is.
	attributor pipeline.Attributor
	// shelf is nil where no archive is at hand. outside is of the source.
	shelf   shelf
	outside func(context.Context, flow.Namespace, []bson.RawValue) ([]bool, error)
	saved   checkpoint.State
	// covered tells the source that what collect returned last is saved.
	covered func()
	closers []func(context.Context) error

	opened atomic.Bool
	state  atomic.Pointer[string]
	err    atomic.Pointer[error]
}

func (f *flowRun) setState(s string) { f.state.Store(&s) }

// open connects both ends, takes over the saved state and decides what is to
// be copied. After an error the caller still calls close.
func (f *flowRun) open(ctx context.Context) error {
	f.setState("starting")
	if err := f.connect(ctx); err != nil {
		return err
	}
	if err := f.takeOver(ctx); err != nil {
		return err
	}
	resync, err := f.compare(ctx)
	if err != nil {
		return err
	}
	begin, err := f.begin(ctx)
	if err != nil {
		return err
	}
	if err := f.source.Start(ctx, begin, resync); err != nil {
		return err
	}
	if err := f.endBulkLoads(ctx); err != nil {
		return err
	}
	if err := f.trust(ctx); err != nil {
		return err
	}
	f.pump = pipeline.New(f.pumpOptions())
	f.opened.Store(true)
	f.setBudget(f.budget.Load()) // it may have changed meanwhile
	return nil
}

// connect connects both ends and takes the saved state and the dead letters over.
func (f *flowRun) connect(ctx context.Context) error {
	if _, err := planOf(f.cfg); err != nil {
		return err
	}
	var err error
	if f.where, err = whereOf(f.cfg); err != nil {
		return err
	}
	if f.scripts, err = scriptsOf(f.cfg, scriptReader{f}, f.log, f.metrics.script); err != nil {
		return err
	}
	if f.templates, err = templatesOf(f.cfg); err != nil {
		return err
	}
	o := f.mongoOptions()
	if o.Snapshot.Pacer, err = f.openPace(ctx); err != nil {
		return err
	}
	if f.source, err = mongo.Open(ctx, o); err != nil {
		return err
	}
	f.closers = append(f.closers, f.source.Close)
	f.outside = f.source.Outside
	if err := f.openLedger(ctx); err != nil {
		return err
	}
	if f.client, err = openSearch(ctx, f.searchOptions(), f.o.Config.Search.StartupTimeout); err != nil {
		return err
	}
	f.closers = append(f.closers, func(context.Context) error { f.client.Close(); return nil })
	f.sink = f.client.Sink()
	if err := f.openFiles(ctx); err != nil {
		return err
	}
	f.bind = newBinding(f.sink, f.cfg)
	kept, err := openStores(ctx, f.o.Config, f.cfg.Name, f.client)
	if err != nil {
		return err
	}
	f.closers = append(f.closers, kept.close)
	if err := kept.probe(ctx); err != nil {
		return err
	}
	if err := f.openState(ctx, kept); err != nil {
		return err
	}
	return f.openBook(ctx, kept)
}

// openBook opens the dead letters.
func (f *flowRun) openBook(ctx context.Context, kept *stores) error {
	var err error
	if f.letters, err = openLetters(ctx, kept); err != nil {
		return err
	}
	f.closers = append(f.closers, func(context.Context) error { return f.letters.close() })
	return nil
}

func (f *flowRun) openState(ctx context.Context, kept *stores) error {
	store, done, err := kept.state()
	if err != nil {
		return err
	}
	f.closers = append(f.closers, func(context.Context) error { return done() })
	f.keeper = checkpoint.NewKeeper(checkpoint.KeeperOptions{Store: store, Flow: f.cfg.Name, Logger: f.log, Metrics: f.metrics.checkpoint})
	f.keeper.Hasten(f.source.Due(), func() { f.covered() })
	f.saved, err = f.keeper.Acquire(ctx)
	return err
}

// compare holds the saved state against what is there now (rule S12) and
// returns what has to be copied again.
func (f *flowRun) compare(ctx context.Context) ([]mongo.Resync, error) {
	var all []flow.Namespace
	for _, c := range f.source.Collections() {
		if c.Refused != nil {
			f.log.Warn("namespace is not copied", slog.String(flow.LogNS, c.NS.String()), slog.Any(flow.LogErr, c.Refused))
			continue
		}
		if !f.writes(c.NS) {
			continue // so it needs no index
		}
		all = append(all, c.NS)
	}
	now, err := f.bind.find(ctx, f.source.Identity(), all)
	if err != nil {
		return nil, err
	}
	choices := checkpoint.Choices{AcceptShape: f.o.AcceptShape}
	for _, ns := range f.o.Resync {
		if ns == resyncAll {
			ns = checkpoint.AllNamespaces
		}
		choices.Resync = append(choices.Resync, ns)
	}
	decisions, err := checkpoint.Bind(f.saved, now, choices)
	if err != nil {
		return nil, err
	}
	var again []mongo.Resync
	for _, d := range decisions {
		ns, _ := flow.ParseNamespace(d.NS)
		if d.Resync {
			again = append(again, mongo.Resync{NS: ns, Ghosts: d.Ghosts})
			if !f.source.Copies(ns) {
				f.log.Info("namespace is followed without being copied", slog.String(flow.LogNS, d.NS))
				continue
			}
			if !d.Ghosts {
				for _, one := range f.shapers() {
					one.Empty(ns)
				}
			}
			f.log.Info("namespace will be copied", slog.String(flow.LogNS, d.NS), slog.String(flow.LogReason, string(d.Reason)))
			continue
		}
		f.bind.adopt(map[string]string{d.NS: now.Fingerprints[d.NS]}, map[string]string{d.NS: now.Targets[d.NS].UUID})
	}
	return again, nil
}

func (f *flowRun) mongoOptions() mongo.Options {
	filters := make([]mongo.Filter, len(f.cfg.Filters))
	for i, q := range f.cfg.Filters {
		filters[i] = mongo.Filter{Pattern: q.Pattern, Query: q.Query}
	}
	s := f.cfg.Snapshot
	return mongo.Options{
		URI: f.o.Config.MongoDB.URI.Reveal(), AppName: "sluice " + Version,
		Namespaces: f.cfg.Namespaces, Exclude: f.cfg.Exclude, Filters: filters, Related: relatedOf(f.cfg),
		Snapshot: mongo.SnapshotOptions{
			Parallel: s.Parallel, Rate: s.Rate, ReadPreference: s.ReadPreference,
			ChunkBytes: int(s.Chunk), Disabled: !s.Enabled, Include: s.Include, Exclude: s.Exclude,
			Repeat:   s.Repeat == config.RepeatAlways && !f.replaces,
			Priority: s.Priority, MinHeadRoom: s.MinHeadRoom, AwaitSave: true,
		},
		Stream:   mongo.StreamOptions{Include: f.cfg.Stream.Include, Exclude: f.cfg.Stream.Exclude, Disabled: !f.cfg.Stream.Enabled},
		Reserved: f.reserved(),
		Files:    filesOf(&f.cfg.Files), Before: placementOf(f.templates) != nil, PreImages: f.cfg.PreImages && strictly(f.cfg.On),
		HistoryLost: f.historyLost(), Once: f.o.Once, Logger: f.log, Metrics: f.metrics.mongo,
	}
}

// writes tells whether anything of a collection is ever written: a flow over a whole
// deployment may copy and follow but a part of it.
func (f *flowRun) writes(ns flow.Namespace) bool {
	return f.source.Copies(ns) || f.cfg.Streams(ns.String())
}

// historyLost is what a lost history leads to. Who asks for a copy of everything
// needs none, so that a policy to stop has a way out.
func (f *flowRun) historyLost() string {
	if slices.Contains(f.o.Resync, resyncAll) {
		return string(config.LostResync)
	}
	return string(f.cfg.On.HistoryLost)
}

func (f *flowRun) searchOptions() search.Options {
	o := reachSearch(f.o.Config.Search)
	o.Flow, o.Source, o.MaxVersion, o.Route = f.cfg.Name, f.source.Identity(), f.maxVersion, f.route()
	o.Pipeline, o.Places, o.Stream = f.cfg.Pipeline, placementOf(f.templates), streamOf(f.cfg)
	writing(&o, f.cfg)
	o.Transport, o.Logger, o.Metrics = f.o.Transport, f.log, f.metrics.search
	return o
}

// reachSearch says how the cluster is reached.
func reachSearch(s config.Search) search.Options {
	return search.Options{
		URLs: s.Addresses(), AWS: search.AWS{Region: s.AWS.Region},
		Auth:  search.Auth{Username: s.Auth.Username, Password: s.Auth.Password.Reveal(), APIKey: s.Auth.APIKey.Reveal()},
		TLS:   search.TLS{CAFile: s.TLS.CAFile, CertFile: s.TLS.CertFile, KeyFile: s.TLS.KeyFile, InsecureSkipVerify: s.TLS.InsecureSkipVerify},
		Trace: s.Trace, Gzip: s.Gzip, MaxInFlight: s.InFlight, BodyBytes: int(s.BodyBytes), Timeout: s.Timeout,
	}
}

// maxVersion is the version of the server's time now: none of ours lies above
// it. 0, which checks nothing, when the server does not answer.
func (f *flowRun) maxVersion() int64 {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	now, err := f.source.Now(ctx)
	if err != nil {
		return 0
	}
	v, err := flow.VersionOf(now)
	if err != nil {
		return 0
	}
	return v
}

// route returns where documents of a namespace go and how they are written.
func (f *flowRun) route() func(flow.Namespace) (search.Route, error) {
	plan, planErr := planOf(f.cfg)
	templates, err := templatesOf(f.cfg)
	if err != nil {
		planErr = err
	}
	f.places = newPlaces()
	return func(ns flow.Namespace) (search.Route, error) {
		if planErr != nil {
			return search.Route{}, planErr
		}
		index, alone, err := indexOf(f.cfg, templates, ns)
		if err != nil {
			return search.Route{}, err
		}
		if alone {
			if err := f.places.claim(index, ns); err != nil {
				return search.Route{}, err
			}
		}
		content := ""
		if f.cfg.Files.Fits(ns.String()) {
			content = f.cfg.Files.Field
		}
		return search.Route{
			Index: index, Plan: plan, Content: content, Settings: f.cfg.Settings, Mappings: f.cfg.Mappings,
			Delete: search.DeletePolicy(f.cfg.On.Delete), Archive: search.ArchivePolicy(f.cfg.On.Archive), Drop: search.DropPolicy(f.onDrop(ns)),
		}, nil
	}
}

// gone frees what ns had, as far as its documents leave the index with it.
func (f *flowRun) gone(ns flow.Namespace) {
	f.bind.forget(ns)
	if f.onDrop(ns) != config.DropIgnore {
		f.places.release(ns)
	}
}

// shaper is a stage that may leave documents out.
type shaper interface {
	flow.Stage
	Empty(ns flow.Namespace)
	Hear(c flow.Control)
}

// shapers are the stages that look at what is to be written, in order.
func (f *flowRun) shapers() []shaper {
	var all []shaper
	if f.where != nil {
		all = append(all, f.where)
	}
	if f.scripts != nil {
		all = append(all, f.scripts)
	}
	return all
}

// shape is those as one; nil for none.
func (f *flowRun) shape() flow.Stage {
	var all stages
	for _, one := range f.shapers() {
		all = append(all, one)
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// hear is told of controls before they are carried out.
func (f *flowRun) hear(c flow.Control) {
	for _, one := range f.shapers() {
		one.Hear(c)
	}
}

func (f *flowRun) pumpOptions() pipeline.Options {
	l := f.o.Config.Limits
	return pipeline.Options{
		Shape:  f.shape(),
		Attach: f.attacher(),
		Places: placementOf(f.templates) != nil, Unversioned: f.cfg.Write == config.WriteUpdate, Exclusive: f.cfg.IsStream(),
		Stream: f.gate.wrap(f.source.Stream()), Snapshot: f.gate.wrap(f.source.Snapshot()), Reread: f.source.Reread(), Sink: f.sink,
		Attributor: f.attributor,
		Controls: &controls{
			sink: f.sink, hear: f.hear, bind: f.bind, letters: f.letters, log: f.log, gone: f.gone, stay: f.whyGhostsStay, ghosts: f.ghosts,
		},
		DeadLetters: f.letters, OldestOpen: f.source.OldestOpen,
		Lanes: l.Lanes, SnapshotWriters: l.SnapshotWriters, BudgetBytes: f.queueBudget(),
		Logger: f.log, Metrics: f.metrics.pipeline,
	}
}

// run pumps until the sources end, drain is closed, ctx is done or something
// fails; then it saves the position a last time.
func (f *flowRun) run(ctx context.Context, drain <-chan struct{}) error {
	f.setState("running")
	g, gctx := errgroup.WithContext(ctx)
	keeping, stopKeeping := context.WithCancel(context.WithoutCancel(ctx))
	g.Go(func() error {
		defer stopKeeping()
		return f.pump.Run(gctx, drain)
	})
	g.Go(func() error { return f.keeper.Run(keeping, saveEvery, f.collect) })
	if f.mirror != nil {
		g.Go(func() error { f.mirror.run(keeping); return nil })
	}
	err := g.Wait()
	if err != nil {
		f.setState("failed")
		f.err.Store(&err)
		return err
	}
	f.setState("done")
	f.log.Info("ended; everything that was read is settled, and the position is saved")
	return nil
}

// collect is the state to save; the keeper's goroutine alone asks for it. The
// position comes first: what it covers is bound already.
func (f *flowRun) collect() checkpoint.State {
	var pos flow.Position
	pos, f.covered = f.source.Checkpoint()
	return f.stateAt(pos)
}

// stateAt is the state of the flow with a position.
func (f *flowRun) stateAt(pos flow.Position) checkpoint.State {
	shapes, targets := f.bind.snapshot()
	return checkpoint.State{Source: f.source.Identity(), Fingerprints: shapes, Targets: targets, Position: json.RawMessage(pos)}
}

// close ends everything that open started, in reverse.
func (f *flowRun) close(ctx context.Context) error {
	var first error
	for _, c := range slices.Backward(f.closers) {
		if err := c(ctx); err != nil && first == nil {
			first = err
		}
	}
	f.closers = nil
	return first
}
