package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// signals turns the first SIGINT or SIGTERM into drain, and the second into a
// cancelled context. cut tells afterwards whether the second one came.
func signals(ctx context.Context) (out context.Context, drain <-chan struct{}, cut func() bool, stop func()) {
	return signalsWithin(ctx, 0)
}

// signalsWithin is signals for supervisors that send one signal and then kill:
// limit after the first signal the context is cancelled as by a second one; 0 is
// no limit.
func signalsWithin(ctx context.Context, limit time.Duration) (out context.Context, drain <-chan struct{}, cut func() bool, stop func()) {
	out, cancel := context.WithCancelCause(ctx)
	soft := make(chan struct{})
	ended := make(chan struct{})
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, os.Interrupt, syscall.SIGTERM)
	go heed(ch, ended, limit, func() { close(soft) }, func() { cancel(errCut) })
	cut = func() bool { return errors.Is(context.Cause(out), errCut) }
	stop = func() { signal.Stop(ch); close(ended); cancel(nil) }
	return out, soft, cut, stop
}

// heed calls soft at the first signal, and cut at the second, or limit (0: never)
// after the first. It returns after cut, or when ended is closed.
func heed(ch <-chan os.Signal, ended <-chan struct{}, limit time.Duration, soft, cut func()) {
	select {
	case <-ended:
		return
	case <-ch:
	}
	soft()
	var late <-chan time.Time // nil: never
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-ended:
	case <-ch:
		cut()
	case <-late:
		cut()
	}
}
