package cold

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// AgeKind says how the field of a rule tells the age of a document.
type AgeKind string

// The kinds of age fields. Epochs may be int32, int64 or double.
const (
	AgeDate     AgeKind = "date"
	AgeSeconds  AgeKind = "epoch_s"
	AgeMillis   AgeKind = "epoch_ms"
	AgeMicros   AgeKind = "epoch_us"
	AgeNanos    AgeKind = "epoch_ns"
	AgeObjectID AgeKind = "object_id"
)

// Selection says which documents of one collection are old. It is frozen for a
// run (rule A6).
type Selection struct {
	NS flow.Namespace
	// Field is the dotted path of the age field.
	Field string
	Kind  AgeKind
	// Filter is a query in addition to the age, nil without one.
	Filter bson.Raw
	// From is the first time that belongs to it; a zero one sets no bound.
	// What lies before Floor never belongs to it: dates that only stand for
	// "none". A zero Floor sets no bound.
	From, Floor time.Time
	// Before is the cutoff: the first time that no longer belongs to it.
	Before time.Time
	// CollScan: without an index that fits, all documents are looked at, and the
	// server sorts the old ones, on its disk if need be.
	CollScan bool
}

// Bounds is a part of a Selection, by age: From inclusive, Before exclusive.
// Zero times are those of the Selection.
type Bounds struct{ From, Before time.Time }

// Read is one reply of old documents, in order of (age, _id) if an index gives
// that order, else by age. Docs are views into the reply, which is never
// overwritten; who keeps one longer than the reply copies it.
type Read struct {
	Docs []bson.Raw
	// At is the cluster time of the read (majority).
	At bson.Timestamp
}
