package restore

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/archive/catalogue"
	"sluice/internal/cold"
	"sluice/internal/flow"
)

// The defaults of Options.
const (
	DefaultBatchDocs  = 6000
	DefaultBatchBytes = 16 << 20
	DefaultTroubles   = 1000
)

// Options say what comes back, and how.
type Options struct {
	// Query chooses packs, IDs (nil: all) and Doc (MongoDB's query; nil: all)
	// documents. The newest version of a key is taken of those that Query and IDs
	// choose; if it does not match Doc, none is.
	Query catalogue.Query
	IDs   []bson.RawValue
	Doc   bson.Raw
	// Into is "db.collection", or "db" (the collections keep their names), or ""
	// for where the documents were.
	Into string
	// OnConflict is KeepLive unless told otherwise.
	OnConflict cold.OnConflict
	// Outcomes are those of the documents that come back; nil is Deleted and
	// Unknown, and the documents of packs of which it is not known (Pending).
	// The outcome "" is that of documents that were only copied.
	Outcomes []cold.Outcome
	// DryRun writes nothing, holds nothing, and ends no run.
	DryRun bool
	// Thaw asks for packs in a cold class to be made readable.
	Thaw bool
	// Limit is the number of documents at most; 0 for all.
	Limit int64
	// HoldFor is how long the restored keys are not archived again; 0 is not at all.
	HoldFor time.Duration
	// BatchDocs and BatchBytes bound one write.
	BatchDocs, BatchBytes int
	// Troubles bounds Report.Troubles (DefaultTroubles). Trouble, if not nil, is
	// told each of them.
	Troubles int
	Trouble  func(Trouble)
}

func (o *Options) defaults() error {
	const op = "restore"
	if o.BatchDocs <= 0 {
		o.BatchDocs = DefaultBatchDocs
	}
	if o.BatchBytes <= 0 {
		o.BatchBytes = DefaultBatchBytes
	}
	if o.Troubles <= 0 {
		o.Troubles = DefaultTroubles
	}
	switch o.OnConflict {
	case "":
		o.OnConflict = cold.KeepLive
	case cold.KeepLive, cold.ReplaceOlder, cold.FailConflict:
	default:
		return &flow.Error{
			Op: op, Class: flow.Config, Err: errors.New("the policy for conflicts is " + string(o.OnConflict)),
			Hint: "It is keep-live, replace-older or fail.",
		}
	}
	for _, x := range o.Outcomes {
		switch x {
		case "", cold.Deleted, cold.Changed, cold.Gone, cold.Unknown:
		default:
			return &flow.Error{Op: op, Class: flow.Config, Err: errors.New("there is no outcome " + string(x)), Hint: "They are deleted, changed, gone and unknown."}
		}
	}
	return nil
}

// eligible tells whether an entry with this outcome comes back.
func (o *Options) eligible(outcome cold.Outcome, pending bool) bool {
	if pending {
		outcome = cold.Unknown
	}
	if o.Outcomes == nil {
		return outcome == cold.Deleted || outcome == cold.Unknown
	}
	return slices.Contains(o.Outcomes, outcome)
}

// target is where the documents of a namespace go.
func (o *Options) target(ns string) (flow.Namespace, error) {
	from, ok := flow.ParseNamespace(ns)
	if !ok {
		return from, &flow.Error{Op: "restore", Object: ns, Class: flow.Fatal, Err: errors.New("its pack names no namespace")}
	}
	if o.Into == "" {
		return from, nil
	}
	if into, whole := flow.ParseNamespace(o.Into); whole {
		return into, nil
	}
	return flow.Namespace{DB: o.Into, Coll: from.Coll}, nil
}

// key names a restore by what it is to do, so that the same command goes on
// where it was.
func (o *Options) key(store string) string {
	ids := make([]string, len(o.IDs))
	for i, v := range o.IDs {
		ids[i] = v.String()
	}
	b, _ := json.Marshal([]any{ // texts, numbers and times: it can't fail
		store, o.Query, ids, []byte(o.Doc), o.Into, o.OnConflict, o.Outcomes, o.Outcomes == nil, o.Limit,
	})
	sum := sha256.Sum256(b)
	return "restore-" + hex.EncodeToString(sum[:16])
}
