package mongo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/checkpoint"
	"sluice/internal/flow"
)

// The bounds of trying again without progress.
const (
	maxByTime = 3 // starts by time after 280
	maxLost   = 3 // lost histories before everything was copied once
)

// failures counts errors since the last reply.
type failures struct{ all, unknown, byTime int }

func (f *failures) clear() { *f = failures{} }

// failed closes the stream and decides what an error leads to (rule S6). nil
// means: open it again at once, from st.at.
func (st *stream) failed(ctx context.Context, err error) error {
	st.shut(ctx)
	if cancelled(ctx, err) {
		return context.Cause(ctx)
	}
	var own *flow.Error
	if errors.As(err, &own) {
		return own
	}
	st.failures.all++
	a, cure := actionOf(err), ""
	if c, no := noStreams(err); no {
		a, cure = unfit, c
	}
	if st.at.invalidate && notServed(err, "startAfter") {
		// What comes after the end of a collection begins one tick later.
		st.at = mark{time: bson.Timestamp{T: st.at.time.T, I: st.at.time.I + 1}, passed: st.at.time}
		return st.pass(reopenFew, err)
	}
	if code, _ := codeOf(err); code == 260 && st.at.invalidate {
		// The driver resumed by itself after an invalidate; startAfter works.
		a = reopen
	}
	switch a {
	case reopenByTime:
		return st.byTime(err)
	case reopenSlim:
		return st.tooLarge(err)
	case lost:
		return st.lostHistory(err)
	case reopen, reopenFew:
		return st.pass(a, err)
	case refused:
		return st.s.deniedStream(fault("open the change stream of", st.s.uri, err))
	case unfit:
		e := fault("open the change stream of", st.s.uri, err)
		e.Class, e.Hint = flow.Config, cure
		return e
	}
	e := fault("resume the change stream of", st.s.uri, err)
	e.Class = flow.Fatal
	e.Hint = "the saved position is damaged: restore the state from a backup, or remove it, which copies everything again"
	return e
}

// pass reopens at once for the first error, and lets the caller pause before
// the next ones.
func (st *stream) pass(a action, err error) error {
	st.s.opts.Metrics.reopened("error")
	if a == reopenFew {
		st.failures.unknown++
	}
	if st.failures.all == 1 {
		st.s.log.Info("change stream is opened again", slog.Any(flow.LogErr, plain(err)))
		return nil
	}
	e := fault("read the change stream of", st.s.uri, err)
	e.Class = flow.Transient
	if st.failures.unknown > maxUnknown {
		e.Class = flow.Fatal
		e.Err = fmt.Errorf("it failed %d times in a row: %w", st.failures.all, e.Err)
	}
	return e
}

// byTime answers 280: the token's event is hidden from this stream by another
// scope or filter. Nothing had passed it, so its time is a place to start.
func (st *stream) byTime(err error) error {
	st.s.opts.Metrics.reopened("by_time")
	st.failures.byTime++
	if st.failures.byTime > maxByTime {
		e := fault("resume the change stream of", st.s.uri, err)
		e.Class = flow.Fatal
		return e
	}
	st.s.log.Info("the resume token does not fit the change stream; it starts by time", slog.Any(flow.LogTime, st.at.time))
	st.at = mark{time: st.at.time, passed: before(st.at.time)}
	return nil
}

// tooLarge answers 10334: the stream is opened without documents, just here.
func (st *stream) tooLarge(err error) error {
	st.s.opts.Metrics.reopened("too_large")
	if st.slim {
		e := fault("read a change event of", st.s.uri, err)
		e.Class = flow.Fatal
		e.Hint = "the event is larger than 16 MB even without its document, which takes an _id of 5 MB or more, and no stream gets past it:\n" +
			"delete that document, move the saved state away and start again; everything is copied anew, the index stays searchable meanwhile"
		return e
	}
	st.slim = true
	return nil
}

// lostHistory answers 286 and its like, as configured.
func (st *stream) lostHistory(err error) error {
	s := st.s
	e := fault("resume the change stream of", s.uri, err)
	e.Class = flow.Lost
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Hint = s.noWayBack(); e.Hint != "" {
		return e
	}
	s.lost++
	s.given = false
	if s.lost > maxLost {
		e.Err = fmt.Errorf("history was lost %d times before everything was copied once: %w", s.lost, e.Err)
		e.Hint = "the oplog is too small for the time that a copy takes; give it more room:\n" +
			"db.adminCommand({replSetResizeOplog: 1, size: <MB>}), or minRetentionHours"
		return e
	}
	s.opts.Metrics.reopened("lost")
	s.log.Warn("the oplog no longer reaches back to where we were; everything is copied again", slog.Any(flow.LogErr, e.Err))
	// The old position is kept until the new start is proven: it leads here again.
	if p := s.positionLocked(); p != "" {
		s.frozen = p
	}
	st.tmu.Lock()
	st.tracker = new(checkpoint.Tracker[mark])
	st.tmu.Unlock()
	st.at, st.proven, st.relist, st.slim, st.queue = mark{}, false, true, false, nil
	return nil
}

// recopy lists what exists, now that the stream runs again, and copies it all.
func (st *stream) recopy(ctx context.Context) error {
	s := st.s
	if _, err := s.serverTime(ctx); err != nil {
		return err
	}
	if err := s.relist(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(st.seen)
	clear(s.bound)
	s.copies.abandonAll()
	for _, c := range s.collections {
		if c.Refused != nil {
			continue
		}
		s.bound[c.NS] = c.UUID
		st.know(c.NS, c.UUID)
		if s.sel.copies(c.NS) {
			s.copies.schedule(c.NS, true)
		}
	}
	st.relist = false
	st.prove()
	s.poke()
	return nil
}

// unreadable says that a reply can't be understood, which no retry mends.
func unreadable(err error) error {
	return &flow.Error{Op: "read a change event", Class: flow.Fatal, Err: err}
}

// timeOf is the version of a cluster time, or the error that says that the
// server's clock is wrong.
func timeOf(ns flow.Namespace, t bson.Timestamp) (int64, error) {
	v, err := flow.VersionOf(t)
	if err != nil {
		return 0, &flow.Error{Op: "read a change of", Object: ns.String(), Class: flow.Fatal, Err: err}
	}
	return v, nil
}
