package app

import (
	"encoding/json"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Text returns the document as one line of Extended JSON: canonical, in which
// nothing is lost, or relaxed. With the place, it is the field document of an
// object that tells where the document lies.
func (f ArchiveFound) Text(relaxed, place bool) ([]byte, error) {
	doc, err := bson.MarshalExtJSON(f.Doc, !relaxed, false)
	if err != nil || !place {
		return doc, err
	}
	return json.Marshal(struct {
		Rule      string          `json:"rule"`
		Namespace string          `json:"namespace"`
		Pack      string          `json:"pack"`
		Object    string          `json:"object"`
		Entry     int             `json:"entry"`
		Outcome   string          `json:"outcome,omitempty"`
		Archived  time.Time       `json:"archived,omitzero"`
		Document  json.RawMessage `json:"document"`
	}{f.Rule, f.Namespace, f.Pack, f.Object, f.Entry, f.Outcome, f.Archived, doc})
}
