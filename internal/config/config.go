package config

import (
	"encoding/json"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Config is a complete, validated configuration. It is read-only once loaded,
// and so may be shared by goroutines.
type Config struct {
	MongoDB     MongoDB
	Search      Search
	State       State
	DeadLetters DeadLetters
	HTTP        HTTP
	Logs        Logs
	Stats       Stats
	Limits      Limits
	// S3, Governor and Spool are for Archive; Governor also for copies that pace.
	S3       S3
	Governor Governor
	Spool    Spool
	// Flows and Archive have at least one entry together; names are unique in
	// each. Without flows Search is empty.
	Flows   []Flow
	Archive []Archive

	// File is the path of the file it was read from, empty without one.
	File string

	// places tells for each value that was given where that was.
	places map[string]place
	// files is what was read; empty unless it came from LoadFiles.
	files Files
}

// MongoDB is the source.
type MongoDB struct {
	// URI is the connection string, whole.
	URI Secret
	// OwnDatabase holds positions and dead letters, where their stores are in MongoDB.
	OwnDatabase string
}

// Redacted returns the connection string without its secrets, fit for logs.
func (m MongoDB) Redacted() string { return redactURI(m.URI.Reveal()) }

// Search is the cluster that the flows write to.
type Search struct {
	// URLs are http or https, without login (that has moved to Auth); empty with
	// a CloudID. See Addresses.
	URLs []string
	// CloudID is that of a deployment of Elastic Cloud.
	CloudID string
	Auth    Auth
	AWS     AWS
	TLS     TLS
	Gzip    bool
	// InFlight is the number of bulk requests at one time.
	InFlight int
	// BodyBytes is the size that a bulk body grows to before it is sent.
	BodyBytes Size
	// Timeout is that of one request.
	Timeout time.Duration
	// StartupTimeout is how long a start waits for an answer; 0: not at all.
	StartupTimeout time.Duration
	// Trace: requests and answers are logged.
	Trace bool
}

// Auth is the login: username and password, or an API key, or nothing.
type Auth struct {
	Username string
	Password Secret
	APIKey   Secret
}

// TLS holds PEM files; CertFile and KeyFile come together or not at all.
type TLS struct {
	CAFile             string
	CertFile           string
	KeyFile            string
	InsecureSkipVerify bool
}

// State is where positions are kept.
type State struct {
	Store Store
	// Path is the directory of the file store.
	Path string
	// Index is that of the search store.
	Index string
}

// DeadLetters is where documents that can't be written are noted.
type DeadLetters struct {
	Store Store
	// Index is that of the search store.
	Index string
	// Path is the directory of the file store.
	Path string
}

// HTTP is our own server: metrics, health, status.
type HTTP struct {
	// Listen is host:port; empty: there is no server.
	Listen string
	// Probes is host:port of the second server, which needs no token and tells
	// only whether we live and are ready; empty: there is none.
	Probes string
	// Token is the bearer token; never empty when Listen isn't loopback.
	Token Secret
	// ReadyLag is how far behind we may be and still be ready; 0: not asked.
	ReadyLag time.Duration
	// Monstache is a third server.
	Monstache Monstache
}

// Limits bound what a process takes.
type Limits struct {
	// MemoryBudget is in bytes, over all queues of all flows.
	MemoryBudget Size
	// Lanes is the number of lanes of a flow.
	Lanes int
	// SnapshotWriters is the number of batches of snapshots that a flow writes at one time.
	SnapshotWriters int
}

// Flow brings some collections to their indexes.
type Flow struct {
	// Name is unique; lower-case letters, digits, - and _.
	Name string
	// Namespaces and Exclude hold "db.collection", "db.*" or "/regular expression/".
	Namespaces []string
	Exclude    []string
	// Filters are in the order of the file; the first whose pattern fits counts.
	Filters []Filter
	// Where are conditions that are looked at after the read, in the same order.
	Where []Filter
	// Related are the documents that show others; they never go round in a circle.
	Related []Related
	// Scripts are programs that documents go through.
	Scripts  []Script
	Snapshot Snapshot
	Stream   Stream
	// Takeover says whose place the flow takes; see Takeover.Given.
	Takeover Takeover
	Fields   Fields
	Render   Render
	// Index is the fixed name of the alias, only for a flow of one plain
	// namespace; empty: see IndexName. Or it is a template: see IsTemplate.
	Index string
	// Indexes are names by plain namespace, which come before made ones.
	Indexes map[string]string
	// ID and Routing are templates; "" for none.
	ID, Routing string
	// Join: see IsJoin.
	Join Join
	// DataStream: see IsStream.
	DataStream DataStream
	// PreImages: take what a document was before from the change stream.
	PreImages bool
	// IndexPrefix comes before names that are made from namespaces.
	IndexPrefix string
	// Pipeline is an ingest pipeline of the cluster, "" for none.
	Pipeline string
	// Files are the files of GridFS whose content is indexed.
	Files AttachFiles
	// Settings and Mappings are JSON objects, nil when not given.
	Settings json.RawMessage
	Mappings json.RawMessage
	On       On
	// Profile and Write say by whose ways, and how, the indexes are written.
	Profile Profile
	Write   WriteMode
}

// FilterTexts returns pattern and query of each filter as text, in order, for
// a fingerprint of what shapes the documents.
func (f *Flow) FilterTexts() []string { return textsOf(f.Filters) }

// WhereTexts is FilterTexts for Where.
func (f *Flow) WhereTexts() []string { return textsOf(f.Where) }

func textsOf(filters []Filter) []string {
	out := make([]string, len(filters))
	for i, one := range filters {
		out[i] = one.Pattern + " " + one.text
	}
	return out
}

// Fits tells whether the filter speaks of the namespace "db.collection".
func (f *Filter) Fits(ns string) bool { return fits(f.Pattern, ns) }

// Filter is a query on the content of the documents of some namespaces.
type Filter struct {
	Pattern string
	Query   bson.Raw
	// text is the query as Extended JSON.
	text string
}

// Snapshot is the first full copy.
type Snapshot struct {
	Enabled bool
	// Include and Exclude hold patterns; no Include is all that is followed.
	Include, Exclude []string
	Repeat           Repeat
	// Parallel is the number of chunks read at one time.
	Parallel int
	// Rate is in documents per second; 0: not limited.
	Rate float64
	// ReadPreference is one of MongoDB's modes.
	ReadPreference string
	// Chunk is how much of a collection is cut off and read at a time, in bytes.
	Chunk Size
	// Priority holds patterns: what fits an earlier one is copied first.
	Priority []string
	Pace     Pace
	// MinHeadRoom is a share of the oplog's window, 0 to 1; 0: not asked.
	MinHeadRoom float64
}

// Fields chooses, renames, changes and adds fields, by dotted paths.
type Fields struct {
	Include []string
	Exclude []string
	Rename  map[string]string
	Cast    map[string]CastType
	OnError CastError
	Flatten []string
	// Set holds JSON values.
	Set        map[string]json.RawMessage
	Copy       map[string]string
	LowerNames bool
}

// Render says how values without an equal in JSON are written.
type Render struct {
	Dates     DateFormat
	Decimals  DecimalFormat
	NonFinite NonFiniteFormat
	BadNames  BadNames
}

// On says what follows from what happens in MongoDB.
type On struct {
	Delete      DeletePolicy
	Archive     ArchivePolicy
	Drop        DropPolicy
	HistoryLost LostPolicy
}
