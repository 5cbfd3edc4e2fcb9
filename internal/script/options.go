package script

import (
	"context"
	"log/slog"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// Kind says what a script is for.
type Kind string

// The kinds of scripts.
const (
	// Map returns the document that is to be written; what is false leaves the index.
	Map Kind = "map"
	// Filter tells whether a document belongs into the index.
	Filter Kind = "filter"
)

// Mode says whose types and rules a script sees.
type Mode string

// The modes of a script.
const (
	// Native shows each value of BSON as what comes nearest to it in JavaScript.
	Native Mode = "native"
	// Monstache follows what scripts of Monstache 6 rely on.
	Monstache Mode = "monstache"
)

// DefaultTimeout is how long one call may take unless its entry says otherwise,
// MaxTimeout the most that it may say.
const (
	DefaultTimeout = time.Second
	MaxTimeout     = time.Minute
)

// Entry is one script.
type Entry struct {
	// Name is how messages call it: a path, or scripts[0].
	Name string
	// NS is the namespace that it is for, zero for all.
	NS   flow.Namespace
	Code string
	Kind Kind
	Mode Mode
	// Shared: one runtime behind a lock, so that what the script keeps in variables
	// is the same for all its calls; else a runtime for each call that runs at a time.
	Shared bool
	// Timeout is 0 for DefaultTimeout.
	Timeout time.Duration
}

// Reader answers what scripts ask MongoDB (findOne, pipe). It is called from several goroutines.
type Reader interface {
	// Find returns documents of ns; an error tells what was wrong with the question.
	Find(ctx context.Context, ns flow.Namespace, q Query) ([]bson.Raw, error)
	// Pipe returns what an aggregation of ns gives.
	Pipe(ctx context.Context, ns flow.Namespace, stages []bson.Raw) ([]bson.Raw, error)
}

// Query is a question for documents.
type Query struct {
	Filter bson.Raw
	// Select and Sort may be nil.
	Select, Sort bson.Raw
	// Limit is 0 for none.
	Limit int64
}

// Options are the scripts of a flow, and what they work with.
type Options struct {
	Entries []Entry
	// Reader may be nil: then questions throw.
	Reader Reader
	// Logger takes what scripts say on the console; may be nil.
	Logger *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
}
