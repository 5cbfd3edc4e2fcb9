package mongo

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/flow"
)

// PositionAt is where a flow starts that has no position of its own: the stream
// brings everything of t and later, and copied, none of which is copied again,
// are as they were at t. Source.Position does not repeat it: until the oplog has
// proven to reach back to t there is no position.
func PositionAt(t bson.Timestamp, copied []flow.Namespace) flow.Position {
	p := position{Format: positionFormat, Given: true, Stream: streamMark{Time: timestamp(t)}, Namespaces: map[string]nsState{}}
	for _, ns := range copied {
		// Which collection of that name it was is not known, and the stream tells of
		// every later one.
		p.Namespaces[ns.String()] = nsState{}
	}
	return p.encode()
}

// Copies tells whether the flow is to copy ns.
func (s *Source) Copies(ns flow.Namespace) bool { return s.sel.copies(ns) }

// Reach returns the time from which on a stream can be had: that of the first
// entry of the oplog, and a little later where the server removes entries, so
// that it is still there when the stream is opened. Class Auth: we may not read
// the oplog; Config: there is none, on a sharded cluster.
func (s *Source) Reach(ctx context.Context) (bson.Timestamp, error) {
	const op = "find the first entry of the oplog of"
	if s.caps.sharded {
		return bson.Timestamp{}, &flow.Error{Op: op, Object: s.uri, Class: flow.Config, Err: errors.New("a sharded cluster has one for each shard, which can't be read here"), Hint: "give a time instead of earliest"}
	}
	raw, err := s.client.Database("local").Collection("oplog.rs").FindOne(ctx, bson.D{},
		options.FindOne().SetSort(bson.D{{Key: "$natural", Value: 1}}).SetProjection(bson.D{{Key: "ts", Value: 1}})).Raw()
	if err != nil {
		e := fault(op, s.uri, err)
		if e.Class == flow.Auth {
			e.Hint = `grant find on {db: "local", collection: "oplog.rs"}, or give a time instead of earliest`
		}
		return bson.Timestamp{}, e
	}
	t, i, ok := raw.Lookup("ts").TimestampOK()
	if !ok {
		return bson.Timestamp{}, &flow.Error{Op: op, Object: s.uri, Class: flow.Fatal, Err: errors.New("it has no time")}
	}
	s.readOplogSize(ctx)
	now, err := s.serverTime(ctx)
	if err != nil {
		return bson.Timestamp{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	first := bson.Timestamp{T: t, I: i}
	if later := (bson.Timestamp{T: t + reachMargin}); s.oplogFull && later.Before(now) {
		return later, nil
	}
	return first, nil
}

// reachMargin is how far, in seconds, Reach keeps away from entries that may go
// at any moment.
const reachMargin = 10

// MayBegin returns the error for a stream that can't start at t, which what names.
func (s *Source) MayBegin(ctx context.Context, what string, t bson.Timestamp) error {
	now, err := s.serverTime(ctx)
	if err != nil || !t.After(now) {
		return err
	}
	return &flow.Error{
		Op: "start the change stream of", Object: s.uri, Class: flow.Config,
		Err:  fmt.Errorf("%s is %d.%d, and the server's time %d.%d", what, t.T, t.I, now.T, now.I),
		Hint: "it lies in the future: it is that of another deployment, or was mistyped; nothing was read",
	}
}

// noWayBack says why lost history can't be made good for by a copy, and what to
// do; "" if it can. mu is held.
func (s *Source) noWayBack() string {
	gone := "the oplog no longer holds what happened since"
	if s.given {
		gone = "the oplog no longer reaches back to where the stream was to start"
	}
	switch {
	case s.sel.copied.none:
		return gone + ", and copying is disabled:\n" +
			"enable snapshot, or remove the saved state, and where it is to start, to go on from now"
	case s.opts.HistoryLost == HistoryLostStop:
		return gone + ". Copy everything again: --resync all, or on.history_lost: resync;\n" +
			"and give the oplog more room: db.adminCommand({replSetResizeOplog: 1, size: <MB>})"
	}
	for _, c := range s.collections {
		if c.Refused == nil && s.sel.streams(c.NS) && !s.sel.copies(c.NS) {
			return gone + ", and " + c.NS.String() + " is followed without being copied (snapshot.include, snapshot.exclude):\n" +
				"let it be copied, or remove the saved state, and where it is to start, to go on from now"
		}
	}
	return ""
}
