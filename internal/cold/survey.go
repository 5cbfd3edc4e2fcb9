package cold

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// The kinds of collections.
const (
	KindCollection = "collection"
	KindView       = "view"
	KindTimeSeries = "timeseries"
	KindCapped     = "capped"
	KindMissing    = "missing"
)

// Survey is what MongoDB says of a Selection (rule A6). Whether that is fit to
// be archived is for the archive to decide.
type Survey struct {
	Kind      string   `json:"kind"`
	Clustered bool     `json:"clustered,omitempty"`
	Encrypted bool     `json:"encrypted,omitempty"`
	Sharded   bool     `json:"sharded,omitempty"`
	ShardKey  bson.Raw `json:"-"`
	// Collation: the collection has a default collation.
	Collation bool `json:"collation,omitempty"`
	// UUID is that of the collection, as text.
	UUID string `json:"uuid,omitempty"`
	// Options and Indexes describe the collection, to be saved beside the packs.
	Options bson.Raw   `json:"-"`
	Indexes []bson.Raw `json:"-"`

	// Total and TotalBytes are those of the collection (estimates of the server).
	Total      int64 `json:"total"`
	TotalBytes int64 `json:"total_bytes"`
	// Count is the number of documents of the Selection.
	Count int64 `json:"count"`
	// Index is the name of the index that the read uses, "" if none fits.
	Index string `json:"index,omitempty"`
	// Examined keys and Returned documents of a sample read.
	Examined int64 `json:"examined"`
	Returned int64 `json:"returned"`
	// TTL names the TTL indexes on the same field.
	TTL []string `json:"ttl,omitempty"`
	// Multikey: the index on the field has arrays in it.
	Multikey bool `json:"multikey,omitempty"`
	// Census counts the documents by the BSON type of the field: "date",
	// "string", "missing", "null", "array", …; CensusOf documents were looked
	// at (all of a small collection, else a sample).
	Census   map[string]int64 `json:"census,omitempty"`
	CensusOf int64            `json:"census_of"`
	// Sentinels is the number of documents before SentinelBefore: dates that
	// only stand for "none".
	Sentinels int64 `json:"sentinels"`
	// Oldest and Newest are the bounds of the age within the Selection.
	Oldest time.Time `json:"oldest,omitzero"`
	Newest time.Time `json:"newest,omitzero"`

	// ServerTime is the primary's clock; Skew how far ours is ahead of it.
	ServerTime time.Time     `json:"server_time"`
	Skew       time.Duration `json:"skew"`
	// Transactions: the deployment has them.
	Transactions bool   `json:"transactions"`
	Version      string `json:"version"`
}

// SentinelBefore is the time before which a date is taken for one that only
// stands for "none": 1970-01-01 and Go's zero time are common.
func SentinelBefore() time.Time { return time.Date(1971, 1, 1, 0, 0, 0, 0, time.UTC) }
