package app

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"sluice/internal/flow"
)

// fed is a source that delivers what is sent to it.
type fed struct {
	batches chan flow.Batch
	acks    chan error
}

func (s *fed) Read(ctx context.Context) (flow.Batch, flow.Ack, error) {
	select {
	case b := <-s.batches:
		return b, func(_ context.Context, err error) error { s.acks <- err; return nil }, nil
	case <-ctx.Done():
		return flow.Batch{}, nil, context.Cause(ctx)
	}
}

// TestS9PausedReadsNothing: nothing comes out of a closed gate, not even what a
// read brings that was under way; it comes when the gate opens.
func TestS9PausedReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		src := &fed{batches: make(chan flow.Batch), acks: make(chan error, 1)}
		read := make(chan flow.Batch)
		go func() {
			for range 2 {
				b, _, err := g.wrap(src).Read(t.Context())
				if err != nil {
					t.Error(err)
				}
				read <- b
			}
		}()
		synctest.Wait()
		g.pause("")
		if why, closed := g.paused(); !closed || why == "" {
			t.Error("it does not say that it is paused")
		}
		src.batches <- flow.Batch{Bytes: 1} // the read under way
		synctest.Wait()
		select {
		case b := <-read:
			t.Fatalf("%+v while paused", b)
		default:
		}
		if !g.resume() || g.resume() {
			t.Error("resumed otherwise than once")
		}
		if b := <-read; b.Bytes != 1 {
			t.Errorf("%+v", b)
		}
		g.pause("a reason")
		synctest.Wait()
		g.resume()
		src.batches <- flow.Batch{Bytes: 2}
		if b := <-read; b.Bytes != 2 {
			t.Errorf("%+v", b)
		}
	})
}

// TestS3PausedAndEndedIsNotSettled: what was held when the flow ends is given
// up, so that the position stays before it.
func TestS3PausedAndEndedIsNotSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		src := &fed{batches: make(chan flow.Batch), acks: make(chan error, 1)}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			_, _, err := g.wrap(src).Read(ctx)
			ended <- err
		}()
		synctest.Wait()
		g.pause("")
		src.batches <- flow.Batch{}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := <-src.acks; err == nil {
			t.Error("it was settled")
		}
		if _, _, err := g.wrap(src).Read(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
