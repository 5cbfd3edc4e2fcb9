package search

import "sluice/internal/flow"

// fate is what a delete does to the document in the index.
type fate uint8

const (
	fateRemove fate = iota
	fateKeep
	fateMarkDeleted
	fateMarkArchived
)

// fate follows the policies, which are about documents that are gone: what is
// there and does not belong into the index is removed. What the index holds may
// not be the document that was archived (MissingIsDelete: that one had left the
// filter, or came after one which a user deleted): then it goes as a user's
// delete lets it go.
func (r *Route) fate(c *flow.Change) fate {
	if c.Left {
		return fateRemove
	}
	if c.Archived == nil || r.stays() && c.MissingIsDelete && c.Doc == nil {
		switch r.Delete {
		case DeleteKeep:
			return fateKeep
		case DeleteMark:
			return fateMarkDeleted
		}
		return fateRemove
	}
	switch r.Archive {
	case ArchiveKeep:
		return fateKeep
	case ArchiveMark:
		return fateMarkArchived
	}
	return fateRemove
}

// stays tells whether archived documents stay in the index.
func (r *Route) stays() bool { return r.Archive == ArchiveKeep || r.Archive == ArchiveMark }
