package main

import (
	"context"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// A supervisor sends one signal: what takes too long after it is cut.
func TestDrainLimit(t *testing.T) {
	f := func(t *testing.T, limit, work time.Duration, cuts bool) {
		t.Helper()
		soft, ch, ended := make(chan struct{}), make(chan os.Signal, 1), make(chan struct{})
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		go heed(ch, ended, limit, func() { close(soft) }, func() { cancel(errCut) })
		ch <- os.Interrupt
		<-soft
		start := time.Now()
		select {
		case <-ctx.Done():
		case <-time.After(work):
		}
		if got := ctx.Err() != nil; got != cuts || cuts && time.Since(start) != limit {
			t.Errorf("limit %v, work %v: cut %v after %v", limit, work, got, time.Since(start))
		}
		close(ended)
	}
	synctest.Test(t, func(t *testing.T) {
		f(t, 30*time.Second, time.Minute, true)
		f(t, 30*time.Second, 20*time.Second, false)
		f(t, 0, 1000*time.Hour, false)
	})
}
