package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// signals turns the first SIGINT or SIGTERM into drain, and the second into a
// cancelled context. cut tells afterwards whether the second one came.
func signals(ctx context.Context) (out context.Context, drain <-chan struct{}, cut func() bool, stop func()) {
	out, cancel := context.WithCancelCause(ctx)
	soft := make(chan struct{})
	ended := make(chan struct{})
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, os.Interrupt, syscall.SIGTERM)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-ended:
				return
			case <-ch:
			}
			if n > 0 {
				cancel(errCut)
				return
			}
			close(soft)
		}
	}()
	cut = func() bool { return errors.Is(context.Cause(out), errCut) }
	stop = func() { signal.Stop(ch); close(ended); cancel(nil) }
	return out, soft, cut, stop
}
