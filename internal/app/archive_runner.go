package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"sluice/internal/archive"
	"sluice/internal/archive/catalogue"
	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/governor"
	"sluice/internal/mongo/archivedb"
	"sluice/internal/objstore"
)

// archiver runs rules of a configuration. It is safe from several goroutines.
type archiver struct {
	o       ArchiveOptions
	db      *archivedb.DB
	metrics *archive.Metrics
	owner   string

	mu     sync.Mutex // guards stores, rules and serving
	stores map[string]objstore.Store
	rules  []*ruleRun
	// serving is of what serve runs, nil before and after.
	serving context.Context
	// begun is closed when serve has begun all rules. halt ends it; ended is closed
	// when everything is closed.
	begun, halt, ended chan struct{}
}

// list are the rules that there are now.
func (a *archiver) list() []*ruleRun {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.rules)
}

// ruleRun is a rule with what it works with. Its governor is its own, because
// its limits are.
type ruleRun struct {
	cfg    *config.Archive
	deps   archive.Deps
	runner *archive.Runner

	mu sync.Mutex // guards the reasons to pause, and what the last run came to
	// user and window say why the rule pauses: somebody said so, or it may not
	// work at this time. "" is no reason.
	user, window string
	last         []ArchiveReport

	// cancel ends serving this rule, and ended is closed when that is done; nil
	// where it is not served.
	cancel context.CancelFunc
	ended  chan struct{}
}

// newArchiver connects to MongoDB and to the places of the chosen rules. The
// caller closes it.
func newArchiver(ctx context.Context, o ArchiveOptions, m *archive.Metrics) (*archiver, error) {
	chosen, err := o.rules()
	if err != nil {
		return nil, err
	}
	db, err := o.openDB(ctx)
	if err != nil {
		return nil, err
	}
	a := &archiver{o: o, db: db, metrics: m, owner: archiveOwner(), stores: map[string]objstore.Store{}, begun: make(chan struct{}), halt: make(chan struct{}), ended: make(chan struct{})}
	for _, cfg := range chosen {
		r, err := a.rule(ctx, cfg, len(chosen))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("rule %s: %w", cfg.Name, err), a.close(ctx))
		}
		a.rules = append(a.rules, r)
	}
	return a, nil
}

// rule prepares a rule, which gets its share of the spool.
func (a *archiver) rule(ctx context.Context, cfg *config.Archive, shares int) (*ruleRun, error) {
	place, err := a.place(ctx, cfg.To, a.o.shelfOptions(cfg, a.owner))
	if err != nil {
		return nil, err
	}
	g := a.o.governorOptions(cfg.Limits, a.db)
	g.Waited, g.Paced, g.Logger = a.metrics.Waited, a.metrics.Paced, a.o.logger().With(slog.String("rule", cfg.Name))
	deps := archive.Deps{
		DB: archiveDB{a.db}, Leases: a.db.Leases(), Place: place, Elsewhere: a.elsewhere, Governor: governor.New(g),
		Owner: a.owner, Tool: archiveTool(), SpoolDir: a.o.Config.Spool.Path,
		SpoolBytes: int64(a.o.Config.Spool.Max) / int64(shares), Logger: a.o.logger(), Metrics: a.metrics,
	}
	return &ruleRun{cfg: cfg, deps: deps, runner: archive.NewRunner(deps, archive.Options{})}, nil
}

// place opens a place, once.
func (a *archiver) place(ctx context.Context, url string, o catalogue.Options) (archive.Place, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	store := a.stores[url]
	if store == nil {
		var err error
		if store, err = openPlace(ctx, a.o.Config, url); err != nil {
			return archive.Place{}, err
		}
		a.stores[url] = store
	}
	return archive.Place{Shelf: catalogue.New(store, o), Objects: store}, nil
}

// elsewhere opens the place of packs that a rule has put there when it went
// somewhere else than now.
func (a *archiver) elsewhere(ctx context.Context, store string) (archive.Place, error) {
	return a.place(ctx, store, catalogue.Options{
		Name: store, Owner: a.owner, Tool: archiveTool(), TempDir: a.o.Config.Spool.Path, Logger: a.o.logger(),
	})
}

// close releases everything.
func (a *archiver) close(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	closeDB(ctx, a.db)
	var err error
	for _, s := range a.stores {
		err = errors.Join(err, closePlace(s))
	}
	clear(a.stores)
	return err
}

// plans says what each rule would do on each of its collections.
func (a *archiver) plans(ctx context.Context) ([]ArchivePlanned, error) {
	all := []ArchivePlanned{}
	for _, r := range a.list() {
		found, err := ruleNamespaces(ctx, a.db, r.cfg)
		if err != nil {
			return nil, err
		}
		for _, ns := range found {
			p, err := r.runner.Plan(ctx, archiveRule(r.cfg, ns))
			if err != nil {
				return nil, fmt.Errorf("rule %s: %w", r.cfg.Name, err)
			}
			all = append(all, ArchivePlanned{PlanResult: p, To: objstore.Name(r.cfg.To), OlderThan: r.cfg.OlderThan.String(), Delete: r.cfg.Delete && !r.cfg.Shadow})
		}
	}
	return all, nil
}

// run runs a rule once on each of its collections. Each report tells how it
// went; the error is of what failed for another reason than a refused plan, or
// without such of the refusals. A collection that fails leaves the others alone.
func (a *archiver) run(ctx context.Context, r *ruleRun) ([]ArchiveReport, error) {
	found, err := ruleNamespaces(ctx, a.db, r.cfg)
	if err != nil {
		return nil, err
	}
	var reports []ArchiveReport
	var failed, refused []error
	for _, ns := range found {
		rep, err := r.runner.Run(ctx, archiveRule(r.cfg, ns))
		one := ArchiveReport{Report: rep}
		switch {
		case errors.Is(err, archive.ErrRefused):
			one.Error = firstLine(err)
			refused = append(refused, err)
		case err != nil:
			one.Error = firstLine(err)
			failed = append(failed, fmt.Errorf("rule %s on %s: %w", r.cfg.Name, ns, err))
		}
		reports = append(reports, one)
		if ctx.Err() != nil {
			break
		}
	}
	r.mu.Lock()
	r.last = slices.Clone(reports)
	r.mu.Unlock()
	if len(failed) > 0 {
		return reports, errors.Join(failed...)
	}
	return reports, errors.Join(refused...)
}

// pause lets the rules of that name ("" is all) pause until resume.
func (a *archiver) pause(rule, reason string) error {
	if reason == "" {
		reason = "paused by a user"
	}
	return a.each(rule, func(r *ruleRun) { r.user = reason })
}

// resume ends pause. A rule outside of its windows goes on when one opens.
func (a *archiver) resume(rule string) error {
	return a.each(rule, func(r *ruleRun) { r.user = "" })
}

func (a *archiver) each(rule string, f func(*ruleRun)) error {
	known := rule == ""
	for _, r := range a.list() {
		if rule != "" && r.cfg.Name != rule {
			continue
		}
		known = true
		r.set(f)
	}
	if !known {
		return &flow.Error{Op: "find the rule", Object: rule, Class: flow.Config, Err: errors.New("there is no such rule here")}
	}
	return nil
}

// set changes the reasons to pause, and tells the governor.
func (r *ruleRun) set(f func(*ruleRun)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r)
	switch {
	case r.user != "":
		r.deps.Governor.Pause(r.user)
	case r.window != "":
		r.deps.Governor.Pause(r.window)
	default:
		r.deps.Governor.Resume()
	}
}
