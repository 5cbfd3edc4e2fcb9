package app

import (
	"context"
	"log/slog"
	"time"

	"sluice/internal/flow"
	"sluice/internal/pipeline"
	"sluice/internal/systemd"
)

// stuckAfter is how long a flow may be writing without anything being read or
// settled, and no error to wait for, before we no longer call ourselves alive.
const stuckAfter = 10 * time.Minute

// tellService tells the manager of services that both ends answer, then that we
// are alive, and that we stop. It returns when ctx is done.
func (a *App) tellService(ctx context.Context, m systemd.Manager) {
	if !m.There() {
		return
	}
	s := service{every: m.Watchdog / 2, send: m.Tell, log: a.o.Logger, status: a.Status, beats: map[string]beat{}}
	s.run(ctx, a.drain, a.opened)
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

// service tells a manager about us. One goroutine has it.
type service struct {
	// every is how often it wants to hear that we are alive; 0: never.
	every  time.Duration
	send   func(state string) error
	log    *slog.Logger
	status func() Status
	beats  map[string]beat
	deaf   bool // the manager can't be reached, and that was logged
}

// beat is when the count of what a flow did was seen to change.
type beat struct {
	count int64
	at    time.Time
}

func (s *service) run(ctx context.Context, drain <-chan struct{}, opened func(context.Context) bool) {
	if opened(ctx) {
		s.tell(systemd.Ready)
		s.watch(ctx, drain)
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

// tell sends a state; a manager that can't be reached is told of once.
func (s *service) tell(state string) {
	if err := s.send(state); err != nil && !s.deaf {
		s.deaf = true
		s.log.Warn("the manager of services (NOTIFY_SOCKET) can't be reached", slog.Any(flow.LogErr, err))
	}
}
