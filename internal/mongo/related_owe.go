package mongo

import (
	"context"

	"sluice/internal/flow"
)

// owe notes what the change of a document owes to those that show it. The key of
// every event is enough for that, also of a delete.
func (so *sorter) owe(t *target, e *event) error {
	if len(t.related) == 0 {
		return nil
	}
	id, _, err := e.documentKey()
	if err != nil {
		return unreadable(err)
	}
	for _, r := range t.related {
		so.owed = append(so.owed, owing{r, id})
		so.owing++
	}
	return nil
}

// relatedGone queues the copies of what shows documents of a collection that was
// dropped, renamed or replaced. The mark stays before the event: after a crash it
// comes again.
func (so *sorter) relatedGone(t *target) {
	if len(t.related) == 0 {
		return
	}
	if len(so.changes) > 0 || len(so.owed) > 0 {
		so.flush(so.markHere())
	}
	s, ns := so.st.s, t.ns
	so.st.queue = append(so.st.queue, item{mark: so.markHere(), onAck: func() { s.related.replaced(ns) }})
}

// end ends all reading of ns, and holds back what is owed to it, until the
// control that tells of its drop is acked.
func (s *Source) end(ctx context.Context, ns flow.Namespace) error {
	s.related.bar(ns)
	return s.copies.abandon(ctx, ns)
}
