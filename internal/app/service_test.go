package app

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/pipeline"
	"sluice/internal/systemd"
)

// heard is what a manager of services was told, and when.
type heard struct {
	mu      sync.Mutex
	started time.Time
	lines   []string
}

func (h *heard) tell(state string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	line, _, _ := strings.Cut(state, "\n")
	h.lines = append(h.lines, time.Since(h.started).String()+" "+line)
	return nil
}

func (h *heard) since(n int) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.lines[n:])
}

func TestServiceTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &heard{started: time.Now()}
		drain, open := make(chan struct{}), make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		s := &service{every: 15 * time.Second, send: h.tell, log: slog.New(slog.DiscardHandler), status: func() Status { return Status{} }, beats: map[string]beat{}}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.run(ctx, drain, func(context.Context) bool { <-open; return true })
		}()
		time.Sleep(20 * time.Second)
		s.reloading()() // not before the start is told
		close(open)
		time.Sleep(20 * time.Second)
		done := s.reloading()
		time.Sleep(5 * time.Second)
		done()
		time.Sleep(6 * time.Second)
		done = s.reloading() // and it ends meanwhile
		close(drain)
		time.Sleep(time.Minute)
		done()
		s.reloading()()
		want := []string{"20s READY=1", "35s WATCHDOG=1", "40s RELOADING=1", "45s READY=1", "50s WATCHDOG=1", "51s RELOADING=1", "51s STOPPING=1"}
		if got := h.since(0); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		cancel()
		<-ended
	})
}

// TestServiceNeverReady: what does not open is not ready.
func TestServiceNeverReady(t *testing.T) {
	h := &heard{started: time.Now()}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := &service{every: time.Minute, send: h.tell, log: slog.New(slog.DiscardHandler)}
	s.run(ctx, nil, func(context.Context) bool { return false })
	if got := h.since(0); len(got) != 1 || !strings.HasSuffix(got[0], systemd.Stopping) {
		t.Errorf("%q", got)
	}
}

// TestWatchdogLooksAtTheWork: a flow that writes and does not move is stuck, one
// that waits for a server or has nothing to do is not.
func TestWatchdogLooksAtTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		h := &heard{started: time.Now()}
		st := make(chan Status, 1)
		set := func(state pipeline.State, read int64) {
			select {
			case <-st:
			default:
			}
			st <- Status{Flows: []FlowStatus{{Name: "shop", Pump: pipeline.Status{State: state, Read: read}}}}
		}
		s := &service{every: time.Minute, send: h.tell, log: slog.New(slog.NewTextHandler(&log, nil)), beats: map[string]beat{}, status: func() Status {
			now := <-st
			st <- now
			return now
		}}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); s.watch(ctx, nil) }()
		pass := func(state pipeline.State, read int64, d time.Duration, want int) {
			t.Helper()
			set(state, read)
			before := len(h.since(0))
			time.Sleep(d)
			synctest.Wait()
			if got := len(h.since(before)); got != want {
				t.Errorf("%s with %d read: %d signs of life in %v, want %d", state, read, got, d, want)
			}
		}
		pass(pipeline.Idle, 1, time.Hour, 60)
		pass(pipeline.BlockedSink, 1, time.Hour, 60)
		pass(pipeline.Retrying, 1, time.Hour, 60)
		pass(pipeline.Running, 1, 9*time.Minute, 9)
		pass(pipeline.Running, 2, 10*time.Minute, 10)
		if log.Len() > 0 {
			t.Errorf("the log has %s", &log)
		}
		pass(pipeline.Running, 2, 5*time.Minute, 0)
		if !strings.Contains(log.String(), "flow=shop") {
			t.Errorf("the log has %q", &log)
		}
		pass(pipeline.Running, 3, 5*time.Minute, 5)
		cancel()
		<-ended
	})
}

// TestWatchdogHangsWithTheWork: what can't say how it is, is not alive.
func TestWatchdogHangsWithTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &heard{started: time.Now()}
		locked := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		s := &service{every: time.Second, send: h.tell, log: slog.New(slog.DiscardHandler), status: func() Status { <-locked; return Status{} }, beats: map[string]beat{}}
		ended := make(chan struct{})
		go func() { defer close(ended); s.watch(ctx, nil) }()
		time.Sleep(time.Hour)
		if got := h.since(0); len(got) > 0 {
			t.Errorf("%q", got)
		}
		cancel()
		close(locked)
		<-ended
	})
}

func TestServiceManagerGone(t *testing.T) {
	var log bytes.Buffer
	s := &service{send: func(string) error { return errors.New("no such file") }, log: slog.New(slog.NewTextHandler(&log, nil))}
	s.tell(systemd.Ready)
	s.tell(systemd.Stopping)
	if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "NOTIFY_SOCKET") {
		t.Errorf("the log has %q", &log)
	}
}
