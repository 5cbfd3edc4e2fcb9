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
	Related    []RelatedStatus   `json:"related,omitempty"`
	// LagSeconds is the server's time less that of the last settled change;
	// negative while unknown.
	LagSeconds float64 `json:"lag_seconds"`
	// HeadRoomSeconds is how much older the oplog's first entry is than what is
	// settled; negative while unknown.
	HeadRoomSeconds float64 `json:"oplog_head_room_seconds"`
	// Stalled: the server has newer writes than a majority has, so a stream
	// shows nothing although there is work.
	Stalled     bool `json:"stalled,omitempty"`
	HistoryLost int  `json:"history_lost,omitempty"`
	// Waiting says why the copies wait or are slowed down; "" if they are not.
	Waiting string `json:"snapshot_waiting,omitempty"`
	// LeftSeconds is about how long it takes until all is copied; negative while
	// unknown.
	LeftSeconds float64 `json:"snapshot_left_seconds"`
	Read        int64   `json:"snapshot_read"`
	Settled     int64   `json:"snapshot_settled"`
	Rereads     int64   `json:"reread_queries"`
}

// NamespaceStatus tells how far the copy of one namespace is.
type NamespaceStatus struct {
	NS string `json:"ns"`
	// Phase is waiting, beginning, copying, ending, paused, or following.
	Phase string `json:"phase"`
	// Estimated is about how many documents there are, 0 while unknown; Done how
	// many of them are behind us, those that a filter leaves out included.
	Estimated int64 `json:"estimated,omitempty"`
	Done      int64 `json:"done,omitempty"`
	// Settled and Bytes count what was written of this copy.
	Settled int64 `json:"settled,omitempty"`
	Bytes   int64 `json:"bytes,omitempty"`
	// LeftSeconds is about how long it takes until the collection is copied, with
	// all that comes before it; negative while unknown, 0 when it is copied.
	LeftSeconds float64 `json:"left_seconds,omitempty"`
	ChunksOpen  int     `json:"chunks_open,omitempty"`
	ChunksDone  int     `json:"chunks_done,omitempty"`
}

// stalledAfter is how far the majority may be behind before we call it stalled.
const stalledAfter = 15

func sourceStatus(p mongo.Progress) SourceStatus {
	st := SourceStatus{
		LagSeconds: -1, HeadRoomSeconds: -1, HistoryLost: p.HistoryLost,
		Waiting: p.Waiting, LeftSeconds: leftSeconds(p.Left),
		Read: p.CopyRead, Settled: p.CopySettled, Rereads: p.RereadQueries,
	}
	if lag, ok := p.Lag(); ok {
		st.LagSeconds = lag.Seconds()
	}
	if !p.OplogFirst.IsZero() && !p.SettledTime.IsZero() {
		st.HeadRoomSeconds = secondsBetween(p.OplogFirst, p.SettledTime)
	}
	st.Stalled = !p.CommittedTime.IsZero() && secondsBetween(p.CommittedTime, p.ServerTime) > stalledAfter
	st.Related = relatedStatus(p.Related)
	for _, n := range p.Namespaces {
		st.Namespaces = append(st.Namespaces, NamespaceStatus{
			NS: n.NS.String(), Phase: n.Phase,
			Estimated: max(0, n.Estimated), Done: n.Done, Settled: n.Settled, Bytes: n.Bytes, LeftSeconds: leftSeconds(n.Left), ChunksOpen: n.ChunksOpen, ChunksDone: n.ChunksDone,
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
	of := ""
	if n.Estimated > 0 {
		of = fmt.Sprintf(" of about %d", n.Estimated)
	}
	text := fmt.Sprintf("%s: %d%s documents, chunks %d open %d done", n.Phase, n.Done, of, n.ChunksOpen, n.ChunksDone)
	return text + leftText(n.LeftSeconds)
}

func leftSeconds(d time.Duration) float64 {
	if d < 0 {
		return -1
	}
	return d.Seconds()
}

// leftText is what remains for people; nothing while it is unknown.
func leftText(seconds float64) string {
	if seconds <= 0 {
		return ""
	}
	return ", about " + time.Duration(seconds*float64(time.Second)).Round(time.Second).String() + " left"
}
