package pipeline

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// State says what a pump is doing.
type State string

// The states of a pump, from calm to worst.
const (
	// Idle: nothing is in flight.
	Idle State = "idle"
	// Running: batches are being written.
	Running State = "running"
	// Retrying: something other than the sink as a whole is tried again.
	Retrying State = "retrying"
	// BlockedSink: the sink answers no write, or has not answered one for a while.
	BlockedSink State = "blocked_sink"
)

// hungAfter is how long one write may take before the sink counts as blocked.
const hungAfter = 15 * time.Second

// Status is what a pump tells of itself.
type Status struct {
	State State `json:"state"`
	// Since is when State began.
	Since time.Time `json:"since"`
	// Reason is the last reason for trying again, empty when there was none.
	Reason string `json:"reason,omitempty"`
	// Error is the last error that was tried again.
	Error string `json:"error,omitempty"`
	// QueueBytes were read and are not settled.
	QueueBytes int64 `json:"queue_bytes"`
	// Read is the number of changes that were read; Total.Sum() reaches it
	// when all are settled.
	Read       int64             `json:"read"`
	Total      Counts            `json:"total"`
	Namespaces map[string]Counts `json:"namespaces"`
	// Retries counts what was tried again, by reason.
	Retries map[string]int64 `json:"retries"`
}

// slot shows when the write of one goroutine began, in Unix nanoseconds; 0: none.
type slot struct{ since atomic.Int64 }

func (s *slot) begin() {
	if s != nil {
		s.since.Store(time.Now().UnixNano())
	}
}

func (s *slot) end() {
	if s != nil {
		s.since.Store(0)
	}
}

// watch knows what the goroutines of a pump are busy with.
type watch struct {
	mu      sync.Mutex
	state   State
	since   time.Time
	reason  string
	err     string
	flights int
	trouble map[State]int
	// calm is closed when the last blocked write gets through.
	calm    chan struct{}
	retries map[string]int64
	slots   []*slot
}

func newWatch() *watch {
	return &watch{state: Idle, since: time.Now(), trouble: make(map[State]int), retries: make(map[string]int64)}
}

// slot returns a new slot for a writing goroutine.
func (w *watch) slot() *slot {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &slot{}
	w.slots = append(w.slots, s)
	return s
}

// fly counts batches in flight.
func (w *watch) fly(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flights += n
	w.turn()
}

// enter says that a goroutine is in trouble (Retrying or BlockedSink) until it leaves.
func (w *watch) enter(s State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trouble[s]++
	if s == BlockedSink && w.trouble[s] == 1 {
		w.calm = make(chan struct{})
	}
	w.turn()
}

func (w *watch) leave(s State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trouble[s]--
	if s == BlockedSink && w.trouble[s] == 0 {
		close(w.calm)
	}
	w.turn()
}

// waitCalm returns when no write is blocked, or when ctx is done: while the
// sink is down, what is read would only lie in memory (rule S9).
func (w *watch) waitCalm(ctx context.Context) {
	for ctx.Err() == nil {
		w.mu.Lock()
		blocked, calm := w.trouble[BlockedSink] > 0, w.calm
		w.mu.Unlock()
		if !blocked {
			return
		}
		select {
		case <-calm:
		case <-ctx.Done():
		}
	}
}

// retried counts n things that will be tried again.
func (w *watch) retried(reason string, n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.retries[reason]; !ok && len(w.retries) >= maxCauses {
		reason = "other"
	}
	w.retries[reason] += int64(n)
	w.reason, w.err = reason, ""
	if err != nil {
		w.err = err.Error()
	}
}

// turn works out the state; w.mu is held.
func (w *watch) turn() {
	s := Idle
	switch {
	case w.trouble[BlockedSink] > 0:
		s = BlockedSink
	case w.trouble[Retrying] > 0:
		s = Retrying
	case w.flights > 0:
		s = Running
	}
	if s != w.state {
		w.state, w.since = s, time.Now()
	}
}

// fill writes what w knows into s.
func (w *watch) fill(s *Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.State, s.Since, s.Reason, s.Error = w.state, w.since, w.reason, w.err
	s.Retries = maps.Clone(w.retries)
	if s.State == BlockedSink {
		return
	}
	now := time.Now()
	for _, slot := range w.slots {
		ns := slot.since.Load()
		if ns == 0 {
			continue
		}
		if began := time.Unix(0, ns); now.Sub(began) >= hungAfter {
			s.State, s.Since = BlockedSink, began
			s.Reason = "no answer"
			return
		}
	}
}

// Status tells how the pump is doing; safe at any time, from any goroutine.
func (p *Pump) Status() Status {
	var s Status
	p.watch.fill(&s)
	s.QueueBytes = p.budget.inUse()
	s.Total, s.Namespaces = p.ledger.counts()
	// After the verdicts, so that the sum never seems larger than what was read.
	s.Read = p.ledger.read.Load()
	return s
}
