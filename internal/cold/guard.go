package cold

import "go.mongodb.org/mongo-driver/v2/bson"

// Fence names a lease and the number under which we hold it: each delete
// transaction increments that row, or nothing is deleted (rule A2).
type Fence struct {
	Lease  string
	Owner  string
	Number int64
}

// Guard is under what the documents of a pack are deleted.
type Guard struct {
	Fence     Fence
	Selection Selection
	Pack      Pack
	// Object is what the ledger tells of the place of the pack: store and key.
	Object string
	// ShardKey is that of the collection, nil if it is not sharded.
	ShardKey bson.Raw
	// Transactions: compare and delete in one (rule A3). Without, the documents
	// themselves are needed to compare.
	Transactions bool
}

// Doomed is one document to be deleted if it still is what was archived.
type Doomed struct {
	// Entry is its number in the manifest.
	Entry int
	ID    bson.RawValue
	Key   bson.Raw
	Hash  Hash
	// Doc is the archived document; only without transactions.
	Doc bson.Raw
}

// Fate is the outcome of one Doomed, in the order they were given.
type Fate struct {
	Entry   int
	Outcome Outcome
}
