package search

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"sluice/internal/flow"
)

var (
	errChanging = errors.New("what is behind the name keeps changing")
	errShards   = errors.New("some shards of the index did not answer")
)

// Sink writes batches to the indexes of their namespaces. It is a flow.Sink,
// safe from several goroutines; two of them may not have the same key at once.
type Sink struct {
	client    *Client
	rules     []rule
	limiter   *limiter
	targets   sync.Map // flow.Namespace to *entry
	preparing chan struct{}
	writers   chan *writer
	// reached is a version that the server's time has reached.
	reached atomic.Int64
	// lastBulk is how long the last bulk request took, in nanoseconds.
	lastBulk atomic.Int64
	// places is nil where each namespace has one index, and keys are ids.
	places *places
	scheme scheme
	// update: documents are written without versions.
	update  bool
	earlier earlier
	// streams is nil where documents go to indexes.
	streams *streams
}

var _ flow.Sink = (*Sink)(nil)

func newSink(c *Client) *Sink {
	return &Sink{
		client: c, rules: rules(), preparing: make(chan struct{}, 1),
		limiter: newLimiter(c.opts.MaxInFlight, c.opts.BodyBytes, c.metrics),
		writers: make(chan *writer, 4*c.opts.MaxInFlight),
		places:  newPlaces(c.opts.Places),
		scheme:  schemeOf(c.opts.Profile),
		update:  c.opts.Write == WriteUpdate,
		earlier: earlier{opened: time.Now(), grace: time.Second},
		streams: newStreams(c.opts.Stream),
	}
}

// LastBulk is how long the last bulk request took, with its answer; 0 before the first.
func (s *Sink) LastBulk() time.Duration { return time.Duration(s.lastBulk.Load()) }

// route asks where ns goes.
func (s *Sink) route(ns flow.Namespace) (Route, error) {
	if s.client.opts.Route == nil {
		return Route{}, &flow.Error{Op: "find the index of", Object: ns.String(), Class: flow.Fatal, Err: errors.New("the client has no routes")}
	}
	r, err := s.client.opts.Route(ns)
	if err == nil && (r.Index == "" || r.Plan == nil) {
		err = &flow.Error{Op: "find the index of", Object: ns.String(), Class: flow.Fatal, Err: errors.New("the route lacks an index or a plan")}
	}
	return r, err
}

// Write writes a batch by bulk requests, one after the other, and returns a
// verdict for each change. It returns an error if nothing is known of the whole
// batch: Transient if nothing could be sent or no answer was whole. The bytes
// of b are not used after it returns.
func (s *Sink) Write(ctx context.Context, b flow.Batch) ([]flow.Verdict, error) {
	if len(b.Changes) == 0 {
		return nil, nil
	}
	switch {
	case s.places != nil:
		return s.writePlaced(ctx, b)
	case s.streams != nil:
		return s.writeStream(ctx, b)
	}
	if s.update {
		if err := s.waitForEarlier(ctx); err != nil {
			return nil, err
		}
	}
	return s.writeBatch(ctx, b, nil)
}

// writeBatch writes a batch; seen, if it is not nil, holds what may be deleted, and as
// long as it is what it was.
func (s *Sink) writeBatch(ctx context.Context, b flow.Batch, seen map[string]sequence) ([]flow.Verdict, error) {
	w := s.takeWriter()
	defer s.giveWriter(w)
	w.changes, w.seen = b.Changes, seen
	w.verdicts = make([]flow.Verdict, len(b.Changes))
	if err := w.run(ctx); err != nil {
		return nil, err
	}
	for i := range w.verdicts {
		if w.verdicts[i].Outcome == 0 { // can't be: every way through run gives one
			return nil, &flow.Error{Op: "write batch", Class: flow.Fatal, Err: fmt.Errorf("change %d got no verdict", i)}
		}
	}
	return w.verdicts, nil
}

func (s *Sink) takeWriter() *writer {
	select {
	case w := <-s.writers:
		return w
	default:
		return &writer{sink: s}
	}
}

func (s *Sink) giveWriter(w *writer) {
	s.client.metrics.repaired(w.stats)
	w.reset()
	select {
	case s.writers <- w:
	default:
	}
}
