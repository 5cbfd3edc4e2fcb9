package mongo

import (
	"go.mongodb.org/mongo-driver/v2/bson"
)

// kind is the operationType of an event, as far as it concerns us.
type kind uint8

const (
	kindOther kind = iota
	kindInsert
	kindUpdate
	kindReplace
	kindDelete
	kindDrop
	kindRename
	kindDropDatabase
	kindInvalidate
	kindCreate
)

func kindOf(op []byte) kind {
	switch string(op) {
	case "insert":
		return kindInsert
	case "update":
		return kindUpdate
	case "replace":
		return kindReplace
	case "delete":
		return kindDelete
	case "drop":
		return kindDrop
	case "rename":
		return kindRename
	case "dropDatabase":
		return kindDropDatabase
	case "invalidate":
		return kindInvalidate
	case "create":
		return kindCreate
	}
	return kindOther
}

// event is one change event. Its slices are views into the reply.
type event struct {
	raw   bson.Raw
	token bson.Raw
	kind  kind
	time  bson.Timestamp
	// ns and to are the raw documents {db, coll}.
	ns, to bson.Raw
	key    bson.Raw
	doc    bson.Raw
	before bson.Raw // the pre-image; nil if there is none
	uuid   []byte   // 16 bytes, nil if the server did not send it
	lsid   []byte   // the raw document {id, uid}, nil without a session
	txn    bool     // lsid and txnNumber are there
	view   bool     // create: a view, or a time series collection
	capped bool     // create: a capped collection
}

// parse walks raw once; nothing is decoded and nothing copied.
func (e *event) parse(raw bson.Raw) error {
	*e = event{raw: raw}
	number := false
	for b := inside(raw); ; {
		typ, name, value, rest, err := element(b)
		if err != nil {
			return err
		}
		if typ == 0 {
			break
		}
		b = rest
		switch typ {
		case bson.TypeEmbeddedDocument:
			e.document(name, value)
		case bson.TypeInt64:
			number = number || string(name) == "txnNumber"
		default:
			e.scalar(typ, name, value)
		}
	}
	e.txn = e.lsid != nil && number
	if e.token == nil || e.time.IsZero() {
		return errBSON
	}
	return nil
}

// document takes note of a field that is a document.
func (e *event) document(name, value []byte) {
	switch string(name) {
	case "_id":
		e.token = value
	case "ns":
		e.ns = value
	case "to":
		e.to = value
	case "documentKey":
		e.key = value
	case "fullDocument":
		e.doc = value
	case "fullDocumentBeforeChange":
		e.before = value
	case "lsid":
		e.lsid = value
	case "operationDescription":
		e.describe(value)
	}
}

// scalar takes note of any other field.
func (e *event) scalar(typ bson.Type, name, value []byte) {
	switch {
	case typ == bson.TypeString && string(name) == "operationType" && len(value) > 5:
		e.kind = kindOf(value[4 : len(value)-1])
	case typ == bson.TypeTimestamp && string(name) == "clusterTime":
		e.time = timestampOf(value)
	case typ == bson.TypeBinary && string(name) == "collectionUUID" && len(value) == 21:
		e.uuid = value[5:]
	}
}

// session returns lsid.id, which names the session of a transaction; zero if
// the event has none. It is looked for on demand: only deletes need it (rule A5).
func (e *event) session() (id [16]byte) {
	if !e.txn {
		return id
	}
	for b := inside(e.lsid); ; {
		typ, name, value, rest, err := element(b)
		if err != nil || typ == 0 {
			return id
		}
		if typ == bson.TypeBinary && string(name) == "id" && len(value) == 21 {
			return [16]byte(value[5:])
		}
		b = rest
	}
}

// describe reads what a create event says of the collection.
func (e *event) describe(doc []byte) {
	for b := inside(doc); ; {
		typ, name, value, rest, err := element(b)
		if err != nil || typ == 0 {
			return
		}
		switch string(name) {
		case "viewOn", "timeseries":
			e.view = true
		case "capped":
			e.capped = typ == bson.TypeBoolean && value[0] == 1
		}
		b = rest
	}
}

// isWrite tells whether the event changes one document.
func (e *event) isWrite() bool { return e.kind >= kindInsert && e.kind <= kindDelete }

// slim returns a copy of a write event without its document: it keeps nothing
// of the reply alive, and its key will be read again.
func slim(raw bson.Raw) bson.Raw {
	out := make([]byte, 4, 512)
	for b := inside(raw); ; {
		typ, name, _, rest, err := element(b)
		if err != nil || typ == 0 {
			break
		}
		if n := string(name); n != "fullDocument" && n != "fullDocumentBeforeChange" {
			out = append(out, b[:len(b)-len(rest)]...)
		}
		b = rest
	}
	out = append(out, 0)
	putLen(out)
	return bson.Raw(out)
}

func putLen(doc []byte) {
	n := len(doc)
	doc[0], doc[1], doc[2], doc[3] = byte(n), byte(n>>8), byte(n>>16), byte(n>>24)
}

// documentKey returns _id, and the whole key if there is more to it.
func (e *event) documentKey() (id bson.RawValue, whole bson.Raw, err error) {
	if id, err = idOf(e.key); err != nil || id.Type == 0 {
		return id, nil, errBSON
	}
	if len(e.key) == 10+len(id.Value) { // length, type, "_id\0", value, end
		return id, nil, nil
	}
	return id, e.key, nil
}
