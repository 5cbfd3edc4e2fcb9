package mongo

import "go.mongodb.org/mongo-driver/v2/bson"

// holdBytes is how much of one transaction is held with its documents; beyond
// it only the keys are, and the documents are read again.
const holdBytes = 32 << 20

// hold keeps the events of a transaction whose end has not been seen (rule
// S1): all its changes of a key have to be in one batch, because they share a
// version. Only its token is not delivered, so a reopened stream sends it again.
type hold struct {
	events []bson.Raw
	bytes  int
	keys   bool // only keys are kept
	limit  int  // bytes; 0 is holdBytes
}

// add keeps more events.
func (h *hold) add(events []event) {
	limit := h.limit
	if limit == 0 {
		limit = holdBytes
	}
	for i := range events {
		h.events = append(h.events, events[i].raw)
		h.bytes += len(events[i].raw)
	}
	if !h.keys && h.bytes <= limit {
		return
	}
	// What is slim already stays; a copy of it costs little.
	from := 0
	if h.keys {
		from = len(h.events) - len(events)
	}
	h.keys = true
	for i := from; i < len(h.events); i++ {
		h.events[i] = slim(h.events[i])
	}
}

// take returns what was held and forgets it.
func (h *hold) take() []bson.Raw {
	e := h.events
	h.events, h.bytes, h.keys = nil, 0, false
	return e
}

// openTail returns how many events at the end of a reply belong to a
// transaction that may go on in the next one: they share the time of the last
// event, one of them carries a transaction, and the reply's own token is not
// past that time.
func openTail(events []event, end bson.Timestamp) int {
	if len(events) == 0 {
		return 0
	}
	t := events[len(events)-1].time
	if end.After(t) {
		return 0
	}
	n, txn := 0, false
	for i := len(events) - 1; i >= 0 && events[i].time.Equal(t); i-- {
		n++
		txn = txn || events[i].txn
	}
	if !txn {
		return 0
	}
	return n
}
