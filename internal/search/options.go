package search

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"sluice/internal/flow"
	"sluice/internal/transcode"
)

// The defaults of Options.
const (
	DefaultMaxInFlight = 4
	DefaultBodyBytes   = 2 << 20
	DefaultTimeout     = time.Minute
)

// Auth is who we are: a user with a password, or an API key, or nobody.
type Auth struct {
	Username string
	Password string
	// APIKey is the key in its encoded form (base64 of id:key).
	APIKey string
}

// TLS is how an https URL is trusted, and how we show who we are.
type TLS struct {
	// CAFile names a PEM file of authorities to trust instead of the system's.
	CAFile string
	// CertFile and KeyFile name PEM files of our own certificate and its key.
	CertFile string
	KeyFile  string
	// InsecureSkipVerify trusts any certificate.
	InsecureSkipVerify bool
}

// Options are what a Client needs. URLs and, for a Sink, Flow and Route must be set.
type Options struct {
	// URLs are the nodes of one cluster, or what stands before it: http or
	// https, with an optional path. A user in a URL is used if Auth names none.
	URLs []string
	Auth Auth
	// AWS signs every request; Auth is empty then.
	AWS AWS
	TLS TLS
	// Gzip compresses what is sent and asks for compressed answers.
	Gzip bool
	// MaxInFlight bounds the bulk requests at one time; fewer while the engine
	// rejects them.
	MaxInFlight int
	// BodyBytes is the size that the body of a bulk request grows to; a single
	// document may be larger.
	BodyBytes int
	// Timeout is that of one request.
	Timeout time.Duration
	// Profile says by whose ways the indexes are written.
	Profile Profile
	// Write says how; WriteUpdate goes with neither Places nor marks of Route.
	Write Write
	// Pipeline is the ingest pipeline that documents go through; "" for none but
	// that of the index.
	Pipeline string
	// Flow names the owner of the indexes; it is written to their _meta.
	Flow string
	// Source identifies the MongoDB deployment; "" is neither written nor compared.
	Source string
	// Route says where the documents of a namespace go. Called from several
	// goroutines, seldom.
	Route func(flow.Namespace) (Route, error)
	// Places says where documents lie if templates do; nil: under the index of
	// their route, with their key as id. It must not change.
	Places *Placement
	// Stream, if set, says that the routes lead to data streams; not beside Places.
	Stream *DataStream
	// MaxVersion returns the version of the server's operationTime now: no
	// version of ours can lie above it (rule S1). It must not lag: it is called
	// on conflicts only. nil, or a result of 0, checks nothing.
	MaxVersion func() int64
	// Transport replaces the one that is made from TLS, for tests and benchmarks.
	Transport http.RoundTripper
	// Trace logs each request and answer at flow.LevelTrace: bodies up to 64 KiB,
	// no headers.
	Trace bool
	// Logger may be nil.
	Logger *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
}

// DeletePolicy says what the delete of a document in MongoDB does to the index.
type DeletePolicy string

// The policies of deletes.
const (
	// DeleteRemove removes the document; the zero value does too.
	DeleteRemove DeletePolicy = "remove"
	// DeleteKeep leaves it as it is.
	DeleteKeep DeletePolicy = "keep"
	// DeleteMark leaves it and adds the field deleted: {at: time of the delete}.
	DeleteMark DeletePolicy = "mark"
)

// ArchivePolicy says what the delete of a document by an archive (flow.Archived)
// does to the index.
type ArchivePolicy string

// The policies of an archive's deletes.
const (
	// ArchiveRemove removes the document; the zero value does too.
	ArchiveRemove ArchivePolicy = "remove"
	// ArchiveKeep leaves it as it is.
	ArchiveKeep ArchivePolicy = "keep"
	// ArchiveMark leaves it and adds the field archived: {at, rule, object}.
	ArchiveMark ArchivePolicy = "mark"
)

// DropPolicy says what the drop of a collection does to the index.
type DropPolicy string

// The policies of drops.
const (
	// DropIgnore leaves everything; the zero value does too.
	DropIgnore DropPolicy = "ignore"
	// DropDocuments deletes the documents one by one, by version.
	DropDocuments DropPolicy = "delete_documents"
	// DropIndex deletes the index if we made it for this namespace alone, else
	// its documents.
	DropIndex DropPolicy = "delete_index"
)

// Route is where and how the documents of one namespace are written.
type Route struct {
	// Index is the name to write and search under, valid and in lower case. It
	// becomes an alias, unless an index of this name is there already or the profile
	// is ProfileMonstache.
	Index string
	// Plan writes the documents.
	Plan *transcode.Plan
	// Content is the field with the content of files (flow.Attachment), "" for none:
	// a document that stays after its delete, with a mark, stays without.
	Content string
	// Settings and Mappings are JSON objects for an index that is created; nil
	// for none.
	Settings json.RawMessage
	Mappings json.RawMessage
	// Template is the body of a composable index template, put under the name
	// of Index before an index is created; nil for none.
	Template json.RawMessage
	Delete   DeletePolicy
	// Archive is for the deletes of an archive, Delete for all others.
	Archive ArchivePolicy
	Drop    DropPolicy
}

// Target is what was found of the index of a namespace.
type Target struct {
	// Index is the concrete name; "" if there is none.
	Index string
	// UUID changes when an index is deleted and made again; "" if there is none.
	UUID   string
	Exists bool
	// Docs is how many documents it holds; 0 if it is closed.
	Docs int64
	// Shared: other namespaces were written to it too. Without Places nothing tells
	// their documents apart.
	Shared bool
	// Closed and ReadOnly tell why nothing can be written.
	Closed   bool
	ReadOnly bool
	// Scattered: there are several, which come and go with the documents; Index is
	// a pattern, and UUID the same as long as there is one.
	Scattered bool
}

// withDefaults fills what was left zero.
func (o Options) withDefaults() Options {
	if o.MaxInFlight <= 0 {
		o.MaxInFlight = DefaultMaxInFlight
	}
	if o.BodyBytes <= 0 {
		o.BodyBytes = DefaultBodyBytes
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
