package mongo

import (
	"errors"
	"fmt"
	"log/slog"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"sluice/internal/flow"
)

// The defaults of SnapshotOptions.
const (
	DefaultParallel   = 2
	DefaultChunkBytes = 32 << 20
	DefaultBatchBytes = 1 << 20
)

// What Options.HistoryLost may say.
const (
	// HistoryLostResync copies everything again, and ends with the removal of ghosts.
	HistoryLostResync = "resync"
	// HistoryLostStop ends the flow with an error of class Lost.
	HistoryLostStop = "stop"
)

// Options say what to follow and how. The zero value of a field means its default.
type Options struct {
	// URI is a MongoDB connection string; it may hold a password, which no
	// error and no log line repeats.
	URI string
	// AppName is what the server's log calls us, unless the URI names another.
	AppName string
	// Namespaces and Exclude hold "db.coll", "db.*" or "/regular expression/"
	// over "db.coll". At least one namespace is needed.
	Namespaces, Exclude []string
	// Reserved are databases that nobody follows, beside those of the server and ours.
	Reserved []string
	// Filters hold queries for namespaces; the first pattern that fits counts.
	Filters  []Filter
	Snapshot SnapshotOptions
	Stream   StreamOptions
	// Related says which documents show others. It must not go round in a circle.
	Related []Relation
	// Files tells of which collections the documents bring files along (FilesOptions):
	// they are copied a few at a time. May be nil.
	Files func(flow.Namespace) bool
	// RelatedBytes bounds the keys that one relation has still to see to; the
	// stream is not read on while there is no room.
	RelatedBytes int
	// Before sets flow.Change.Before where the stream tells it: of inserts, and,
	// with PreImages, of changes in collections that have changeStreamPreAndPostImages.
	Before, PreImages bool
	// HistoryLost is HistoryLostResync (the default) or HistoryLostStop.
	HistoryLost string
	// Once ends the stream with io.EOF when everything was copied and the
	// stream has passed the time at which the copy ended.
	Once bool
	// Logger may be nil.
	Logger *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
}

// Filter is a query that documents of a namespace must fit (rule S14).
type Filter struct {
	// Pattern is written as in Options.Namespaces.
	Pattern string
	// Query is an MQL filter.
	Query bson.Raw
}

// StreamOptions say whose changes are followed.
type StreamOptions struct {
	// Include and Exclude are patterns as Options.Namespaces has them, and choose
	// among what these find; no Include is all of it. Whatever happens to the others
	// is passed over: they are copied at most.
	Include, Exclude []string
	// Disabled: no change stream is opened at all.
	Disabled bool
}

// SnapshotOptions say how collections are copied.
type SnapshotOptions struct {
	// Include and Exclude choose what is copied, as those of StreamOptions do.
	// A view that an Include fits is copied too; else it has to be named.
	Include, Exclude []string
	// Repeat: each start copies again, in place and without removal of ghosts, what
	// was copied before; a copy under way goes on instead. The start at a position
	// of PositionAt is none of these.
	Repeat bool
	// Parallel is the number of readers.
	Parallel int
	// Rate bounds all readers together, in documents per second; 0 is no bound.
	Rate float64
	// ReadPreference is a mode such as "secondaryPreferred"; "" is primary.
	ReadPreference string
	// ChunkBytes is about how much one reader takes at a time, BatchBytes about
	// how much one reply holds.
	ChunkBytes, BatchBytes int
	// Priority holds patterns as Options.Namespaces does: what fits an earlier one
	// is copied first, and what fits none last.
	Priority []string
	// MinHeadRoom is the share of the oplog's window, 0 to 1, below which the
	// distance to its end lets the stream go first (rule S4); 0 never does.
	MinHeadRoom float64
	// AwaitSave: the copies never read more ahead of a saved position than a chunk
	// for each reader, so somebody has to call Checkpoint, and saved, all the time.
	AwaitSave bool
	// Pacer may be nil, and paces nothing then.
	Pacer Pacer
	// Disabled: nothing is copied; only what changes from now on is followed.
	Disabled bool
}

// withDefaults fills what was left zero and checks the rest.
func (o Options) withDefaults() (Options, error) {
	if o.Snapshot.Parallel <= 0 {
		o.Snapshot.Parallel = DefaultParallel
	}
	if o.Snapshot.ChunkBytes <= 0 {
		o.Snapshot.ChunkBytes = DefaultChunkBytes
	}
	if o.Snapshot.BatchBytes <= 0 {
		o.Snapshot.BatchBytes = max(min(DefaultBatchBytes, o.Snapshot.ChunkBytes/4), 1)
	}
	if o.HistoryLost == "" {
		o.HistoryLost = HistoryLostResync
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.HistoryLost != HistoryLostResync && o.HistoryLost != HistoryLostStop {
		return o, configError("", fmt.Errorf("history_lost is %q, not resync or stop", o.HistoryLost))
	}
	if len(o.Namespaces) == 0 {
		return o, configError("", errors.New("no namespace is given"))
	}
	return o, nil
}

// readPref returns the read preference of the copy.
func (o SnapshotOptions) readPref() (*readpref.ReadPref, error) {
	if o.ReadPreference == "" {
		return readpref.Primary(), nil
	}
	mode, err := readpref.ModeFromString(o.ReadPreference)
	if err != nil {
		return nil, configError(o.ReadPreference, err)
	}
	return readpref.New(mode)
}

func configError(object string, err error) error {
	return &flow.Error{Op: "prepare the source", Object: object, Class: flow.Config, Err: err}
}
