package search

import (
	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/transcode"
)

// Profile says by whose ways the indexes are written. The empty value is
// ProfileNative.
type Profile string

// The profiles.
const (
	ProfileNative Profile = "native"
	// ProfileMonstache goes on with indexes as Monstache 6 leaves them: its ids, its
	// versions, plain indexes without an alias. How documents are rendered, their
	// Plan says.
	ProfileMonstache Profile = "monstache"
)

// Write says how documents are written. The empty value is WriteIndex.
type Write string

// The ways to write.
const (
	// WriteIndex puts the whole document in place of what is there, at its version.
	WriteIndex Write = "index"
	// WriteUpdate puts its fields into what is there. There are no versions, so who
	// calls keeps the order: a key is in one batch at a time, and nothing old comes
	// after what is newer.
	WriteUpdate Write = "update"
)

// monstacheOffset is what versions have on top of the native ones. Monstache writes
// T<<32|I, and one or two more for an update or a delete: two more are never below
// what it has written for the same event, and above all that it has written for
// earlier ones.
const monstacheOffset = flow.VersionEpoch<<32 + 2

// clockSlack is how far versions of Monstache, some of which it makes of its own
// clock, may lie ahead of MongoDB's time: an hour.
const clockSlack = 3600 << 32

// scheme is how ids and versions look in the index.
type scheme struct {
	// name stands in the _meta of the indexes.
	name string
	// offset is added to native versions on their way out, slack to the limit of
	// those that may come back.
	offset, slack int64
	monstache     bool
}

// The names of schemes.
const (
	schemeNative    = "native"
	schemeMonstache = "monstache"
)

func schemeOf(p Profile) scheme {
	if p == ProfileMonstache {
		return scheme{name: schemeMonstache, offset: monstacheOffset, slack: clockSlack, monstache: true}
	}
	return scheme{name: schemeNative}
}

// appendID appends the id of the document with that key; an error says that it has none.
func (s *scheme) appendID(dst []byte, id bson.RawValue) ([]byte, error) {
	if s.monstache {
		return transcode.AppendGoID(dst, id)
	}
	return transcode.AppendID(dst, id), nil
}
