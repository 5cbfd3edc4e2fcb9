package flow

import "go.mongodb.org/mongo-driver/v2/bson"

// Before is what a document was just before a change, and before each of those that
// were merged into it: whoever knows where it lay then knows where it may have to
// be removed (rule S14). It is never written after it is made.
type Before struct {
	// Docs are the documents; none says that there was no document.
	Docs []bson.Raw
}

// With returns what is known of two changes that become one; nil if nothing is
// known of one of them.
func (b *Before) With(other *Before) *Before {
	switch {
	case b == nil || other == nil:
		return nil
	case len(b.Docs) == 0:
		return other
	case len(other.Docs) == 0:
		return b
	}
	docs := make([]bson.Raw, 0, len(b.Docs)+len(other.Docs))
	return &Before{Docs: append(append(docs, b.Docs...), other.Docs...)}
}
