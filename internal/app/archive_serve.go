package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"sluice/internal/archive"
	"sluice/internal/flow"
)

// The pauses before a rule that failed is tried again: doubled, and never later
// than its schedule says.
const (
	firstRetry = time.Minute
	lastRetry  = time.Hour
	// windowEvery is how often it is looked whether a window has closed.
	windowEvery = 15 * time.Second
)

// ArchivePlan says what the chosen rules would do, on each of their
// collections. It changes nothing.
func ArchivePlan(ctx context.Context, o ArchiveOptions) ([]ArchivePlanned, error) {
	a, err := newArchiver(ctx, o, nil)
	if err != nil {
		return nil, err
	}
	if err := a.reachable(ctx); err != nil {
		return nil, errors.Join(err, a.close(ctx))
	}
	plans, err := a.plans(ctx)
	return plans, errors.Join(err, a.close(ctx))
}

// ArchiveRunRules runs the chosen rules: once each, now, one after another; or
// by their schedules, side by side, until drain is closed or ctx is done. What
// a run leaves unfinished, the next one finishes. With once the reports are of
// every collection, also of those that failed, and the error is joined of what
// failed; see ArchiveRefused.
func ArchiveRunRules(ctx context.Context, o ArchiveOptions, drain <-chan struct{}, once bool) (reports []ArchiveReport, err error) {
	boundMemory(archiveMemory)
	a, err := newArchiver(ctx, o, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.close(ctx)) }()
	if err := a.db.EnsureIndexes(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	shown := a.show(ctx)
	defer func() { cancel(); <-shown }()
	if !once {
		return nil, a.serve(ctx, drain)
	}
	// What passes is tried for longer by the run itself.
	if err := a.reachable(ctx); err != nil && flow.ClassOf(err) != flow.Transient {
		return nil, err
	}
	go func() {
		select {
		case <-drain:
			cancel()
		case <-ctx.Done():
		}
	}()
	var failed, refused []error
	for _, r := range a.rules {
		some, err := a.run(ctx, r)
		reports = append(reports, some...)
		switch {
		case err == nil:
		case ctx.Err() != nil && errors.Is(err, context.Canceled):
			return reports, nil // stopped between two steps
		case ArchiveRefused(err):
			refused = append(refused, err)
		default:
			failed = append(failed, err)
		}
	}
	if len(failed) > 0 {
		return reports, errors.Join(failed...)
	}
	return reports, errors.Join(refused...)
}

// ArchiveRefused tells whether err is of refused plans, and nothing else.
func ArchiveRefused(err error) bool { return errors.Is(err, archive.ErrRefused) }

// serve runs all rules by their schedules, side by side, until drain or halt is
// closed or ctx is done. That a run fails is logged, and it is tried again.
func (a *archiver) serve(ctx context.Context, drain <-chan struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a.mu.Lock()
	a.serving = ctx
	for _, r := range a.rules {
		a.begin(ctx, r)
	}
	a.mu.Unlock()
	close(a.begun)
	select {
	case <-drain:
	case <-ctx.Done():
	case <-a.halt:
	}
	cancel()
	a.mu.Lock()
	a.serving = nil
	a.mu.Unlock()
	for _, r := range a.list() {
		r.end()
	}
	return nil
}

// begin serves one rule until ctx is done or its end is asked for.
func (a *archiver) begin(ctx context.Context, r *ruleRun) {
	ctx, r.cancel = context.WithCancel(ctx)
	r.ended = make(chan struct{})
	var both sync.WaitGroup
	both.Go(func() { a.serveRule(ctx, r) })
	both.Go(func() { r.watchWindows(ctx) })
	go func() {
		both.Wait()
		close(r.ended)
	}()
}

// end stops a rule between two steps, and returns when it has.
func (r *ruleRun) end() {
	r.cancel()
	<-r.ended
}

// serveRule runs a rule whenever its time comes. At the start it runs at once if
// it goes by interval and a window is open.
func (a *archiver) serveRule(ctx context.Context, r *ruleRun) {
	log := a.o.logger().With(slog.String("rule", r.cfg.Name))
	s := r.cfg.Schedule
	now := time.Now()
	next := now
	if s.Cron != "" {
		next = s.Next(now)
	} else if open, until := s.InWindow(now); !open {
		next = until
	}
	retry := firstRetry
	for {
		if !sleepUntil(ctx, next) {
			return
		}
		_, err := a.run(ctx, r)
		now := time.Now()
		next = s.Next(now)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			retry = firstRetry
		case ArchiveRefused(err):
			log.Warn("the plan is refused; sluice archive plan tells more", slog.Any(flow.LogErr, err))
		default:
			if soon := now.Add(retry); soon.Before(next) {
				next = soon
			}
			retry = min(2*retry, lastRetry)
			log.Error("the rule failed, and is tried again", slog.Time("next", next), slog.Any(flow.LogErr, err))
		}
	}
}

// sleepUntil returns false when ctx is done.
func sleepUntil(ctx context.Context, at time.Time) bool {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return ctx.Err() == nil
	}
}

// watchWindows pauses the rule outside of its windows.
func (r *ruleRun) watchWindows(ctx context.Context) {
	if len(r.cfg.Schedule.Windows) == 0 {
		return
	}
	tick := time.NewTicker(windowEvery)
	defer tick.Stop()
	for {
		open, until := r.cfg.Schedule.InWindow(time.Now())
		why := ""
		if !open {
			why = "outside of its windows until " + until.UTC().Format(time.RFC3339)
		}
		r.set(func(r *ruleRun) { r.window = why })
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// progress is what each rule does on each collection.
func (a *archiver) progress() []archive.Progress {
	var all []archive.Progress
	for _, r := range a.list() {
		all = append(all, r.runner.Progress()...)
	}
	return all
}

// show draws a line about the work on a terminal until ctx is done; the channel
// is closed when it has ended.
func (a *archiver) show(ctx context.Context) <-chan struct{} {
	ended := make(chan struct{})
	if a.o.Progress == nil {
		close(ended)
		return ended
	}
	go func() {
		defer close(ended)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				a.o.Progress.Show("")
				return
			case <-tick.C:
				a.o.Progress.Show(archiveLine(a.progress()))
			}
		}
	}()
	return ended
}

// archiveLine is the progress of what is at work in one line.
func archiveLine(all []archive.Progress) string {
	var parts []string
	for _, p := range all {
		if !p.Ended.IsZero() {
			continue
		}
		part := fmt.Sprintf("%s %s: %s, %d of %d archived, %d deleted", p.Rule, p.NS, p.State, p.Uploaded, p.Expected, p.Deleted)
		if p.DocsPerSecond > 0 {
			part += fmt.Sprintf(", %.0f/s", p.DocsPerSecond)
		}
		if p.ETA > 0 {
			part += ", about " + p.ETA.Round(time.Second).String() + " left"
		}
		if p.Wait != "" {
			part += " (waits: " + p.Wait + ")"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " | ")
}

// firstLine is an error without its hints.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
