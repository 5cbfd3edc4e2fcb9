package app

import (
	"encoding/json"
	"errors"
	"regexp"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// ParseKey reads the _id of a document as people write it: Extended JSON
// ({"$oid": "…"}, "text", 5), 24 hex digits for an ObjectID, a number, else text.
func ParseKey(text string) (bson.RawValue, error) {
	fault := func(err error) error {
		return &flow.Error{
			Op: "read the _id", Object: text, Class: flow.Config, Err: err,
			Hint: `write Extended JSON, such as {"$oid": "65a1b2c3d4e5f60718293a4b"} or "text" with its quotes, or 24 hex digits, a number, or plain text`,
		}
	}
	value := text
	switch {
	case text == "":
		return bson.RawValue{}, fault(errors.New("it is empty"))
	case regexp.MustCompile(`^[0-9a-fA-F]{24}$`).MatchString(text):
		value = `{"$oid": "` + text + `"}`
	case text[0] == '{', text[0] == '"':
	case regexp.MustCompile(`^-?[0-9]`).MatchString(text) && json.Valid([]byte(text)):
		if regexp.MustCompile(`^-?[0-9]{20,}$`).MatchString(text) {
			return bson.RawValue{}, fault(errors.New(`a number of this size is text or a decimal: write "…" or {"$numberDecimal": "…"}`))
		}
	default:
		quoted, err := json.Marshal(text)
		if err != nil {
			return bson.RawValue{}, fault(err)
		}
		value = string(quoted)
	}
	doc, err := parseDocument(`{"_id": ` + value + `}`)
	if err != nil {
		return bson.RawValue{}, fault(errors.New("no Extended JSON"))
	}
	id, err := doc.LookupErr("_id")
	if elements, _ := doc.Elements(); err != nil || len(elements) != 1 {
		return bson.RawValue{}, fault(errors.New("no Extended JSON"))
	}
	return id, nil
}

// ParseQuery reads a query of MongoDB in Extended JSON; nil for "".
func ParseQuery(text string) (bson.Raw, error) {
	if text == "" {
		return nil, nil
	}
	q, err := parseDocument(text)
	if err != nil {
		return nil, &flow.Error{
			Op: "read the query", Class: flow.Config, Err: errors.New("no Extended JSON"),
			Hint: `such as {"status": "open", "at": {"$gte": {"$date": "2024-01-01T00:00:00Z"}}}`,
		}
	}
	return q, nil
}

func parseDocument(text string) (bson.Raw, error) {
	if !json.Valid([]byte(text)) {
		return nil, errors.New("no JSON")
	}
	var doc bson.D
	if err := bson.UnmarshalExtJSON([]byte(text), false, &doc); err != nil {
		return nil, err
	}
	return bson.Marshal(doc)
}
