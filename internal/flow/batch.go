package flow

import "go.mongodb.org/mongo-driver/v2/bson"

// Batch is what a source read in one go: either Changes, in order, or one
// Control. It owns the bytes that its changes point into; they are let go
// together when the batch is acked and forgotten. An empty batch is legal: it
// carries a position that moved while nothing happened.
type Batch struct {
	Changes []Change
	Control *Control
	// Bytes is the sum of the BSON that the batch keeps alive, for the budget.
	Bytes int
	// After is the cluster time that a re-read for this batch must include.
	After bson.Timestamp
	// Snapshot: the changes are documents of a snapshot read at time Low.
	Snapshot bool
	Low      bson.Timestamp
	// Repair: a person asked for these documents. That one of them can't be
	// written says nothing of the flow as a whole.
	Repair bool
}
