package cold

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// RunState is how far a run is.
type RunState string

// The states of a run.
const (
	RunPlanned RunState = "planned"
	RunOpen    RunState = "open"
	// RunSoaking: all is committed, deletes are due later.
	RunSoaking   RunState = "soaking"
	RunClosed    RunState = "closed"
	RunAbandoned RunState = "abandoned"
	RunFailed    RunState = "failed"
)

// Run is one execution of a rule on one collection with a frozen cutoff: a row
// of sluice.archive_runs.
type Run struct {
	// ID is unique and sorts by time.
	ID    string   `bson:"_id" json:"id"`
	Rule  string   `bson:"rule" json:"rule"`
	NS    string   `bson:"ns" json:"namespace"`
	UUID  string   `bson:"uuid" json:"uuid,omitempty"`
	State RunState `bson:"state" json:"state"`
	// Fence is the lease's fencing number of who works on it.
	Fence int64 `bson:"fence" json:"fence"`
	// Field, Kind, Filter, From, Floor and Before are those of the Selection;
	// Filter is Extended JSON.
	Field  string    `bson:"field" json:"field"`
	Kind   AgeKind   `bson:"kind" json:"kind"`
	Filter string    `bson:"filter,omitempty" json:"filter,omitempty"`
	From   time.Time `bson:"from,omitempty" json:"from,omitzero"`
	Floor  time.Time `bson:"floor,omitempty" json:"floor,omitzero"`
	Before time.Time `bson:"before" json:"before"`
	// Delete: what is committed is deleted from MongoDB.
	Delete bool `bson:"delete" json:"delete"`
	// Shadow: nothing is deleted; what would have been is counted.
	Shadow  bool      `bson:"shadow,omitempty" json:"shadow,omitempty"`
	Started time.Time `bson:"started" json:"started"`
	Ended   time.Time `bson:"ended,omitempty" json:"ended,omitzero"`
	// Complete: everything up to Before was read and committed.
	Complete bool   `bson:"complete" json:"complete"`
	Packs    int    `bson:"packs" json:"packs"`
	Docs     int64  `bson:"docs" json:"docs"`
	Bytes    int64  `bson:"bytes" json:"bytes"`
	Deleted  int64  `bson:"deleted" json:"deleted"`
	Changed  int64  `bson:"changed" json:"changed"`
	Gone     int64  `bson:"gone" json:"gone"`
	Error    string `bson:"error,omitempty" json:"error,omitempty"`
}

// PackState is how far a pack is (rule A2). The order is that of the constants.
type PackState string

// The states of a pack.
const (
	PackPlanned   PackState = "planned"   // its documents are being read
	PackSpooled   PackState = "spooled"   // they are in the spool, complete
	PackPacked    PackState = "packed"    // the object and its hash are known
	PackUploaded  PackState = "uploaded"  // the object is in the bucket
	PackVerified  PackState = "verified"  // it was read back and decoded
	PackCommitted PackState = "committed" // its manifest is in the bucket
	PackDeleting  PackState = "deleting"  // deletes from MongoDB have begun
	PackDeleted   PackState = "deleted"   // every entry has an outcome
	PackClosed    PackState = "closed"    // the outcomes are in the bucket; nothing is left to do
	PackAbandoned PackState = "abandoned" // given up before it was committed
)

// Pack is one archive file: a row of sluice.archive_packs.
type Pack struct {
	// ID is unique, sorts by time, and is part of the object's key.
	ID    string    `bson:"_id" json:"id"`
	Run   string    `bson:"run" json:"run"`
	Rule  string    `bson:"rule" json:"rule"`
	NS    string    `bson:"ns" json:"namespace"`
	State PackState `bson:"state" json:"state"`
	// Fence is the lease's fencing number of who works on it.
	Fence int64 `bson:"fence" json:"fence"`
	// Store is the place of the objects without secrets ("s3://bucket/prefix");
	// Object is the key of the pack in it, Manifest that of its manifest.
	Store    string `bson:"store" json:"store"`
	Object   string `bson:"object" json:"object,omitempty"`
	Manifest string `bson:"manifest" json:"manifest,omitempty"`
	Docs     int    `bson:"docs" json:"docs"`
	// RawBytes is the size of the BSON, Bytes that of the object.
	RawBytes int64 `bson:"raw_bytes" json:"raw_bytes"`
	Bytes    int64 `bson:"bytes" json:"bytes"`
	// SHA256 is that of the object, in hex.
	SHA256 string `bson:"sha256" json:"sha256,omitempty"`
	// MinAge and MaxAge bound the ages of its documents.
	MinAge time.Time `bson:"min_age,omitempty" json:"min_age,omitzero"`
	MaxAge time.Time `bson:"max_age,omitempty" json:"max_age,omitzero"`
	// DeleteAfter is when its documents may be deleted (soak).
	DeleteAfter time.Time `bson:"delete_after,omitempty" json:"delete_after,omitzero"`
	// Next is how many entries, in the order of deletion, have an outcome. It
	// moves in the transaction that deletes.
	Next    int       `bson:"next" json:"next"`
	Deleted int       `bson:"deleted" json:"deleted"`
	Changed int       `bson:"changed" json:"changed"`
	Gone    int       `bson:"gone" json:"gone"`
	Created time.Time `bson:"created" json:"created"`
	Updated time.Time `bson:"updated" json:"updated"`
	// ReadFrom and ReadTo are the cluster times between which its documents were
	// read: by them versions in several packs are ordered.
	ReadFrom bson.Timestamp `bson:"read_from,omitempty" json:"-"`
	ReadTo   bson.Timestamp `bson:"read_to,omitempty" json:"-"`
	// Rebuilt: the row was written anew from the bucket before the pack had
	// outcomes. How far its deletes had come is lost, so of what is gone from
	// MongoDB nobody can say by whom.
	Rebuilt bool `bson:"rebuilt,omitempty" json:"rebuilt,omitempty"`
}

// LedgerRow says that the deletes of one session belong to a pack (rule A5): a
// row of sluice.archive_ledger, written with majority before the first delete.
type LedgerRow struct {
	// ID is lsid.id of the session (16 bytes, UUID), or for deletes without
	// transactions an id of its own.
	ID   bson.Binary `bson:"_id"`
	NS   string      `bson:"ns"`
	Rule string      `bson:"rule"`
	Pack string      `bson:"pack"`
	// Object is the place of the pack: store and key.
	Object string    `bson:"object"`
	At     time.Time `bson:"at"`
	// Keys, From and To are for deletes without transactions: the _id values,
	// and the cluster times between which they were deleted (To zero: going on).
	Keys []bson.RawValue `bson:"keys,omitempty"`
	From bson.Timestamp  `bson:"from,omitempty"`
	To   bson.Timestamp  `bson:"to,omitempty"`
}
