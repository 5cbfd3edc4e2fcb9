package flow

import "time"

// Archived says that a delete was an archive's own (rule A5): the document left
// MongoDB for a pack, and is no user's loss. It is shared by many changes and
// never written after it is made.
type Archived struct {
	// At is when the archive began to delete what the pack holds.
	At time.Time
	// Rule names the archive rule, Object the pack: store and key, without secrets.
	Rule, Object string
}
