package restore

import (
	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
)

// Report tells what became of the documents of a restore. In a dry run it tells
// what would.
type Report struct {
	// Found are the documents that were chosen, Packs those they are from.
	Found int64 `json:"found"`
	Packs int   `json:"packs"`
	Bytes int64 `json:"bytes"`

	Inserted   int64 `json:"inserted"`
	Replaced   int64 `json:"replaced"`
	Equal      int64 `json:"equal"`
	Conflicts  int64 `json:"conflicts"`
	Duplicates int64 `json:"duplicates"`
	Refused    int64 `json:"refused"`

	DryRun bool `json:"dry_run,omitempty"`
	// Resumed: an earlier run of the same restore had done Skipped documents, which
	// are not in the counts.
	Resumed bool  `json:"resumed,omitempty"`
	Skipped int64 `json:"skipped,omitempty"`
	// Left tells what of the options and indexes of a new collection could not be
	// made as it was.
	Left []string `json:"left,omitempty"`
	// Troubles are the first documents that did not come back.
	Troubles []Trouble `json:"troubles,omitempty"`
}

// Unreturned is the number of documents that did not come back.
func (r *Report) Unreturned() int64 { return r.Conflicts + r.Duplicates + r.Refused }

// Trouble is a document that did not come back.
type Trouble struct {
	NS string `json:"namespace"`
	// ID is the key as Extended JSON.
	ID       string        `json:"id"`
	Returned cold.Returned `json:"returned"`
	// Index is the unique index that refused it.
	Index  string `json:"index,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Pack and Entry are where it lies.
	Pack  string `json:"pack"`
	Entry int    `json:"entry"`
}

// count adds one document.
func (r *Report) count(x cold.Returned) {
	switch x {
	case cold.Inserted:
		r.Inserted++
	case cold.Equal:
		r.Equal++
	case cold.Replaced:
		r.Replaced++
	case cold.Conflicting:
		r.Conflicts++
	case cold.Duplicate:
		r.Duplicates++
	case cold.Refused:
		r.Refused++
	}
}

func troubled(x cold.Returned) bool {
	return x == cold.Conflicting || x == cold.Duplicate || x == cold.Refused
}

func idText(id bson.RawValue) string {
	if err := id.Validate(); err != nil {
		return "(broken)"
	}
	return id.String()
}
