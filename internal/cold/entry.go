package cold

import "go.mongodb.org/mongo-driver/v2/bson"

// Hash is the SHA-256 of a document's BSON (FIPS 180-4).
type Hash [32]byte

// Entry is one document of a pack, as its manifest tells it.
type Entry struct {
	// ID is the value of _id.
	ID bson.RawValue
	// Key is the whole document key (shard key and _id) on a sharded
	// collection, else nil.
	Key bson.Raw
	// Hash is that of the raw document.
	Hash Hash
	// Offset and Size place the document in the uncompressed BSON stream, in bytes.
	Offset int64
	Size   int32
	// Age is the time that the age field tells, in milliseconds since 1970.
	Age int64
}

// Outcome is what became of a document of a pack when the pack was to be
// deleted from MongoDB.
type Outcome string

// The outcomes. An entry without one is still live (copied, or not yet deleted).
const (
	// Deleted: it was equal, and we deleted it.
	Deleted Outcome = "deleted"
	// Changed: it was another by then, and stays; a later run takes it.
	Changed Outcome = "changed"
	// Gone: a user had deleted it.
	Gone Outcome = "gone"
	// Unknown: it is gone, and the journal that said by whom is lost.
	Unknown Outcome = "unknown"
)

// Exception is an entry of a pack whose outcome is not Deleted.
type Exception struct {
	Pack string `bson:"pack" json:"pack"`
	// Entry is its number in the manifest.
	Entry   int     `bson:"entry" json:"entry"`
	Outcome Outcome `bson:"outcome" json:"outcome"`
	// ID is the value of _id, for Changed: a later run reads it again.
	ID bson.RawValue `bson:"id" json:"-"`
}
