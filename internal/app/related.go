package app

import (
	"fmt"

	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/mongo"
)

// relatedOf returns the relations of a flow.
func relatedOf(cfg *config.Flow) []mongo.Relation {
	out := make([]mongo.Relation, len(cfg.Related))
	for i, r := range cfg.Related {
		out[i].When, _ = flow.ParseNamespace(r.When)
		out[i].Rewrite, _ = flow.ParseNamespace(r.Rewrite)
		out[i].Field = r.Field()
	}
	return out
}

// RelatedStatus tells how far the documents are that show others.
type RelatedStatus struct {
	When    string `json:"when"`
	Rewrite string `json:"rewrite"`
	// Keys have changed, and what shows them has still to be written again. They
	// take Bytes of Budget, and took Peak at most since the start.
	Keys   int `json:"keys"`
	Bytes  int `json:"queue_bytes"`
	Peak   int `json:"queue_peak_bytes"`
	Budget int `json:"queue_budget_bytes"`
	// Rewritten counts documents since the start.
	Rewritten int64 `json:"rewritten"`
}

func relatedStatus(all []mongo.RelatedProgress) []RelatedStatus {
	var out []RelatedStatus
	for _, r := range all {
		out = append(out, RelatedStatus{
			When: r.When.String(), Rewrite: r.Rewrite.String(),
			Keys: r.Keys, Bytes: r.Bytes, Peak: r.Peak, Budget: r.Budget, Rewritten: r.Rewritten,
		})
	}
	return out
}

// text is the part of one relation for people.
func (r RelatedStatus) text() string {
	return fmt.Sprintf("%s → %s: %d keys to see to, %d documents written again", r.When, r.Rewrite, r.Keys, r.Rewritten)
}
