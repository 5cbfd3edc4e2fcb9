package pack

import (
	"encoding/json"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
)

// Format is the newest format of manifests and outcomes that this package knows,
// and the one it writes.
const Format = 1

// Header is what a manifest tells of its pack as a whole. It is read alone by
// DecodeHeader. As JSON, it is the part of the manifest that people read.
type Header struct {
	// Format is that of the manifest.
	Format int `json:"format"`
	// Tool is what wrote it, with its version.
	Tool string `json:"tool,omitempty"`
	// ID, Run and Rule are those of the cold.Pack.
	ID   string `json:"id"`
	Run  string `json:"run,omitempty"`
	Rule string `json:"rule,omitempty"`
	// NS is the namespace "db.collection", UUID that of the collection.
	NS   string `json:"namespace"`
	UUID string `json:"uuid,omitempty"`
	// Field, Kind, Filter (Extended JSON), From, Floor and Before are those of
	// the frozen cold.Selection.
	Field  string       `json:"field,omitempty"`
	Kind   cold.AgeKind `json:"kind,omitempty"`
	Filter string       `json:"filter,omitempty"`
	From   time.Time    `json:"from,omitzero"`
	Floor  time.Time    `json:"floor,omitzero"`
	Before time.Time    `json:"before,omitzero"`
	// ReadFrom and ReadTo are the cluster times of the first and the last read.
	ReadFrom bson.Timestamp `json:"-"`
	ReadTo   bson.Timestamp `json:"-"`
	// Created is when the manifest was made; DeleteAfter when its documents may
	// be deleted (soak).
	Created     time.Time `json:"created,omitzero"`
	DeleteAfter time.Time `json:"delete_after,omitzero"`
	// Delete: what is in the pack is to be deleted from MongoDB. Shadow: nothing
	// is, what would have been is counted.
	Delete bool `json:"delete"`
	Shadow bool `json:"shadow,omitempty"`
	// Object is the key of the pack in its store.
	Object string `json:"object"`
	Codec  Codec  `json:"codec"`
	Docs   int    `json:"docs"`
	// RawBytes is the size of the BSON, Bytes that of the object.
	RawBytes int64 `json:"raw_bytes"`
	Bytes    int64 `json:"bytes"`
	// SHA256 (in hex) and CRC32C are of the whole object.
	SHA256 string `json:"sha256"`
	CRC32C uint32 `json:"crc32c"`
	// MinAge and MaxAge bound the ages of its documents; both zero without any.
	MinAge time.Time `json:"min_age,omitzero"`
	MaxAge time.Time `json:"max_age,omitzero"`
	// Options and Indexes are those of the collection, and ShardKey its shard
	// key, in canonical Extended JSON.
	Options  json.RawMessage   `json:"options,omitempty"`
	Indexes  []json.RawMessage `json:"indexes,omitempty"`
	ShardKey json.RawMessage   `json:"shard_key,omitempty"`
	// Supersedes is the id of the pack that this one replaces (forget).
	Supersedes string `json:"supersedes,omitempty"`
	// Bloom is over the keys. In the file it follows the JSON.
	Bloom Bloom `json:"-"`
}

// MayHold is false only if no document of the pack has this _id. Keys that
// MongoDB holds for equal are one key; a collation is not known here.
func (h Header) MayHold(id bson.RawValue) bool { return h.Docs > 0 && h.Bloom.MayHold(id) }

// clusterTime is a Timestamp in JSON.
type clusterTime struct {
	T uint32 `json:"t"`
	I uint32 `json:"i"`
}

// headerJSON is Header as it is written.
type headerJSON struct {
	plainHeader
	ReadFrom *clusterTime `json:"read_from,omitempty"`
	ReadTo   *clusterTime `json:"read_to,omitempty"`
}

type plainHeader Header

// MarshalJSON writes the header without its filter over the keys; cluster times
// are {"t": seconds, "i": increment}.
func (h Header) MarshalJSON() ([]byte, error) {
	return json.Marshal(headerJSON{plainHeader(h), toJSON(h.ReadFrom), toJSON(h.ReadTo)})
}

// UnmarshalJSON reads what MarshalJSON writes. Fields that it does not know are
// passed over.
func (h *Header) UnmarshalJSON(b []byte) error {
	j := headerJSON{plainHeader: plainHeader(*h)}
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*h = Header(j.plainHeader)
	h.ReadFrom, h.ReadTo = fromJSON(j.ReadFrom), fromJSON(j.ReadTo)
	return nil
}

func toJSON(t bson.Timestamp) *clusterTime {
	if t.IsZero() {
		return nil
	}
	return &clusterTime{t.T, t.I}
}

func fromJSON(t *clusterTime) bson.Timestamp {
	if t == nil {
		return bson.Timestamp{}
	}
	return bson.Timestamp{T: t.T, I: t.I}
}
