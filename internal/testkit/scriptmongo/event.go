package scriptmongo

import (
	"encoding/hex"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Event is a change event to send. Zero fields are left out of it.
type Event struct {
	// Op is the operationType: insert, update, replace, delete, drop, rename,
	// dropDatabase, invalidate, create, modify…
	Op string
	// NS is "db.coll", or "db" alone.
	NS   string
	Time bson.Timestamp
	// Key is the documentKey, such as bson.D{{"_id", 1}}.
	Key bson.D
	// Doc is the fullDocument, any value that marshals to a document.
	Doc any
	// Update is the updateDescription.
	Update bson.D
	// To is the new namespace of a rename.
	To string
	// UUID is the collectionUUID.
	UUID []byte
	// Txn, above 0, makes the event part of a transaction: lsid and txnNumber.
	Txn int64
	// Token is the resume token's _data, made from Time if empty.
	Token string
	// Fragment of Of: a part of an event that was split.
	Fragment, Of int32
	// Extra fields, at the end.
	Extra bson.D
}

// Insert makes an event for a document with an _id.
func Insert(ns string, t bson.Timestamp, doc bson.D) Event {
	return Event{Op: "insert", NS: ns, Time: t, Key: keyOf(doc), Doc: doc}
}

// Replace makes an event for a whole new document.
func Replace(ns string, t bson.Timestamp, doc bson.D) Event {
	return Event{Op: "replace", NS: ns, Time: t, Key: keyOf(doc), Doc: doc}
}

// Update makes an event that sets fields of the document id.
func Update(ns string, t bson.Timestamp, id any, set bson.D) Event {
	return Event{
		Op: "update", NS: ns, Time: t, Key: bson.D{{Key: "_id", Value: id}},
		Update: bson.D{{Key: "updatedFields", Value: set}, {Key: "removedFields", Value: bson.A{}}, {Key: "truncatedArrays", Value: bson.A{}}},
	}
}

// Delete makes an event for the end of the document id.
func Delete(ns string, t bson.Timestamp, id any) Event {
	return Event{Op: "delete", NS: ns, Time: t, Key: bson.D{{Key: "_id", Value: id}}}
}

// Drop makes an event for the end of a collection.
func Drop(ns string, t bson.Timestamp) Event { return Event{Op: "drop", NS: ns, Time: t} }

// Rename makes an event for a collection that gets another name.
func Rename(ns, to string, t bson.Timestamp) Event {
	return Event{Op: "rename", NS: ns, To: to, Time: t}
}

// Transaction gives events one cluster time and one transaction.
func Transaction(t bson.Timestamp, number int64, events ...Event) []Event {
	for i := range events {
		events[i].Time, events[i].Txn = t, number
	}
	return events
}

// Split cuts an event in two fragments: all but the document, the document.
func Split(e Event) []Event {
	head, rest := e, Event{Time: e.Time, Doc: e.Doc, Fragment: 2, Of: 2}
	head.Doc, head.Fragment, head.Of = nil, 1, 2
	return []Event{head, rest}
}

// HighWater is the resume token of a time: a stream that starts there includes
// the events of that time.
func HighWater(t bson.Timestamp) string {
	return strings.ToUpper(fmt.Sprintf("82%08x%08x2B0229296E04", t.T, t.I))
}

// TokenTime returns the cluster time in a token.
func TokenTime(token string) (bson.Timestamp, bool) {
	b, err := hex.DecodeString(token)
	if err != nil || len(b) < 9 || b[0] != 0x82 {
		return bson.Timestamp{}, false
	}
	be := func(b []byte) uint32 { return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]) }
	return bson.Timestamp{T: be(b[1:]), I: be(b[5:])}, true
}

func keyOf(doc bson.D) bson.D {
	for _, e := range doc {
		if e.Key == "_id" {
			return bson.D{e}
		}
	}
	return bson.D{}
}

// Raw renders the event; seq makes its token differ from others of its time
// and sorts among them.
func (e Event) Raw(seq uint64) (bson.Raw, error) {
	token := e.Token
	if token == "" {
		token = strings.ToUpper(fmt.Sprintf("82%08x%08x2B042C0100296E5A1004%032x04", e.Time.T, e.Time.I, seq))
	}
	d := bson.D{{Key: "_id", Value: bson.D{{Key: "_data", Value: token}}}}
	add := func(key string, value any, there bool) {
		if there {
			d = append(d, bson.E{Key: key, Value: value})
		}
	}
	add("operationType", e.Op, e.Op != "")
	add("clusterTime", e.Time, e.Fragment < 2)
	add("fullDocument", e.Doc, e.Doc != nil)
	add("ns", namespace(e.NS), e.NS != "")
	add("to", namespace(e.To), e.To != "")
	add("collectionUUID", bson.Binary{Subtype: 4, Data: e.UUID}, e.UUID != nil)
	add("documentKey", e.Key, e.Key != nil)
	add("updateDescription", e.Update, e.Update != nil)
	add("lsid", bson.D{{Key: "id", Value: bson.Binary{Subtype: 4, Data: []byte("a session's UUID")}}, {Key: "uid", Value: bson.Binary{Data: make([]byte, 32)}}}, e.Txn > 0)
	add("txnNumber", e.Txn, e.Txn > 0)
	add("splitEvent", bson.D{{Key: "fragment", Value: e.Fragment}, {Key: "of", Value: e.Of}}, e.Of > 0)
	return bson.Marshal(append(d, e.Extra...))
}

func namespace(ns string) bson.D {
	db, coll, ok := strings.Cut(ns, ".")
	d := bson.D{{Key: "db", Value: db}}
	if ok {
		d = append(d, bson.E{Key: "coll", Value: coll})
	}
	return d
}
