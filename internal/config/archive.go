package config

import (
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Archive is a rule: which documents have grown old, where they go, and when.
type Archive struct {
	// Name is unique among rules; lower-case letters, digits, - and _.
	Name string
	// Namespace and Exclude hold "db.collection", "db.*" or "/regular expression/".
	Namespace string
	Exclude   []string
	// Field is the dotted path of the field that tells the age, never empty.
	Field string
	Kind  AgeKind
	// OlderThan is always positive.
	OlderThan Age
	// Timezone is an IANA name, "" for none: see Location.
	Timezone string
	// Filter is a query in addition to the age, empty without one.
	Filter Query
	Floor  Floor
	// To is s3://bucket/prefix or file:///directory.
	To           string
	StorageClass string
	SSE          Encryption
	// KMSKey is only for SSE EncryptionKMS; empty: the key of the account.
	KMSKey     string
	Tags       map[string]string
	ObjectLock ObjectLock
	Format     PackFormat
	Schedule   Schedule
	Batch      Batch
	// PackSize is the size that an object grows to, compressed.
	PackSize Size
	// PackWait is how long a smaller one is waited for.
	PackWait time.Duration
	// Delete: what is archived and verified is deleted from MongoDB.
	Delete bool
	// Soak is the time between the commit of a pack and its delete.
	Soak time.Duration
	// Shadow does all but delete.
	Shadow bool
	// Compare says how a document is compared before it is deleted.
	Compare Compare
	// CollScan allows to read without an index.
	CollScan bool
	// MixedTypes says what is done with documents whose field has another type.
	MixedTypes MixedTypes
	// MinAge is the least that the age of what is archived may be, whatever OlderThan says.
	MinAge time.Duration
	// MaxShare of a collection, above 0 to 1, may be archived by one run.
	MaxShare float64
	// HoldRestored is how long a restored document is left alone.
	HoldRestored time.Duration
	// Parallel is the number of ranges that are worked on at one time.
	Parallel int
	// Sharded: a sharded collection is archived, not refused.
	Sharded bool
	Limits  RuleLimits
}

// Location is the zone of Timezone, UTC without one.
func (a *Archive) Location() *time.Location { return location(a.Timezone) }

// Cutoff is the first time that is not old enough, at the server's time now.
func (a *Archive) Cutoff(now time.Time) time.Time {
	return a.OlderThan.Before(now, a.Location()).UTC()
}

// Covers tells whether the rule is for the namespace "db.collection".
func (a *Archive) Covers(ns string) bool {
	return fits(a.Namespace, ns) && !slices.ContainsFunc(a.Exclude, func(p string) bool { return fits(p, ns) })
}

// Query is a query of MongoDB; the zero one stands for none.
type Query struct {
	// BSON is nil for none.
	BSON bson.Raw
	// text is the query as Extended JSON.
	text string
}

// Text returns the query as Extended JSON, "" for none.
func (q Query) Text() string { return q.text }

// Floor says what a rule does with dates that only stand for "none".
type Floor struct {
	// At: what is before it stays. Zero: not given.
	At time.Time
	// None: there is no floor; whatever is older than the cutoff goes.
	None bool
}

// ObjectLock is the retention of the objects; a zero Days is none.
type ObjectLock struct {
	Mode LockMode
	Days int
}

// Batch bounds one read.
type Batch struct {
	Docs  int
	Bytes Size
}

// RuleLimits bound the pace of a rule. A ceiling of 0 is none; the floors are
// what is done even if the governor slows down, short of a pause.
type RuleLimits struct {
	DocsPerSecond     float64
	BytesPerSecond    Size
	MinDocsPerSecond  float64
	MinBytesPerSecond Size
}

// S3 is how object storage is reached.
type S3 struct {
	// Endpoint is a URL, empty for AWS.
	Endpoint  string
	Region    string
	PathStyle bool
	// CAFile holds authorities to trust besides the system's.
	CAFile    string
	Checksums Checksums
	// AccessKey, SecretKey and SessionToken are empty where the SDK's chain finds them.
	AccessKey    Secret
	SecretKey    Secret
	SessionToken Secret
	// PartSize is that of the parts of an upload.
	PartSize Size
}

// Governor says when the archive waits for the live database.
type Governor struct {
	// MaxLag is the replication lag from which on it waits; 0: not asked.
	MaxLag time.Duration
	// MinOplogWindow is how far back the oplog must reach; 0: not asked.
	MinOplogWindow time.Duration
	// MaxDirty is the dirty share of the cache, 0 to 1; 1: not asked.
	MaxDirty float64
	// MaxQueue is the number of operations that wait for a ticket; 0: not asked.
	MaxQueue int
	// PauseFile: while it is there, the archive waits; "" for none.
	PauseFile string
	// UnknownLag says what an unknown lag means.
	UnknownLag UnknownLag
}

// Spool is where packs are made.
type Spool struct {
	// Path is a directory, never empty.
	Path string
	// Max is the most bytes in it.
	Max Size
}

// AgeKind says how the field of a rule tells the age.
type AgeKind string

// The kinds of age fields.
const (
	AgeDate     AgeKind = "date"
	AgeSeconds  AgeKind = "epoch_s"
	AgeMillis   AgeKind = "epoch_ms"
	AgeMicros   AgeKind = "epoch_us"
	AgeNanos    AgeKind = "epoch_ns"
	AgeObjectID AgeKind = "object_id"
)

// ArchivePolicy says what becomes of a document in the index when the archive
// has deleted it from MongoDB.
type ArchivePolicy string

// The policies for archived documents.
const (
	ArchiveRemove ArchivePolicy = "remove"
	ArchiveKeep   ArchivePolicy = "keep"
	ArchiveMark   ArchivePolicy = "mark"
)

// Compare says how a document is compared with the archived one before its delete.
type Compare string

// The ways of comparing.
const (
	CompareTransaction Compare = "transaction"
	CompareDocument    Compare = "document"
)

// MixedTypes says what is done when the age field has other types too.
type MixedTypes string

// The ways with mixed types.
const (
	MixedRefuse MixedTypes = "refuse"
	MixedSkip   MixedTypes = "skip"
)

// PackFormat is the compression of packs.
type PackFormat string

// The formats of packs.
const (
	FormatZstd PackFormat = "zstd"
	FormatGzip PackFormat = "gzip"
)

// Encryption is that of objects at rest, "" for the bucket's own.
type Encryption string

// The encryptions of S3.
const (
	EncryptionAES Encryption = "AES256"
	EncryptionKMS Encryption = "aws:kms"
)

// LockMode is that of an object lock.
type LockMode string

// The modes of S3's object lock.
const (
	LockGovernance LockMode = "GOVERNANCE"
	LockCompliance LockMode = "COMPLIANCE"
)

// Checksums says when requests to S3 carry checksums.
type Checksums string

// The settings of the SDK.
const (
	ChecksumsSupported Checksums = "when_supported"
	ChecksumsRequired  Checksums = "when_required"
)

// UnknownLag says what is done while the replication lag can't be read.
type UnknownLag string

// The ways with an unknown lag.
const (
	LagPause UnknownLag = "pause"
	LagAllow UnknownLag = "allow"
)
