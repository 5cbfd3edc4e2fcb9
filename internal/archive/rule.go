package archive

import (
	"hash/fnv"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/pack"
)

// The defaults of a Rule.
const (
	DefaultBatchDocs  = 10_000
	DefaultBatchBytes = 16 << 20
	DefaultPackBytes  = 128 << 20
	DefaultPackDocs   = 100_000
	DefaultPackWait   = 15 * time.Minute
	// DeleteBatch is the number of documents of one delete transaction.
	DeleteBatch = 1000
)

// Rule says what leaves one collection, where it goes stands in Deps.
type Rule struct {
	// Name is unique among the rules of a deployment.
	Name string
	NS   flow.Namespace
	// Field is the dotted path of the age field, Kind what is in it.
	Field string
	Kind  cold.AgeKind
	// Cutoff returns the first time that is not old, from the server's clock. It
	// is asked once per run.
	Cutoff func(serverNow time.Time) time.Time
	// Filter is a query in addition to the age, or nil; FilterText is the same as
	// Extended JSON.
	Filter     bson.Raw
	FilterText string
	// Floor leaves out what is older: dates that only stand for "none". With nil,
	// a collection with such dates is refused.
	Floor *time.Time
	// Delete: what is committed is deleted from MongoDB. Else it is copied.
	Delete bool
	// WithoutTransactions allows, and makes, deletes by comparing in the filter
	// (rule A3), for standalone servers.
	WithoutTransactions bool
	// Sharded allows sharded collections.
	Sharded bool
	// CollScan allows to read without an index.
	CollScan bool
	// AllowMixed archives the documents whose age field has the right type, and
	// leaves the others.
	AllowMixed bool
	// Soak is how long to wait between commit and delete.
	Soak time.Duration
	// Shadow does all but delete, and counts what would have been deleted.
	Shadow bool
	// IgnoreHolds archives what was restored a short time ago, too.
	IgnoreHolds bool
	// BatchDocs and BatchBytes bound one read.
	BatchDocs, BatchBytes int
	// PackBytes is the size of an object at which it is closed (compressed),
	// PackDocs the most documents in one, PackWait the longest time that one
	// stays open.
	PackBytes int64
	PackDocs  int
	PackWait  time.Duration
	// Parallel is the number of ranges of age that are read at a time.
	Parallel int
	// MinAge refuses a cutoff that is younger. MaxShare (0 to 1) refuses a run
	// that takes more of the collection; 0 sets no bound.
	MinAge   time.Duration
	MaxShare float64
	// Codec, Level and FrameBytes are those of pack.WriterOptions.
	Codec      pack.Codec
	Level      int
	FrameBytes int
	// StorageClass is for the estimate of costs only; "" is STANDARD.
	StorageClass string
}

// LeaseName is the lease under which the rule works on its collection.
func (r Rule) LeaseName() string { return "archive/" + r.Name + "/" + r.NS.String() }

func (r *Rule) fill() {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&r.BatchDocs, DefaultBatchDocs)
	def(&r.BatchBytes, DefaultBatchBytes)
	def(&r.PackDocs, DefaultPackDocs)
	def(&r.Parallel, 1)
	if r.PackBytes <= 0 {
		r.PackBytes = DefaultPackBytes
	}
	if r.PackWait <= 0 {
		r.PackWait = DefaultPackWait
	}
	if r.Codec == "" {
		r.Codec = pack.Zstd
	}
}

// marked tells whether the rule keeps a high-water mark: its documents stay
// live after they were committed, and would be copied again by each run.
func (r Rule) marked() bool { return !r.Delete || r.Shadow || r.Soak > 0 }

// markName is the name of the rule's high-water mark. What was only copied does
// not count for a rule that deletes, nor what another filter left out.
func (r Rule) markName() string {
	mode := "soak"
	switch {
	case r.Shadow:
		mode = "shadow"
	case !r.Delete:
		mode = "copy"
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(r.Field + "\x00" + string(r.Kind) + "\x00" + r.FilterText))
	return r.Name + ":" + mode + ":" + strconv.FormatUint(h.Sum64(), 36)
}

// selection is what is old at serverNow, above the mark from.
func (r Rule) selection(serverNow, from time.Time) cold.Selection {
	sel := cold.Selection{
		NS: r.NS, Field: r.Field, Kind: r.Kind, Filter: r.Filter, From: from, Before: r.Cutoff(serverNow), CollScan: r.CollScan,
	}
	if r.Floor != nil {
		sel.Floor = *r.Floor
	}
	return sel
}
