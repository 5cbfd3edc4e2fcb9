package app

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"sluice/internal/checkpoint"
	"sluice/internal/config"
	"sluice/internal/flow"
)

// errReplaced is why a flow is cut that does not drain in time.
var errReplaced = errors.New("a new configuration takes its place")

// life is that of one flow, apart from that of the process.
type life struct {
	// drain is closed to let this flow alone drain.
	drain     chan struct{}
	drainOnce sync.Once
	// up is closed when the flow is open, or will never be; upErr says why not.
	up    chan struct{}
	upErr error
	// ended is closed when everything of the flow is closed.
	ended chan struct{}
	cut   context.CancelCauseFunc
	// trial: it was started by a reload, which is told if it does not open; the
	// process goes on then.
	trial bool
	// quiet: a reload is about to start it, and whether it is ready is not asked.
	quiet atomic.Bool
}

func newLife(trial bool) *life {
	return &life{drain: make(chan struct{}), up: make(chan struct{}), ended: make(chan struct{}), trial: trial}
}

// stop lets the flow drain. It is safe at any time, again too.
func (l *life) stop() { l.drainOnce.Do(func() { close(l.drain) }) }

// either is closed when drain is, or when the flow is to drain by itself.
func (l *life) either(drain <-chan struct{}) <-chan struct{} {
	out := make(chan struct{})
	go func() {
		select {
		case <-drain:
			close(out)
		case <-l.drain:
			close(out)
		case <-l.ended:
		}
	}()
	return out
}

// launch starts the flow in the App's group.
func (a *App) launch(f *flowRun) {
	ctx, cut := context.WithCancelCause(a.ctx)
	f.life.cut = cut
	a.group.Go(func() error {
		defer close(f.life.ended)
		defer cut(nil)
		err := a.runFlow(ctx, f, f.life.either(a.drain))
		switch {
		case err == nil:
			return nil
		case f.life.trial && f.life.upErr != nil:
			return nil // the reload tells of it
		case errors.Is(context.Cause(ctx), errReplaced):
			// What was not settled is read again from the saved position.
			f.log.Warn("the flow was cut, for it did not drain in time", slog.Any(flow.LogErr, err))
			return nil
		}
		return err
	})
}

// end lets the flow drain, cuts it if that takes longer than the App waits for
// one, and returns when it has ended.
func (a *App) end(f *flowRun) {
	f.life.stop()
	t := time.NewTimer(a.grace)
	defer t.Stop()
	select {
	case <-f.life.ended:
		return
	case <-a.drain: // all of it ends, and takes the time that it takes
	case <-t.C:
		f.life.cut(errReplaced)
	}
	<-f.life.ended
}

// successor is the flow that takes the place of f (nil: of none) by another
// configuration. What the user said by command stays: a pause, and what was not
// begun of --resync. With trial, that it does not open is told to the reload.
func (a *App) successor(f *flowRun, cfg *config.Config, name string, trial bool) *flowRun {
	o := a.o
	o.Config = cfg
	if f == nil || f.opened.Load() {
		o.Resync = nil
	} else {
		o.Resync = f.o.Resync
	}
	next := a.newFlow(o, name, trial)
	next.life.quiet.Store(true)
	if f != nil {
		next.replaces = f.opened.Load()
		if why, paused := f.gate.paused(); paused {
			next.gate.pause(why)
		}
	}
	return next
}

// refits holds what is indexed against another configuration of the flow, as a
// start does (rule S12), while the flow runs.
func (f *flowRun) refits(next *config.Flow) error {
	if !f.opened.Load() {
		return nil // its start has the same question
	}
	saved := f.stateAt(f.source.Position())
	saved.Flow = f.cfg.Name
	now := checkpoint.Binding{Source: saved.Source, Fingerprints: map[string]string{}, Targets: map[string]checkpoint.Target{}}
	for text := range saved.Fingerprints {
		ns, ok := flow.ParseNamespace(text)
		if !ok || !next.Follows(text) || movesIndex(f.cfg, next, ns) {
			continue
		}
		now.Fingerprints[text] = fingerprint(next, ns)
		now.Targets[text] = checkpoint.Target{UUID: saved.Targets[text]}
	}
	_, err := checkpoint.Bind(saved, now, checkpoint.Choices{AcceptShape: f.o.AcceptShape})
	return err
}

// movesIndex tells whether the documents of ns go to another index: then they are
// copied there, and what shapes them may change too.
func movesIndex(a, b *config.Flow, ns flow.Namespace) bool {
	before, _ := config.IndexName(*a, ns.DB, ns.Coll)
	after, _ := config.IndexName(*b, ns.DB, ns.Coll)
	return a.Index != b.Index || before != after
}

// prepare makes the indexes of everything that is followed ready: what the engine
// refuses of settings and mappings is found while there is a way back.
func (f *flowRun) prepare(ctx context.Context) error {
	for _, c := range f.source.Collections() {
		if c.Refused != nil || !f.writes(c.NS) {
			continue
		}
		if err := f.sink.Prepare(ctx, c.NS); err != nil {
			return err
		}
	}
	return nil
}

// setBudget changes the flow's share of limits.memory_budget.
func (f *flowRun) setBudget(bytes int64) {
	f.budget.Store(bytes)
	if !f.opened.Load() {
		return
	}
	f.pump.SetBudget(f.queueBudget())
	if f.files != nil {
		f.files.Resize(bytes / 2)
	}
}
