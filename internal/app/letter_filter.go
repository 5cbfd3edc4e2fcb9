package app

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/deadletter"
	"sluice/internal/flow"
	"sluice/internal/transcode"
)

// LetterFilter chooses dead letters. What is empty chooses all.
type LetterFilter struct {
	// Namespace is "db.collection", Reason the word that the letter has.
	Namespace, Reason string
	// Keys are values of _id as ParseKey reads them.
	Keys []string
	// Before is when the letters were written at the latest; zero: now.
	Before time.Time
	// Limit is how many are returned at most, the newest; 0: all.
	Limit int
	// Errors: with the engine's texts, which may quote values of documents.
	Errors bool
}

// any tells whether something was chosen.
func (f LetterFilter) any() bool { return f.Namespace != "" || f.Reason != "" || len(f.Keys) > 0 }

// match returns what tells whether a letter was chosen.
func (f LetterFilter) match() (func(*deadletter.Letter) bool, error) {
	if f.Namespace != "" {
		if _, err := namespaceOf(f.Namespace); err != nil {
			return nil, err
		}
	}
	ids, err := parseKeys(f.Keys)
	if err != nil {
		return nil, err
	}
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = string(transcode.AppendID(nil, id))
	}
	return func(l *deadletter.Letter) bool {
		return (f.Namespace == "" || l.NS.String() == f.Namespace) && (f.Reason == "" || l.Reason == f.Reason) &&
			(len(keys) == 0 || slices.Contains(keys, l.ID)) && (f.Before.IsZero() || !l.At.After(f.Before))
	}, nil
}

func parseKeys(texts []string) ([]bson.RawValue, error) {
	ids := make([]bson.RawValue, 0, len(texts))
	for _, text := range texts {
		id, err := ParseKey(text)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func namespaceOf(text string) (flow.Namespace, error) {
	ns, ok := flow.ParseNamespace(text)
	if !ok {
		return ns, &flow.Error{Op: "read the namespace", Object: text, Class: flow.Config, Err: errors.New("it is not database.collection")}
	}
	return ns, nil
}

// DeadLetter is one dead letter, as it is told.
type DeadLetter struct {
	Namespace string `json:"namespace"`
	// ID is _id as Extended JSON, Key the id in the index.
	ID  json.RawMessage `json:"id"`
	Key string          `json:"key"`
	Op  string          `json:"op"`
	// Reason is a short word; Error, where it was asked for, the engine's text.
	Reason string `json:"reason"`
	Error  string `json:"error,omitempty"`
	// ClusterTime is that of the change, At when the letter was written.
	ClusterTime time.Time `json:"cluster_time"`
	At          time.Time `json:"at"`
	// Document is the document as MongoDB has it now, where it was asked for:
	// canonical Extended JSON, null if there is none.
	Document json.RawMessage `json:"document,omitempty"`
}

// DeadLetterList is what was chosen of the dead letters of a flow, the newest first.
type DeadLetterList struct {
	// Total counts all that were chosen, also those that a limit left out.
	Total   int          `json:"total"`
	Letters []DeadLetter `json:"letters"`
}

// tellLetter is l as it is told.
func tellLetter(l *deadletter.Letter) (DeadLetter, error) {
	id, err := l.DocumentID()
	if err != nil {
		return DeadLetter{}, err
	}
	text, err := bson.MarshalExtJSON(bson.D{{Key: "_id", Value: id}}, false, false)
	if err != nil {
		return DeadLetter{}, err
	}
	var whole struct {
		ID json.RawMessage `json:"_id"`
	}
	if err := json.Unmarshal(text, &whole); err != nil {
		return DeadLetter{}, err
	}
	return DeadLetter{
		Namespace: l.NS.String(), ID: whole.ID, Key: l.ID, Op: l.Op, Reason: l.Reason, Error: l.Error,
		ClusterTime: time.Unix(int64(l.Time.T), 0).UTC(), At: l.At,
	}, nil
}
