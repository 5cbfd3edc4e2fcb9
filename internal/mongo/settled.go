package mongo

import "go.mongodb.org/mongo-driver/v2/bson"

// Settled returns the time up to which every change is settled, inclusive, with
// what it owes to related documents. false: nothing is yet, or no changes are
// followed. It says nothing of copies.
func (s *Source) Settled() (bson.Timestamp, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	low, ok := s.stream.low()
	if !ok || s.sel.streamed.none || s.related.open() {
		return bson.Timestamp{}, false
	}
	return low.passed, true
}
