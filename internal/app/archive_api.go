package app

import (
	"log/slog"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/archive"
	"sluice/internal/archive/catalogue"
	"sluice/internal/cold"
	"sluice/internal/config"
)

// ArchiveOptions say on what the verbs of the archive work.
type ArchiveOptions struct {
	Config *config.Config
	// Rules names rules; none stands for all. What only reads the archive takes
	// names that the configuration no longer has.
	Rules  []string
	Logger *slog.Logger
	// Progress, if not nil, shows a progress line.
	Progress *Screen
}

// The journal's rows, as `archive ls` and `archive show` tell them.
type (
	// ArchiveRun is one execution of a rule on one collection.
	ArchiveRun = cold.Run
	// ArchivePack is one archive file.
	ArchivePack = cold.Pack
)

// What is said of the bucket.
type (
	// ArchiveVerified is what was found of one pack, or of an object that belongs
	// to none.
	ArchiveVerified = catalogue.Checked
	// ArchiveGarbage is an object that belongs to no pack.
	ArchiveGarbage = catalogue.Garbage
)

// ArchivePlanned is what a rule would do on one collection.
type ArchivePlanned struct {
	archive.PlanResult
	// To is where its packs go; OlderThan is that of the rule; Delete: what is
	// archived is deleted.
	To        string `json:"to"`
	OlderThan string `json:"older_than"`
	Delete    bool   `json:"delete"`
}

// ArchiveReport is how a run of a rule on one collection went.
type ArchiveReport struct {
	archive.Report
	// Error is "" without any.
	Error string `json:"error,omitempty"`
}

// ArchiveRunDetail is a run with its packs.
type ArchiveRunDetail struct {
	Run   ArchiveRun    `json:"run"`
	Packs []ArchivePack `json:"packs,omitempty"`
}

// ArchiveListOptions choose what is listed.
type ArchiveListOptions struct {
	// Namespace is "db.collection", "" for all.
	Namespace string
	// Packs: with the packs of each run.
	Packs bool
	// Limit is the number of runs at most, the newest; 0 for all.
	Limit int
}

// ArchiveWhich chooses documents of the archive. What is empty sets no bound.
type ArchiveWhich struct {
	Namespace string
	// Pack is the id of a pack.
	Pack string
	// IDs are values of _id (see ParseKey); Query is a query of MongoDB.
	IDs   []bson.RawValue
	Query bson.Raw
	// From (inclusive) and To (exclusive) bound the age field.
	From, To time.Time
}

// ArchiveFindOptions say how documents are found.
type ArchiveFindOptions struct {
	ArchiveWhich
	// Versions: every version of a document, not only the newest.
	Versions bool
	// Thaw asks for objects in a cold class to be made readable.
	Thaw bool
	// Limit is the number of documents at most; 0 for all.
	Limit int
}

// ArchiveFound is a document of the archive.
type ArchiveFound struct {
	Doc       bson.Raw
	Rule      string
	Namespace string
	Pack      string
	// Object is where the pack is: store and key.
	Object string
	// Entry is its number in the pack.
	Entry int
	// Outcome is what became of the document in MongoDB, "" while it is there.
	Outcome string
	// Archived is when it was read.
	Archived time.Time
}

// ArchiveVerifyOptions say what is checked.
type ArchiveVerifyOptions struct {
	// Namespace and Pack choose; "" is all.
	Namespace string
	Pack      string
	// Deep: each pack is read back whole.
	Deep bool
}

// ArchiveForgetOptions choose documents to erase.
type ArchiveForgetOptions struct {
	ArchiveWhich
	// Reason is noted in the record of the erasure.
	Reason string
	DryRun bool
}

// ArchiveForgotten is what an erasure reached.
type ArchiveForgotten struct {
	// Documents and Packs are how many were erased, and from how many packs.
	Documents int `json:"documents"`
	Packs     int `json:"packs"`
	// Rewritten names the packs that took the place of others.
	Rewritten []string `json:"rewritten,omitempty"`
	// Unreached tells what could not be erased, and why.
	Unreached []string `json:"unreached,omitempty"`
	// Audit are the objects that record the erasure.
	Audit []string `json:"audit,omitempty"`
}

// ArchiveRebuilt is what the journal holds after it was written anew.
type ArchiveRebuilt struct {
	Runs       int `json:"runs"`
	Packs      int `json:"packs"`
	Exceptions int `json:"exceptions"`
	// New are the packs that were not in it.
	New int `json:"new"`
}

// RestoreOptions say what comes back, and how.
type RestoreOptions struct {
	ArchiveWhich
	// Into is "db.collection" or "db" (the collections keep their names); "" for
	// where the documents were.
	Into string
	// OnConflict is keep-live, replace-older or fail.
	OnConflict string
	// Outcomes are those of the documents that come back: deleted, changed, gone,
	// unknown, OutcomeLive. Nil is what the archive has deleted, or may have.
	Outcomes []string
	DryRun   bool
	Thaw     bool
	// Limit is the number of documents at most; 0 for all.
	Limit int
	// Rate is in documents per second; 0 is as fast as it goes.
	Rate float64
}
