package cold

import "go.mongodb.org/mongo-driver/v2/bson"

// OnConflict says what restore does with a document whose key is live.
type OnConflict string

// The policies of restore (rule A8).
const (
	KeepLive     OnConflict = "keep-live"
	ReplaceOlder OnConflict = "replace-older"
	FailConflict OnConflict = "fail"
)

// Returned is the outcome of one document of a restore.
type Returned string

// The outcomes of a restored document.
const (
	// Inserted: it is live again, bit for bit.
	Inserted Returned = "inserted"
	// Equal: the live document is the same, bit for bit.
	Equal Returned = "equal"
	// Replaced: the live document was an archived version, and gave way.
	Replaced Returned = "replaced"
	// Conflicting: another document with its _id is live, and stays.
	Conflicting Returned = "conflict"
	// Duplicate: a secondary unique index refuses it.
	Duplicate Returned = "duplicate"
	// Refused: the server refuses the document for another reason.
	Refused Returned = "refused"
)

// Homecoming is one document to be restored.
type Homecoming struct {
	ID  bson.RawValue
	Doc bson.Raw
	// Replaceable are the hashes of archived versions of the key that may be
	// replaced by this one (ReplaceOlder).
	Replaceable []Hash
}

// Return is what became of a Homecoming.
type Return struct {
	Returned Returned
	// Live is the live document in its way, for Conflicting.
	Live bson.Raw
	// Index names the unique index, for Duplicate; Err is the server's reason
	// for Duplicate and Refused.
	Index string
	Err   error
}
