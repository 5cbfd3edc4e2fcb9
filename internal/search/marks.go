package search

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"

	"sluice/internal/flow"
	"sluice/internal/transcode"
)

// hintArchived is the cure for a field of the user's that is in the way of the mark.
const hintArchived = "the documents have a field " + archivedField + " of their own, which on.archive: mark writes too: " +
	"give it another name (fields.rename), leave it out (fields.exclude), or use on.archive: keep or remove"

// errArchivedField says that a mark would overwrite the user's data.
var errArchivedField = errors.New("the document has a field " + archivedField + " of its own")

const markTime = "2006-01-02T15:04:05.000Z"

// appendMarked appends a document of the index with the mark of the change in
// the place of marks that it may have. A mark of another policy goes with them:
// the document was live in between.
func appendMarked(dst, source []byte, c *flow.Change, r *Route) ([]byte, error) {
	archived := r.fate(c) == fateMarkArchived
	ours := func(key, value []byte) (bool, error) {
		switch string(key) {
		case deletedField:
			return !archived || r.Delete == DeleteMark, nil
		case archivedField:
			if r.Archive == ArchiveMark && isArchivedMark(value) {
				return true, nil
			}
			if archived {
				return false, errArchivedField
			}
		}
		return false, nil
	}
	start := len(dst)
	s := scanner{b: source}
	dst = append(dst, '{')
	// A valid object can't fail by itself, and source came out of a decoder or
	// the transcoder.
	err := s.object(func(key []byte) error {
		value := s.skip()
		if is, err := ours(key, value); is || err != nil {
			return err
		}
		dst = append(append(append(dst, '"'), key...), `":`...)
		if bytes.IndexByte(value, '\n') >= 0 { // would end the line
			var b bytes.Buffer
			if json.Compact(&b, value) == nil {
				value = b.Bytes()
			}
		}
		dst = append(append(dst, value...), ',')
		return nil
	})
	if errors.Is(err, errArchivedField) {
		return dst[:start], err
	}
	if archived {
		return appendArchivedMark(dst, c), nil
	}
	return appendDeletedMark(dst, c), nil
}

// appendDeletedMark ends an object with the mark of a user's delete.
func appendDeletedMark(dst []byte, c *flow.Change) []byte {
	dst = append(dst, `"`+deletedField+`":{"at":"`...)
	return append(timeOf(c).AppendFormat(dst, markTime), `"}}`...)
}

// appendArchivedMark ends an object with the mark of an archive's delete.
func appendArchivedMark(dst []byte, c *flow.Change) []byte {
	at := c.Archived.At
	if at.IsZero() {
		at = timeOf(c)
	}
	dst = append(dst, `"`+archivedField+`":{"at":"`...)
	dst = append(at.UTC().AppendFormat(dst, markTime), `","rule":`...)
	dst = append(transcode.AppendString(dst, c.Archived.Rule), `,"object":`...)
	return append(transcode.AppendString(dst, c.Archived.Object), `}}`...)
}

// timeOf is the time of a change on the server.
func timeOf(c *flow.Change) time.Time {
	at := c.Time
	if at.IsZero() {
		at = flow.TimeOfVersion(c.Version)
	}
	return time.Unix(int64(at.T), 0).UTC()
}

// isArchivedMark tells whether a value is a mark of ours, and no field of the user's.
func isArchivedMark(value []byte) bool {
	var m map[string]json.RawMessage
	if json.Unmarshal(value, &m) != nil || len(m) != 3 {
		return false
	}
	for _, name := range [...]string{"at", "rule", "object"} {
		if raw, ok := m[name]; !ok || len(raw) == 0 || raw[0] != '"' {
			return false
		}
	}
	return true
}
