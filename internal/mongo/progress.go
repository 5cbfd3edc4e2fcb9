package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/flow"
)

// heartbeatEvery is how often the server is asked for its time, and
// oplogEvery how often for the start of its oplog.
const (
	heartbeatEvery = time.Second
	oplogEvery     = 30 * time.Second
)

// Progress says how far a source is. A zero time is one that is not known (yet).
type Progress struct {
	// Namespaces holds every followed namespace, sorted by name.
	Namespaces []NamespaceProgress
	// ServerTime is the server's latest operationTime that we know of, and
	// CommittedTime what a majority has: a stream never gets past that.
	ServerTime, CommittedTime bson.Timestamp
	// ReadTime is how far the stream was read, SettledTime how far all is settled.
	ReadTime, SettledTime bson.Timestamp
	// OplogFirst is the time of the oldest entry of the oplog, if we may read it.
	OplogFirst bson.Timestamp
	// HistoryLost counts how often history was lost since all was copied.
	HistoryLost int
	// CopyRead and CopySettled count documents of all copies of this run.
	CopyRead, CopySettled int64
	// Waiting says why the copies wait or are slowed down; "" if they are not.
	Waiting string
	// Left is about how long it takes until all is copied, -1 if unknown.
	Left time.Duration
	// RereadQueries counts queries for documents that were updated.
	RereadQueries int64
	// Related holds every relation, in the order of Options.
	Related []RelatedProgress
}

// NamespaceProgress says how far the copy of one namespace is.
type NamespaceProgress struct {
	NS flow.Namespace
	// Phase is "waiting", "beginning", "copying", "ending", "paused", or
	// "following" when there is nothing to copy.
	Phase string
	// Estimated is about how many documents there are, -1 if unknown.
	Estimated int64
	// Done is how many of Estimated are behind us, those that a filter left out
	// included; it grows up to Estimated.
	Done int64
	// Left is about how long it takes until it is copied, with all that comes
	// before it, -1 if unknown.
	Left time.Duration
	// Read counts documents of this run, Settled and Bytes also what earlier runs
	// have settled of this copy.
	Read, Settled, Bytes int64
	// ChunksOpen are cut and not final, ChunksDone final, in this run.
	ChunksOpen, ChunksDone int
}

// Lag is how far SettledTime is behind ServerTime, by the server's clock; ok is
// false while one of them is not known.
func (p Progress) Lag() (lag time.Duration, ok bool) {
	if p.ServerTime.IsZero() || p.SettledTime.IsZero() {
		return 0, false
	}
	return max(0, time.Duration(int64(p.ServerTime.T)-int64(p.SettledTime.T))*time.Second), true
}

// Progress returns how far the source is, without asking the server.
func (s *Source) Progress() Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := Progress{
		ServerTime: s.clock, CommittedTime: s.committed, ReadTime: s.readTime,
		SettledTime: s.settledPassed(), OplogFirst: s.oplogFirst, HistoryLost: s.lost,
		CopyRead: s.copies.read, CopySettled: s.copies.settled, RereadQueries: s.rereads.Load(),
		Related: s.related.progress(),
	}
	if s.sel.streamed.none {
		p.ReadTime, p.SettledTime = bson.Timestamp{}, bson.Timestamp{}
	}
	p.Waiting = s.copies.waiting()
	left := s.copies.left()
	for _, c := range s.copies.order {
		if d := left[c]; !c.held && p.Left >= 0 && (d < 0 || d > p.Left) {
			p.Left = d
		}
	}
	var all []flow.Namespace
	for ns := range s.bound {
		all = append(all, ns)
	}
	sortNamespaces(all)
	for _, ns := range all {
		n := NamespaceProgress{NS: ns, Phase: "following", Estimated: -1}
		if c := s.copies.find(ns); c != nil {
			n = NamespaceProgress{
				NS: ns, Phase: c.phaseName(), Estimated: c.total(), Done: c.done(), Left: left[c], Read: c.read,
				Settled: c.settled, Bytes: c.bytes, ChunksOpen: len(c.chunks), ChunksDone: c.chunksDone,
			}
		}
		p.Namespaces = append(p.Namespaces, n)
	}
	return p
}

// heartbeat keeps the clock, until the source is closed. What fails here fails
// louder elsewhere.
func (s *Source) heartbeat() {
	t := time.NewTicker(heartbeatEvery)
	defer t.Stop()
	var last time.Time
	readable := true
	beat := time.Now()
	for {
		if readable && time.Since(last) >= s.oplogPause() {
			last = time.Now()
			readable = s.readOplogStart(s.ctx)
		}
		now := time.Now()
		s.mu.Lock()
		s.copies.alternate()
		s.copies.measure(now.Sub(beat))
		s.mu.Unlock()
		beat = now
		select {
		case <-t.C:
			_, _ = s.serverTime(s.ctx)
		case <-s.ctx.Done():
			return
		}
	}
}

// oplogPause is how long to wait before the oplog is asked again: while copies
// are under way a hundredth of what it holds, for a small one is gone soon.
func (s *Source) oplogPause() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.copies.order) == 0 || s.oplogFirst.IsZero() {
		return oplogEvery
	}
	window := time.Duration(int64(s.clock.T)-int64(s.oplogFirst.T)) * time.Second
	return min(max(window/100, heartbeatEvery), oplogEvery)
}

// readOplogStart is false if we may not read the oplog.
func (s *Source) readOplogStart(ctx context.Context) bool {
	if s.caps.sharded {
		return false
	}
	raw, err := s.client.Database("local").Collection("oplog.rs").FindOne(ctx, bson.D{},
		options.FindOne().SetSort(bson.D{{Key: "$natural", Value: 1}}).SetProjection(bson.D{{Key: "ts", Value: 1}})).Raw()
	if err != nil {
		code, _ := codeOf(err)
		return code != 13
	}
	if t, i, ok := raw.Lookup("ts").TimestampOK(); ok {
		s.mu.Lock()
		s.oplogFirst = bson.Timestamp{T: t, I: i}
		full := s.oplogFull
		s.mu.Unlock()
		if !full {
			s.readOplogSize(ctx)
		}
	}
	return true
}

// readOplogSize finds out whether the oplog has reached its size. Without the
// right to ask it counts as full.
func (s *Source) readOplogSize(ctx context.Context) {
	full := true
	raw, err := s.client.Database("local").RunCommand(ctx, bson.D{{Key: "collStats", Value: "oplog.rs"}}).Raw()
	if code, _ := codeOf(err); err != nil && code != 13 {
		return
	}
	if err == nil {
		used, ok1 := raw.Lookup("size").AsFloat64OK()
		most, ok2 := raw.Lookup("maxSize").AsFloat64OK()
		// What is cut off at a time is a part of it.
		full = !ok1 || !ok2 || used >= most*0.8
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oplogFull = full
}
