package restore

import (
	"context"
	"log/slog"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/archive/catalogue"
	"sluice/internal/cold"
	"sluice/internal/flow"
)

// Live is MongoDB's side.
type Live interface {
	// Restore inserts, and never overwrites but as on says; the returns are in the
	// order of docs. After an error a Return without an outcome is unknown.
	Restore(ctx context.Context, ns flow.Namespace, docs []cold.Homecoming, on cold.OnConflict) ([]cold.Return, error)
	// EnsureCollection creates ns if it is missing, and tells what could not be
	// made as it was.
	EnsureCollection(ctx context.Context, ns flow.Namespace, options bson.Raw, indexes []bson.Raw) (left []string, err error)
}

// Peeker tells what Restore would do, and writes nothing. A Live that has it makes
// a dry run tell of conflicts; without, it only counts.
type Peeker interface {
	Peek(ctx context.Context, ns flow.Namespace, docs []cold.Homecoming, on cold.OnConflict) ([]cold.Return, error)
}

// Holder keeps rules from archiving keys again, until a time.
type Holder interface {
	Hold(ctx context.Context, ns flow.Namespace, ids []bson.RawValue, until time.Time) error
}

// Finisher ends the open runs of a rule on a namespace: deletes under way are
// finished, so that every document has an outcome.
type Finisher interface {
	Finish(ctx context.Context, rule, ns string) error
}

// Pacer waits until so many documents and bytes may be written.
type Pacer interface {
	Wait(ctx context.Context, docs int, bytes int64) error
}

// Bookmark is how far a restore is.
type Bookmark struct {
	// List stands for the packs that the restore is from.
	List string `bson:"list" json:"list"`
	// Pack is the one that was worked on, Entry the first that is not done. Packs
	// before it, from the newest on, are done.
	Pack  string `bson:"pack" json:"pack"`
	Entry int    `bson:"entry" json:"entry"`
	// Found is how many documents are done.
	Found int64 `bson:"found" json:"found"`
}

// Journal keeps the bookmarks of restores. key names one by what it is to do.
type Journal interface {
	// LoadRestore returns the zero Bookmark if there is none.
	LoadRestore(ctx context.Context, key string) (Bookmark, error)
	// SaveRestore puts one in the place of the one before; the zero one removes it.
	SaveRestore(ctx context.Context, key string, b Bookmark) error
}

// Deps are what a restore works with. Only Packs and Live must be there.
type Deps struct {
	Packs   catalogue.Library
	Live    Live
	Holds   Holder
	Runs    Finisher
	Pacer   Pacer
	Journal Journal
	Logger  *slog.Logger
	// Now is the clock that holds count from; nil is time.Now.
	Now func() time.Time
}
