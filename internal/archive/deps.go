package archive

import (
	"context"
	"io"
	"log/slog"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/governor"
	"sluice/internal/lease"
	"sluice/internal/objstore"
	"sluice/internal/pack"
)

// Surveyor tells about a collection and its server.
type Surveyor interface {
	Survey(ctx context.Context, sel cold.Selection) (cold.Survey, error)
	ServerTime(ctx context.Context) (time.Time, bson.Timestamp, error)
}

// ReadOptions bound one reply.
type ReadOptions struct{ BatchDocs, BatchBytes int }

// Cursor yields old documents; io.EOF is its end.
type Cursor interface {
	Next(ctx context.Context) (cold.Read, error)
	Close(ctx context.Context)
}

// Documents reads what is old.
type Documents interface {
	Read(ctx context.Context, sel cold.Selection, b cold.Bounds, o ReadOptions) (Cursor, error)
	// ReadIDs returns those that still belong to the selection.
	ReadIDs(ctx context.Context, sel cold.Selection, ids []bson.RawValue) (cold.Read, error)
	Split(ctx context.Context, sel cold.Selection, n int) ([]cold.Bounds, error)
}

// RunQuery and PackQuery choose rows of the journal; zero fields choose all.
type (
	// RunQuery chooses runs, newest first.
	RunQuery struct {
		Rule, NS string
		IDs      []string
		States   []cold.RunState
		Limit    int
	}
	// PackQuery chooses packs, oldest first.
	PackQuery struct {
		Run, Rule, NS string
		IDs           []string
		States        []cold.PackState
	}
)

// JournalWriter writes rows. Both refuse (class Conflict) what has a lower
// fence than the stored row.
type JournalWriter interface {
	PutRun(ctx context.Context, r cold.Run) error
	// PutPack inserts with from "", else it moves a pack that is in state from.
	PutPack(ctx context.Context, p cold.Pack, from cold.PackState) error
}

// JournalReader reads rows.
type JournalReader interface {
	Runs(ctx context.Context, q RunQuery) ([]cold.Run, error)
	Packs(ctx context.Context, q PackQuery) ([]cold.Pack, error)
}

// Exceptions are the entries of packs that were not deleted.
type Exceptions interface {
	Exceptions(ctx context.Context, pack string) ([]cold.Exception, error)
	RuleExceptions(ctx context.Context, rule, ns string, o cold.Outcome, limit int) ([]cold.Exception, error)
	DropExceptions(ctx context.Context, ex []cold.Exception) error
}

// Marks are high-water marks: everything older was committed.
type Marks interface {
	Mark(ctx context.Context, rule, ns string) (time.Time, error)
	SetMark(ctx context.Context, rule, ns string, t time.Time, fence int64) error
}

// Holds name the keys that were restored and are not to be archived again yet.
type Holds interface {
	HasHolds(ctx context.Context, ns flow.Namespace) (bool, error)
	// Held tells which of ids are on hold, by their place in ids, and until when.
	Held(ctx context.Context, ns flow.Namespace, ids []bson.RawValue) (map[int]time.Time, error)
}

// Deletion deletes the documents of one pack in a session of its own.
type Deletion interface {
	// Delete moves the pack's row from next to next plus the number of doomed, in
	// one transaction with the deletes and under the lease's fence.
	Delete(ctx context.Context, next int, doomed []cold.Doomed) ([]cold.Fate, error)
	Close(ctx context.Context) error
}

// Deleter begins the deletion of a pack.
type Deleter interface {
	Begin(ctx context.Context, g cold.Guard) (Deletion, error)
}

// Database is MongoDB's side.
type Database interface {
	Surveyor
	Documents
	JournalWriter
	JournalReader
	Exceptions
	Marks
	Holds
	Deleter
}

// Shelf is the bucket's side: catalogue.Shelf.
type Shelf interface {
	Place(p *cold.Pack)
	Upload(ctx context.Context, p *cold.Pack, body objstore.Body) error
	Verify(ctx context.Context, m *pack.Manifest) error
	Committer
}

// Committer is the part of a Shelf that deals with manifests and outcomes.
type Committer interface {
	Commit(ctx context.Context, m *pack.Manifest) error
	Manifest(ctx context.Context, key string) (*pack.Manifest, error)
	Settle(ctx context.Context, p *cold.Pack, ex []cold.Exception) error
}

// Objects reads an object by range, n < 0 to its end: objstore.Reader.
type Objects interface {
	Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, error)
}

// Place is a bucket with a prefix, or a directory.
type Place struct {
	Shelf   Shelf
	Objects Objects
}

// Deps are what a Runner works with.
type Deps struct {
	DB     Database
	Leases lease.Store
	// Place is where new packs go.
	Place Place
	// Elsewhere opens the place of packs that older runs have put there, by
	// cold.Pack.Store; nil if there is none.
	Elsewhere func(ctx context.Context, store string) (Place, error)
	// Governor paces; nil does not.
	Governor *governor.Governor
	// Owner names this process in leases.
	Owner string
	// Tool is name and version, for manifests.
	Tool string
	// SpoolDir holds packs while they are written, at most SpoolBytes of them.
	SpoolDir   string
	SpoolBytes int64
	Logger     *slog.Logger
	Metrics    *Metrics
}

// DefaultSpoolBytes bounds the spool unless told otherwise.
const DefaultSpoolBytes = 1 << 30

// Options are for tests.
type Options struct {
	// Edge is called at each of Edges; an error of it ends the run there, as if
	// the step had failed.
	Edge func(ctx context.Context, edge string) error
	// DeleteBatch takes the place of the constant.
	DeleteBatch int
	// LeaseTTL and LeaseClock are those of lease.Options.
	LeaseTTL   time.Duration
	LeaseClock func() time.Duration
}
