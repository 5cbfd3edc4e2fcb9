package app

import (
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/mongo"
)

// SourceStatus tells how far copy and stream of a flow are.
type SourceStatus struct {
	Namespaces []NamespaceStatus `json:"namespaces"`
	// LagSeconds is the server's time less that of the last settled change;
	// negative while unknown.
	LagSeconds float64 `json:"lag_seconds"`
	// HeadRoomSeconds is how much older the oplog's first entry is than what is
	// settled; negative while unknown.
	HeadRoomSeconds float64 `json:"oplog_head_room_seconds"`
	// Stalled: the server has newer writes than a majority has, so a stream
	// shows nothing although there is work.
	Stalled     bool  `json:"stalled,omitempty"`
	HistoryLost int   `json:"history_lost,omitempty"`
	Read        int64 `json:"snapshot_read"`
	Settled     int64 `json:"snapshot_settled"`
	Rereads     int64 `json:"reread_queries"`
}

// NamespaceStatus tells how far the copy of one namespace is.
type NamespaceStatus struct {
	NS string `json:"ns"`
	// Phase is waiting, beginning, copying, ending, paused, or following.
	Phase      string `json:"phase"`
	Estimated  int64  `json:"estimated,omitempty"`
	Settled    int64  `json:"settled,omitempty"`
	ChunksOpen int    `json:"chunks_open,omitempty"`
	ChunksDone int    `json:"chunks_done,omitempty"`
}

// stalledAfter is how far the majority may be behind before we call it stalled.
const stalledAfter = 15

func sourceStatus(p mongo.Progress) SourceStatus {
	st := SourceStatus{
		LagSeconds: -1, HeadRoomSeconds: -1, HistoryLost: p.HistoryLost,
		Read: p.CopyRead, Settled: p.CopySettled, Rereads: p.RereadQueries,
	}
	if lag, ok := p.Lag(); ok {
		st.LagSeconds = lag.Seconds()
	}
	if !p.OplogFirst.IsZero() && !p.SettledTime.IsZero() {
		st.HeadRoomSeconds = secondsBetween(p.OplogFirst, p.SettledTime)
	}
	st.Stalled = !p.CommittedTime.IsZero() && secondsBetween(p.CommittedTime, p.ServerTime) > stalledAfter
	for _, n := range p.Namespaces {
		st.Namespaces = append(st.Namespaces, NamespaceStatus{
			NS: n.NS.String(), Phase: n.Phase,
			Estimated: max(0, n.Estimated), Settled: n.Settled, ChunksOpen: n.ChunksOpen, ChunksDone: n.ChunksDone,
		})
	}
	return st
}

func secondsBetween(from, to bson.Timestamp) float64 {
	return (time.Duration(int64(to.T)-int64(from.T)) * time.Second).Seconds()
}

// copied tells whether there is nothing left to copy.
func (s SourceStatus) copied() bool {
	for _, n := range s.Namespaces {
		if n.Phase != "following" {
			return false
		}
	}
	return true
}

// text is the part of one namespace for people.
func (n NamespaceStatus) text() string {
	if n.Phase == "following" {
		return "following"
	}
	if n.Phase == "paused" {
		return "paused: its changes are passed over; it is copied again when it is resumed"
	}
	return fmt.Sprintf("%s: %d of about %d documents, chunks %d open %d done", n.Phase, n.Settled, n.Estimated, n.ChunksOpen, n.ChunksDone)
}
