package mongo

import (
	"context"
	"log/slog"

	"sluice/internal/flow"
)

// control queues a control of ns, after the changes so far. It is the first
// thing at its event: a mark just before the event would not be wrong, and one
// after it is only settled with the control.
func (so *sorter) control(kind flow.ControlKind, ns flow.Namespace, e *event, before func(context.Context) error, onAck func()) error {
	v, err := timeOf(ns, e.time)
	if err != nil {
		return err
	}
	if len(so.changes) > 0 || len(so.owed) > 0 {
		so.flush(so.markHere())
	}
	// The mark stays before the event: a rename makes two controls, and a crash
	// between them must bring the event again.
	so.st.queue = append(so.st.queue, item{
		batch:  flow.Batch{Control: &flow.Control{Kind: kind, NS: ns, Time: e.time, Version: v}, After: e.time},
		mark:   so.markHere(),
		before: before, onAck: onAck,
	})
	return nil
}

// appear tells of a collection that was not there before: by its create event,
// or, from servers that send none, by its first document.
func (so *sorter) appear(ns flow.Namespace, e *event) error {
	uuid := uuidText(e.uuid)
	so.st.seen[ns] = uuid
	return so.control(flow.ControlCreated, ns, e, nil, func() {
		s := so.st.s
		s.bound[ns] = uuid
		if s.copies.paused[ns] {
			s.copies.schedule(ns, true)
		}
	})
}

// drop handles the end of a collection.
func (so *sorter) drop(e *event) error {
	t := so.st.target(e.ns)
	so.relatedGone(t)
	if !t.followed || so.stale(t.ns, e) {
		so.ignored++
		return nil
	}
	return so.dropped(t.ns, e)
}

// dropped queues the end of ns, if it was there.
func (so *sorter) dropped(ns flow.Namespace, e *event) error {
	s := so.st.s
	if _, seen := so.st.seen[ns]; !seen {
		return nil
	}
	delete(so.st.seen, ns)
	return so.control(flow.ControlDropped, ns, e,
		func(ctx context.Context) error { return s.end(ctx, ns) },
		func() {
			delete(s.bound, ns)
			s.related.unbar(ns)
		})
}

// stale tells whether a drop or rename concerns an older collection of that
// name than the one we know: the stream brings history again that we are past.
// What that history wrote is cleared away when the copy of the newer one ends.
func (so *sorter) stale(ns flow.Namespace, e *event) bool {
	known, seen := so.st.seen[ns]
	if !seen || known == "" || e.uuid == nil || known == uuidText(e.uuid) {
		return false
	}
	so.st.s.copies.expectGhosts(ns)
	return true
}

// rename handles both ends of a rename.
func (so *sorter) rename(e *event) error {
	from, to := so.st.target(e.ns), so.st.target(e.to)
	so.relatedGone(from)
	so.relatedGone(to)
	if !from.followed && !to.followed {
		so.ignored++
		return nil
	}
	if from.followed && !so.stale(from.ns, e) {
		if err := so.dropped(from.ns, e); err != nil {
			return err
		}
	}
	if !to.followed {
		return nil
	}
	return so.replaced(to.ns, e)
}

// replaced queues a copy of ns: another collection took its name, or it came
// with documents that have no events.
func (so *sorter) replaced(ns flow.Namespace, e *event) error {
	s, uuid := so.st.s, uuidText(e.uuid)
	if known := so.st.seen[ns]; known != "" && known == uuid {
		// We listed this very collection, after the rename: its copy is on the way.
		s.copies.expectGhosts(ns)
		return nil
	}
	so.st.seen[ns] = uuid
	if !s.sel.copies(ns) {
		s.log.Warn("a collection came into place with documents that have no events; it is not copied, so they are missing in the index",
			slog.String(flow.LogNS, ns.String()))
		return so.control(flow.ControlCreated, ns, e, nil, func() { s.bound[ns] = uuid })
	}
	return so.control(flow.ControlReplaced, ns, e,
		func(ctx context.Context) error { return s.end(ctx, ns) },
		func() {
			s.bound[ns] = uuid
			s.copies.schedule(ns, true)
			s.related.unbar(ns)
		})
}

// create handles a new collection.
func (so *sorter) create(e *event) error {
	t := so.st.target(e.ns)
	if !t.followed || e.view {
		so.ignored++
		return nil
	}
	if known, seen := so.st.seen[t.ns]; seen {
		if known != "" && known != uuidText(e.uuid) {
			so.st.s.copies.expectGhosts(t.ns)
		}
		return nil
	}
	if e.capped {
		return so.replaced(t.ns, e) // a clone has documents without events
	}
	return so.appear(t.ns, e)
}

// dropDatabase handles what is left of a database: its collections have had
// their own drop events.
func (so *sorter) dropDatabase(e *event) error {
	db := so.st.target(e.ns).ns.DB
	for _, c := range so.st.s.knownIn(db, so.st.seen) {
		if err := so.dropped(c, e); err != nil {
			return err
		}
	}
	return nil
}

// knownIn returns the namespaces of a database among seen, sorted.
func (s *Source) knownIn(db string, seen map[flow.Namespace]string) []flow.Namespace {
	var all []flow.Namespace
	for ns := range seen {
		if ns.DB == db {
			all = append(all, ns)
		}
	}
	sortNamespaces(all)
	return all
}

// announce queues the creation of a collection that is there already, for
// flows that copy nothing.
func (st *stream) announce(ns flow.Namespace, uuid string) {
	v, err := flow.VersionOf(st.at.time)
	if err != nil {
		return // the first change says so in a better place
	}
	st.queue = append(st.queue, item{
		batch: flow.Batch{Control: &flow.Control{Kind: flow.ControlCreated, NS: ns, Time: st.at.time, Version: v}, After: st.at.time},
		mark:  st.at,
		onAck: func() { st.s.bound[ns] = uuid },
	})
}
