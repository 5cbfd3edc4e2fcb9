package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/internal/config"
	"sluice/internal/search"
)

// drainGrace is how long a flow that is replaced may take to drain: a search
// engine that takes nothing must not hold back the configuration that mends it.
const drainGrace = 30 * time.Second

// errEnding says that a reload was given up because everything ends.
var errEnding = errors.New("sluice ends")

// apply brings what runs from the configuration that it has to next, or leaves
// it as it is: then the error says why. What is the same in both goes on
// undisturbed. In this order: what can be refused without touching anything is
// asked first; flows that changed or went are drained; flows that changed or
// came are opened, and if one of them can't be, those before are started again;
// the rules of the archive, opened beforehand, change places last. It returns
// what it did, "" if both mean the same. One call at a time.
func (a *App) apply(next *config.Config) (done string, err error) {
	cur := a.config()
	d, err := cur.Diff(next)
	if err != nil {
		return "", err
	}
	if d.Empty() {
		a.cfg.Store(next)
		return "", nil
	}
	rules, err := a.prepareRules(d, next)
	if err != nil {
		return "", err
	}
	if err := a.preflight(d, next); err != nil {
		rules.abandon()
		return "", err
	}
	if err := a.swapFlows(d, cur, next); err != nil {
		rules.abandon()
		return "", err
	}
	rules.commit()
	a.cfg.Store(next)
	a.inPlace(next)
	return changesIn(d), nil
}

// inPlace applies what needs no start, and cuts shares anew.
func (a *App) inPlace(next *config.Config) {
	for _, f := range a.live() {
		f.setBudget(budgetShare(next))
	}
	if a.web != nil {
		a.web.SetToken(next.HTTP.Token.Reveal())
	}
	a.boundMemoryAgain()
}

// preflight asks what can be asked while the old configuration runs untouched:
// whether its parts can be understood, whether the documents keep their shape (rule S12), and whether the search
// engine that is named now answers.
func (a *App) preflight(d config.Diff, next *config.Config) error {
	if err := Check(next); err != nil {
		return err
	}
	var errs []error
	for _, f := range a.live() {
		if !slices.Contains(d.Flows.Changed, f.cfg.Name) {
			continue
		}
		if err := f.refits(flowOf(next, f.cfg.Name)); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 || !d.Search || len(next.Flows) == 0 {
		return errors.Join(errs...)
	}
	o := reachSearch(next.Search)
	o.Transport, o.Logger = a.o.Transport, a.o.Logger
	ctx, cancel := a.opening()
	defer cancel()
	client, err := search.Open(ctx, o)
	if err != nil {
		return err
	}
	client.Close()
	return nil
}

func flowOf(c *config.Config, name string) *config.Flow {
	i := slices.IndexFunc(c.Flows, func(f config.Flow) bool { return f.Name == name })
	return &c.Flows[i]
}

// swapFlows drains what changed or went, and starts what changed or came. After
// an error the flows of cur run again.
func (a *App) swapFlows(d config.Diff, cur, next *config.Config) error {
	old := map[string]*flowRun{}
	for _, f := range a.live() {
		old[f.cfg.Name] = f
	}
	leaving := slices.Concat(d.Flows.Changed, d.Flows.Removed)
	coming := slices.Concat(d.Flows.Changed, d.Flows.Added)
	a.endAll(old, leaving)
	if a.ending() {
		return errEnding
	}
	fresh := map[string]*flowRun{}
	for _, name := range coming {
		fresh[name] = a.successor(old[name], next, name, true)
	}
	a.install(next, old, fresh)
	err := a.open(fresh)
	if err == nil || a.ending() {
		return err
	}
	a.o.Logger.Warn("the new configuration does not start; the old one is started again", slog.Any("error", err))
	a.endAll(fresh, coming)
	if a.ending() {
		return err
	}
	again := map[string]*flowRun{}
	for _, name := range leaving {
		again[name] = a.successor(old[name], cur, name, false)
	}
	a.install(cur, old, again)
	_ = a.open(again) // what can't be opened again ends the process, as at a start
	return err
}

// endAll ends some flows, side by side.
func (a *App) endAll(flows map[string]*flowRun, names []string) {
	var all sync.WaitGroup
	for _, name := range names {
		all.Go(func() { a.end(flows[name]) })
	}
	all.Wait()
}

// install makes the flows of c those that there are: those of fresh, and of the
// others those that run already.
func (a *App) install(c *config.Config, old, fresh map[string]*flowRun) {
	flows := make([]*flowRun, 0, len(c.Flows))
	for i := range c.Flows {
		name := c.Flows[i].Name
		f := fresh[name]
		if f == nil {
			f = old[name]
		}
		flows = append(flows, f)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flows = flows
}

// open starts flows and waits until each is open, or is not.
func (a *App) open(flows map[string]*flowRun) error {
	for _, f := range flows {
		a.launch(f)
	}
	var errs []error
	for name, f := range flows {
		<-f.life.up
		f.life.quiet.Store(false)
		if err := f.life.upErr; err != nil {
			errs = append(errs, fmt.Errorf("flow %s does not start: %w", name, err))
		}
	}
	if a.ending() {
		return errEnding
	}
	return errors.Join(errs...)
}

// ending tells whether all of it ends.
func (a *App) ending() bool {
	select {
	case <-a.drain:
		return true
	case <-a.ctx.Done():
		return true
	default:
		return false
	}
}

// changesIn says in words what a reload has changed.
func changesIn(d config.Diff) string {
	var parts []string
	tell := func(what, tail string, names []string) {
		if len(names) > 0 {
			parts = append(parts, what+" "+strings.Join(names, ", ")+tail)
		}
	}
	tell("added flow", "", d.Flows.Added)
	tell("changed flow", "", d.Flows.Changed)
	tell("removed flow", " (its position and its index stay)", d.Flows.Removed)
	tell("added rule", "", d.Rules.Added)
	tell("changed rule", "", d.Rules.Changed)
	tell("removed rule", " (what it archived stays)", d.Rules.Removed)
	if d.Live {
		parts = append(parts, "limits or http changed in place")
	}
	return strings.Join(parts, "; ")
}

// opening is a context of what a reload opens: it ends when all ends.
func (a *App) opening() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(a.ctx)
	go func() {
		select {
		case <-a.drain:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
