package app

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"sluice/internal/archive"
	"sluice/internal/config"
)

// ruleSwap is a change of the archive's rules that is prepared, and can't fail
// any more. Either commit or abandon is called, once.
type ruleSwap struct {
	app  *App
	diff config.Changes
	next *config.Config
	// whole: all rules take another archiver; fresh is that, nil for none.
	whole bool
	fresh *archiver
	// rules are those that came or changed, where the archiver stays.
	rules map[string]*ruleRun
}

// prepareRules opens what the rules of next need beside what runs, which it does
// not touch.
func (a *App) prepareRules(d config.Diff, next *config.Config) (*ruleSwap, error) {
	s := &ruleSwap{app: a, diff: d.Rules, next: next}
	if !d.Rules.Any() {
		return s, nil
	}
	select {
	case <-a.archiveUp:
	case <-a.drain:
		return nil, errEnding
	case <-a.ctx.Done():
		return nil, errEnding
	}
	ctx, cancel := a.opening()
	defer cancel()
	cur := a.archiver.Load()
	if len(next.Archive) == 0 {
		s.whole = true
		return s, nil
	}
	if cur != nil && !d.Archive {
		return s, s.prepareSome(ctx, cur)
	}
	if a.archiveMetrics == nil {
		a.archiveMetrics = archive.NewMetrics(a.reg)
	}
	s.whole = true
	var err error
	if s.fresh, err = a.openArchive(ctx, next); err != nil {
		return nil, err
	}
	if err := s.fresh.reachable(ctx); err != nil {
		s.abandon()
		return nil, err
	}
	return s, nil
}

// prepareSome opens the rules that came or changed.
func (s *ruleSwap) prepareSome(ctx context.Context, cur *archiver) error {
	s.rules = map[string]*ruleRun{}
	for i := range s.next.Archive {
		cfg := &s.next.Archive[i]
		if slices.Contains(s.diff.Same, cfg.Name) {
			continue
		}
		r, err := cur.rule(ctx, cfg, len(s.next.Archive))
		if err == nil {
			err = cur.reach(ctx, cfg.To)
		}
		if err != nil {
			return fmt.Errorf("rule %s: %w", cfg.Name, err)
		}
		s.rules[cfg.Name] = r
	}
	return nil
}

// abandon closes what was prepared.
func (s *ruleSwap) abandon() {
	if s.fresh == nil {
		return
	}
	ctx, done := context.WithTimeout(context.WithoutCancel(s.app.ctx), closeGrace)
	defer done()
	_ = s.fresh.close(ctx) // it has done nothing yet
}

// commit ends the rules that changed or went, between two steps, and lets those
// that changed or came begin. What a run leaves unfinished, the next one finishes.
func (s *ruleSwap) commit() {
	a, cur := s.app, s.app.archiver.Load()
	if !s.whole {
		if s.rules != nil {
			cur.swap(s)
		}
		return
	}
	if cur != nil {
		close(cur.halt)
		<-cur.ended
	}
	if s.fresh != nil {
		for _, r := range s.fresh.rules {
			if cur != nil {
				r.inherit(cur.list())
			}
		}
		a.group.Go(func() error { return a.serveArchive(s.fresh) })
	}
	a.archiver.Store(s.fresh)
}

// swap is commit where the archiver stays.
func (a *archiver) swap(s *ruleSwap) {
	select {
	case <-a.begun:
	case <-a.ended:
	}
	old := a.list()
	var all sync.WaitGroup
	for _, r := range old {
		if !slices.Contains(s.diff.Same, r.cfg.Name) {
			all.Go(r.end)
		}
	}
	all.Wait()
	share := int64(s.next.Spool.Max) / int64(len(s.next.Archive))
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.serving == nil {
		return // all ends
	}
	a.rules = make([]*ruleRun, 0, len(s.next.Archive))
	for i := range s.next.Archive {
		name := s.next.Archive[i].Name
		r := s.rules[name]
		if r == nil {
			r = old[slices.IndexFunc(old, func(r *ruleRun) bool { return r.cfg.Name == name })]
			r.runner.SetSpool(share)
		} else {
			r.inherit(old)
			a.begin(a.serving, r)
		}
		a.rules = append(a.rules, r)
	}
}

// inherit takes a user's pause over from the rule of the same name.
func (r *ruleRun) inherit(old []*ruleRun) {
	for _, o := range old {
		if o.cfg.Name != r.cfg.Name {
			continue
		}
		o.mu.Lock()
		why := o.user
		o.mu.Unlock()
		if why != "" {
			r.set(func(r *ruleRun) { r.user = why })
		}
	}
}
