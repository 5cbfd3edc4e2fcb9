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
	// RereadQueries counts queries for documents that were updated.
	RereadQueries int64
}

// NamespaceProgress says how far the copy of one namespace is.
type NamespaceProgress struct {
	NS flow.Namespace
	// Phase is "waiting", "beginning", "copying", "ending", "paused", or
	// "following" when there is nothing to copy.
	Phase string
	// Estimated is about how many documents there are, -1 if unknown.
	Estimated int64
	// Read and Settled count documents of this run.
	Read, Settled int64
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
				NS: ns, Phase: c.phaseName(), Estimated: c.estimated, Read: c.read,
				Settled: c.settled, ChunksOpen: len(c.chunks), ChunksDone: c.done,
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
	for {
		if readable && time.Since(last) >= oplogEvery {
			last = time.Now()
			readable = s.readOplogStart(s.ctx)
		}
		select {
		case <-t.C:
			_, _ = s.serverTime(s.ctx)
		case <-s.ctx.Done():
			return
		}
	}
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
		s.mu.Unlock()
	}
	return true
}
