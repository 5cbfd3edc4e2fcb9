package app

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"sluice/internal/flow"
	"sluice/internal/pipeline"
	"sluice/internal/systemd"
)

// stuckAfter is how long a flow may be writing without anything being read or
// settled, and no error to wait for, before we no longer call ourselves alive.
const stuckAfter = 10 * time.Minute

// newService returns what tells the manager m of services that both ends answer,
// then that we are alive, and that we stop.
func (a *App) newService(m systemd.Manager) *service {
	return &service{every: m.Watchdog / 2, send: m.Tell, log: a.o.Logger, status: a.Status, beats: map[string]beat{}}
}

// opened waits until everything of the start is open; false if it will not be.
func (a *App) opened(ctx context.Context) bool {
	for _, f := range a.live() {
		select {
		case <-f.life.up:
			if f.life.upErr != nil {
				return false
			}
		case <-ctx.Done():
			return false
		}
	}
	select {
	case <-a.archiveUp:
		return true
	case <-ctx.Done():
		return false
	}
}

// service tells a manager about us. One goroutine has it, but for reloading.
type service struct {
	// every is how often it wants to hear that we are alive; 0: never.
	every  time.Duration
	send   func(state string) error
	log    *slog.Logger
	status func() Status
	beats  map[string]beat
	deaf   atomic.Bool // the manager can't be reached, and that was logged
	// ready: that was told, and not yet that we stop.
	ready atomic.Bool
}

// beat is when the count of what a flow did was seen to change.
type beat struct {
	count int64
	at    time.Time
}

// run tells of start, life and stop, and returns when ctx is done.
func (s *service) run(ctx context.Context, drain <-chan struct{}, opened func(context.Context) bool) {
	if opened(ctx) {
		s.tell(systemd.Ready)
		s.ready.Store(true)
		s.watch(ctx, drain)
		s.ready.Store(false)
	}
	s.tell(systemd.Stopping)
	// The time to stop is the manager's to bound: it looks at no watchdog then.
	<-ctx.Done()
}

// watch tells that we are alive every half of the time that the manager waits for
// it, as long as we are.
func (s *service) watch(ctx context.Context, drain <-chan struct{}) {
	var tick <-chan time.Time // nil: nobody asks
	if s.every > 0 {
		t := time.NewTicker(s.every)
		defer t.Stop()
		tick = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-drain:
			return
		case <-tick:
		}
		// Whoever holds a lock for ever holds this up too.
		if stuck := s.stuck(s.status(), time.Now()); stuck != "" {
			s.log.Error("nothing moves although there is work and no error: the watchdog is not told that we are alive", slog.String(flow.LogFlow, stuck))
			continue
		}
		s.tell(systemd.Watchdog)
	}
}

// stuck names a flow that is writing and has not moved for long; one that waits
// for a server, which a start anew does not mend, is none.
func (s *service) stuck(st Status, now time.Time) string {
	for _, f := range st.Flows {
		n := f.Pump.Read + f.Pump.Total.Sum()
		last, seen := s.beats[f.Name]
		switch {
		case !seen, n != last.count, f.Pump.State != pipeline.Running:
			s.beats[f.Name] = beat{count: n, at: now}
		case now.Sub(last.at) >= stuckAfter:
			return f.Name
		}
	}
	return ""
}

// reloading tells that a new configuration is taken; the function that it returns
// tells the end, whatever came of it.
func (s *service) reloading() (done func()) {
	if s == nil || !s.ready.Load() {
		return func() {}
	}
	s.tell(systemd.Reloading())
	return func() {
		if s.ready.Load() {
			s.tell(systemd.Ready)
		}
	}
}

// tell sends a state; a manager that can't be reached is told of once.
func (s *service) tell(state string) {
	if err := s.send(state); err != nil && !s.deaf.Swap(true) {
		s.log.Warn("the manager of services (NOTIFY_SOCKET) can't be reached", slog.Any(flow.LogErr, err))
	}
}
