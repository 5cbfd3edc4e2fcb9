package mongo

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"sluice/internal/flow"
)

// Pacer lets the copies read as fast as the live database bears; a
// governor.Governor is one. It is called from several goroutines.
type Pacer interface {
	// Wait returns when the copies may go on, after so many documents of so many
	// bytes that they have read; the error is that of ctx.
	Wait(ctx context.Context, docs int, bytes int64) error
	// Reason says why it makes them wait, or slows them down; "" if it does not.
	Reason() string
}

// The words of reasons in the metric of waits.
const (
	waitStream   = "oplog head-room"
	waitPosition = "position not saved"
	waitRate     = "pacing"
)

// mayRead returns when a copy may read one reply more: the stream has the time
// that it needs (rule S4), what a kill now would repeat is not more than a part
// for each reader, and the database bears it. It comes before the read's time is
// chosen, so that no lease is held by who waits.
func (m *copies) mayRead(ctx context.Context) error {
	for {
		reason, changed, docs, bytes := m.hindered()
		if reason == "" {
			if m.s.opts.Snapshot.Pacer == nil {
				return nil
			}
			return m.s.opts.Snapshot.Pacer.Wait(ctx, docs, bytes)
		}
		start := time.Now()
		err := m.s.wait(ctx, changed)
		m.s.opts.Metrics.Waited(reason, time.Since(start))
		if err != nil {
			return err
		}
	}
}

// hindered returns why no copy may read now, as a word, and what to wait for;
// or, with "", what was read since the pacer was last told.
func (m *copies) hindered() (reason string, changed <-chan struct{}, docs int, bytes int64) {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	switch {
	case m.yielding != "":
		return waitStream, m.s.changed, 0, 0
	case m.unsafe():
		m.askForSave()
		return waitPosition, m.s.changed, 0, 0
	}
	docs, bytes = m.owedDocs, m.owedBytes
	m.owedDocs, m.owedBytes = 0, 0
	return "", nil, docs, bytes
}

// waiting says why the copies wait or are slowed down, for people; mu is held.
func (m *copies) waiting() string {
	reading := false
	for _, c := range m.order {
		reading = reading || c.phase == phaseCopying && !c.allRead()
	}
	switch {
	case !reading:
		return ""
	case m.yielding != "":
		return m.yielding
	case m.unsafe():
		return "the position is not saved yet, and a restart would repeat more than a part for each reader"
	}
	if p := m.s.opts.Snapshot.Pacer; p != nil {
		if why := p.Reason(); why != "" {
			return why
		}
	}
	if m.pacing > 0 {
		return fmt.Sprintf("pacing: at the rate of %g documents per second", m.s.opts.Snapshot.Rate)
	}
	return ""
}

// allRead tells whether nothing of c is left to read.
func (c *nsCopy) allRead() bool {
	if !c.cut {
		return false
	}
	for _, ch := range c.chunks {
		if ch.stage == stageReady || ch.stage == stageReading {
			return false
		}
	}
	return true
}

// throttle keeps to the rate, if there is one.
func (m *copies) throttle(ctx context.Context, docs int) error {
	if m.limit == nil {
		return nil
	}
	m.s.mu.Lock()
	m.pacing++
	m.s.mu.Unlock()
	start := time.Now()
	err := m.limit.WaitN(ctx, docs)
	m.s.opts.Metrics.Waited(waitRate, time.Since(start))
	m.s.mu.Lock()
	m.pacing--
	m.s.mu.Unlock()
	return err
}

// unsafe tells whether a kill now would repeat as much as one chunk for each
// reader; mu is held.
func (m *copies) unsafe() bool {
	o := m.s.opts.Snapshot
	return o.AwaitSave && m.inFlight+m.unsaved > int64(o.Parallel)*int64(max(0, o.ChunkBytes-o.BatchBytes))
}

// keepSafe counts what was settled and is not saved; mu is held.
func (m *copies) keepSafe(bytes int64) {
	m.unsaved += bytes
	if o := m.s.opts.Snapshot; o.AwaitSave && m.unsaved > int64(o.Parallel)*int64(o.ChunkBytes)/2 {
		m.askForSave()
	}
}

// let ends a lease, after which nothing of it is in flight; mu is held.
func (m *copies) let(l *lease) {
	if _, open := m.leases[l]; open {
		delete(m.leases, l)
		m.inFlight -= l.bytes
	}
}

// askForSave wakes who saves positions; mu is held.
func (m *copies) askForSave() {
	select {
	case m.due <- struct{}{}:
	default:
	}
}

// Due brings a value when the position should be saved before its time is come:
// much was copied since. One receiver hears it.
func (s *Source) Due() <-chan struct{} { return s.copies.due }

// Checkpoint is Position; saved is to be called when that position is durable.
// With SnapshotOptions.AwaitSave the copies wait for it.
func (s *Source) Checkpoint() (pos flow.Position, saved func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.copies
	covered := m.unsaved
	if pos = s.positionLocked(); pos == s.frozen {
		covered = 0
	}
	return pos, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if m.unsaved -= covered; covered > 0 {
			s.poke()
		}
		covered = 0
	}
}

// The stream is never taken for late below minLate; it has caught up when it is
// no later than a part of what it may be.
const (
	minLate  = 5 * time.Second
	caughtUp = 4
)

// alternate lets the stream go first while the oplog's head-room is short, until
// it has caught up (rule S4); mu is held.
func (m *copies) alternate() {
	was := m.yielding
	m.yielding = m.shortOfOplog()
	switch {
	case was == "" && m.yielding != "":
		m.s.log.Warn("the snapshot waits", slog.String(flow.LogReason, m.yielding))
	case was != "" && m.yielding == "":
		m.s.log.Info("the snapshot goes on: the stream has caught up")
		m.s.poke()
	}
}

// shortOfOplog says how short the head-room is; "" if there is enough, or if it
// is not known. An oplog that has removed nothing yet is only young.
func (m *copies) shortOfOplog() string {
	s, least := m.s, m.s.opts.Snapshot.MinHeadRoom
	passed := s.settledPassed()
	if least <= 0 || !s.oplogFull || s.oplogFirst.IsZero() || passed.IsZero() || len(m.order) == 0 {
		return ""
	}
	window := time.Duration(int64(s.clock.T)-int64(s.oplogFirst.T)) * time.Second
	late := time.Duration(int64(s.clock.T)-int64(passed.T)) * time.Second
	may := time.Duration(float64(window) * (1 - least))
	if m.yielding != "" {
		may /= caughtUp
	}
	if late <= max(may, minLate) {
		return ""
	}
	return fmt.Sprintf("the stream goes first: it is %v behind, and the oplog reaches back only %v", late, window)
}
