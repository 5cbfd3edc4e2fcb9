package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sluice/internal/archive"
	"sluice/internal/config"
)

// archiveMemory is what archiving may take beside the queues of the flows.
const archiveMemory = 48 << 20

// ArchiveStatus is the part of one rule of the archive.
type ArchiveStatus struct {
	Rule string `json:"rule"`
	// Paused says why the rule pauses, "" if it does not: told to by a user, or
	// outside of its windows.
	Paused string `json:"paused,omitempty"`
	// Collections are those that it has worked on since the start.
	Collections []archive.Progress `json:"collections"`
	// Last is what its last run came to, on each collection.
	Last []ArchiveReport `json:"last,omitempty"`
}

// runArchive runs the rules of the configuration until all ends; with Once each
// of them once.
func (a *App) runArchive() error {
	r, err := a.openArchive(a.ctx, a.o.Config)
	if err != nil {
		return err
	}
	a.archiver.Store(r)
	if !a.o.Once {
		close(a.archiveUp)
	}
	return a.serveArchive(r)
}

// openArchive opens the rules of a configuration.
func (a *App) openArchive(ctx context.Context, cfg *config.Config) (*archiver, error) {
	r, err := newArchiver(ctx, ArchiveOptions{Config: cfg, Logger: a.o.Logger}, a.archiveMetrics)
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	if err := r.db.EnsureIndexes(ctx); err != nil {
		return nil, errors.Join(err, r.close(context.WithoutCancel(ctx)))
	}
	return r, nil
}

// serveArchive runs rules and closes everything of them at the end.
func (a *App) serveArchive(r *archiver) (err error) {
	ctx, drain := a.ctx, a.drain
	defer close(r.ended)
	defer func() {
		closeCtx, done := context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
		defer done()
		err = errors.Join(err, r.close(closeCtx))
	}()
	if !a.o.Once {
		return r.serve(ctx, drain)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-drain:
			cancel()
		case <-ctx.Done():
		}
	}()
	for _, rule := range r.list() {
		if _, e := r.run(ctx, rule); e != nil && ctx.Err() == nil {
			err = errors.Join(err, e)
		}
	}
	return err
}

// Pause lets the rule of that name, or all with "", pause until Resume, at the
// next moment at which that is safe. reason is shown. It is safe at any time.
func (a *App) Pause(rule, reason string) error {
	r := a.archiver.Load()
	if r == nil {
		return errNoArchive
	}
	return r.pause(rule, reason)
}

// Resume ends Pause.
func (a *App) Resume(rule string) error {
	r := a.archiver.Load()
	if r == nil {
		return errNoArchive
	}
	return r.resume(rule)
}

var errNoArchive = errors.New("no rule of the archive runs here")

// archiveStatus is what each rule does; nil before they were opened.
func (a *App) archiveStatus() []ArchiveStatus {
	r := a.archiver.Load()
	if r == nil {
		return nil
	}
	rules := r.list()
	all := make([]ArchiveStatus, 0, len(rules))
	for _, one := range rules {
		all = append(all, one.status())
	}
	return all
}

func (r *ruleRun) status() ArchiveStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := ArchiveStatus{Rule: r.cfg.Name, Paused: r.user, Collections: r.runner.Progress(), Last: r.last}
	if st.Paused == "" {
		st.Paused = r.window
	}
	return st
}

// archiveReady is nil when the rules were opened and MongoDB answers.
func (a *App) archiveReady(ctx context.Context) error {
	if len(a.config().Archive) == 0 {
		return nil
	}
	r := a.archiver.Load()
	if r == nil {
		return errors.New("the rules of the archive are not open")
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	_, _, err := r.db.ServerTime(ctx)
	return err
}

// text is the status for people.
func (s ArchiveStatus) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "rule %s", s.Rule)
	if s.Paused != "" {
		b.WriteString(": paused, " + s.Paused)
	}
	for _, p := range s.Collections {
		fmt.Fprintf(&b, "\n  %s: %s, %d of %d archived, %d deleted, %d changed, %d gone", p.NS, p.State, p.Uploaded, p.Expected, p.Deleted, p.Changed, p.Gone)
		if p.Wait != "" {
			b.WriteString("\n    waits: " + p.Wait)
		}
		if p.Error != "" {
			b.WriteString("\n    error: " + p.Error)
		}
	}
	return b.String()
}
