package transform

import (
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Timestamp finds the time of a document: that of a field, or of its _id. It does not
// change, and is safe from several goroutines.
type Timestamp struct {
	path []string
	name string
}

// NewTimestamp returns the one of a dotted path; _id stands for the time of an ObjectId.
func NewTimestamp(path string) *Timestamp {
	return &Timestamp{path: strings.Split(path, "."), name: path}
}

// Of returns the time of a document whose _id is id. An error says that it has none,
// and why; it quotes no value.
func (t *Timestamp) Of(id bson.RawValue, doc bson.Raw) (time.Time, error) {
	v := id
	if t.name != "_id" {
		var err error
		if v, err = doc.LookupErr(t.path...); err != nil {
			return time.Time{}, fmt.Errorf("the field %s is missing", t.name)
		}
	}
	at, ok := timeIn(v)
	if !ok {
		return time.Time{}, fmt.Errorf("the field %s is no date and no ObjectId, but %s", t.name, v.Type)
	}
	return at, nil
}
