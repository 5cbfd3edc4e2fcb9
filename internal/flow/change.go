package flow

import "go.mongodb.org/mongo-driver/v2/bson"

// Op says what a Change asks of the sink.
type Op uint8

// The operations of a Change.
const (
	// OpWrite: Doc is the document to index at Version.
	OpWrite Op = iota + 1
	// OpReread: the current document has to be read first (rule S8). The
	// reread stage turns it into OpWrite, OpDelete or OpSkip; a sink never sees it.
	OpReread
	// OpDelete: the key is gone at Version.
	OpDelete
	// OpSkip: nothing is to be written; the change still counts as settled.
	OpSkip
)

// String names the operation as logs and metrics show it.
func (o Op) String() string {
	switch o {
	case OpWrite:
		return "write"
	case OpReread:
		return "reread"
	case OpDelete:
		return "delete"
	case OpSkip:
		return "skip"
	}
	return "unknown"
}

// Change is one change of one document. Its byte slices are views that belong
// to the Batch that carries it; who keeps one longer copies it.
type Change struct {
	Op Op
	// Txn: the event carries lsid and txnNumber, so the key may change again
	// at the same Version.
	Txn bool
	// Update: the document was there before, and was updated or replaced.
	Update bool
	// MissingIsDelete: if the re-read finds nothing, the key is deleted at
	// Version (a namespace with a filter, an insert that came without its
	// document, a settled shard-key move, or a delete that was merged into this
	// change). If false, nothing is written: a
	// delete is coming. On an archive's OpDelete: what the index holds may not
	// stay in it as the document that was archived.
	MissingIsDelete bool
	NS              Namespace
	// ID is the value of _id.
	ID bson.RawValue
	// Key is the whole document key (_id and the shard key), nil when it is _id alone.
	Key bson.Raw
	// Doc is the document, for OpWrite. On OpDelete and OpReread it is nil, or
	// the last document that a change which was merged into this one wrote: what
	// a sink that keeps deleted documents keeps, and what is written if the
	// re-read finds nothing (and MissingIsDelete is false, and deletes are not
	// carried out by Before).
	// On OpSkip it is not nil where the document is there, and the index is to stay as
	// it is.
	Doc bson.Raw
	// Version orders all writes of one key (rule S1).
	Version int64
	// Time is the cluster time of the event; for a snapshot document the time
	// L of its read.
	Time bson.Timestamp
	// Session is the UUID of the session (lsid.id) for a delete in a
	// transaction; zero for everything else.
	Session [16]byte
	// Left, on OpDelete: MongoDB has the document, but it does not belong into the
	// index (rule S14); it goes, whatever is said of deletes. On OpReread: that was so
	// of a change which was merged into this one; it counts if nothing is found.
	Left bool
	// Before tells where places come from templates (rule S14) what the document
	// was before; nil says that nothing is known of it.
	Before *Before
	// Archived is set on a delete that is an archive's own (rule A5); nil on a
	// user's. It is set before changes are merged, by whoever knows the ledger.
	Archived *Archived
	// Attach, on OpWrite, is what is added to Doc; nil for nothing. It is set just
	// before the change is sent, so that little of it is held at one time.
	Attach *Attachment
	// Fault, set by a stage, says that the document itself is at fault and can't be
	// written; its outcome is DeadLetter. The pump puts the change aside, and a sink
	// never sees it.
	Fault *Verdict
}

// ControlKind says what happened to a whole namespace.
type ControlKind uint8

// The kinds of Control.
const (
	// ControlDropped: the collection was dropped, or renamed away.
	ControlDropped ControlKind = iota + 1
	// ControlReplaced: another collection was renamed onto the namespace (or it
	// was converted in place): a snapshot of it follows, with removal of ghosts.
	ControlReplaced
	// ControlCreated: a collection that the flow follows came into being.
	ControlCreated
	// ControlSnapshotBegin comes before the first document of a snapshot.
	ControlSnapshotBegin
	// ControlSnapshotDone comes when all documents of a snapshot are settled.
	ControlSnapshotDone
)

// String names the kind as logs show it.
func (k ControlKind) String() string {
	switch k {
	case ControlDropped:
		return "dropped"
	case ControlReplaced:
		return "replaced"
	case ControlCreated:
		return "created"
	case ControlSnapshotBegin:
		return "snapshot begin"
	case ControlSnapshotDone:
		return "snapshot done"
	}
	return "unknown"
}

// Control is an event that concerns a namespace as a whole. It travels alone
// in its Batch; it is applied when everything the same source returned before
// it is settled, and nothing after it is written before it is applied.
type Control struct {
	Kind ControlKind
	NS   Namespace
	// Time and Version are those of the event (SnapshotDone: of the last read).
	Time    bson.Timestamp
	Version int64
	// Ghosts, on ControlSnapshotDone: the index may hold documents that
	// MongoDB no longer has; remove them (rule S13).
	Ghosts bool
}
