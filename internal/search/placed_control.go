package search

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"sluice/internal/flow"
)

// applyPlaced is Apply where places come from templates. Indexes keep their refresh
// interval while a copy runs: they come and go with what it finds.
func (s *Sink) applyPlaced(ctx context.Context, c flow.Control) error {
	p := s.places
	switch c.Kind {
	case flow.ControlDropped:
		return s.droppedPlaced(ctx, c)
	case flow.ControlReplaced:
		p.setTrust(c.NS, doubtful)
	case flow.ControlCreated:
		return s.created(ctx, c.NS)
	case flow.ControlSnapshotBegin:
		p.setTrust(c.NS, doubtful)
		if err := s.Prepare(ctx, c.NS); err != nil {
			return err
		}
		n, err := s.countOf(ctx, c.NS)
		if err != nil {
			return err
		}
		if n == 0 {
			p.setTrust(c.NS, filling)
		}
	case flow.ControlSnapshotDone:
		_, err := s.settled(ctx, c.NS)
		return err
	}
	return nil
}

// created begins with a collection that is new: all of it comes by the stream.
func (s *Sink) created(ctx context.Context, ns flow.Namespace) error {
	if err := s.Prepare(ctx, ns); err != nil || s.places.trustOf(ns) != doubtful {
		return err
	}
	r, err := s.route(ns)
	if err != nil || !r.strict() {
		return err
	}
	n, err := s.countOf(ctx, ns)
	if err == nil && n == 0 {
		s.places.setTrust(ns, known)
	}
	return err
}

// preparePlaced looks at what is there of ns; where its documents have one index,
// that is made.
func (s *Sink) preparePlaced(ctx context.Context, ns flow.Namespace) error {
	if s.places.Prefix != nil {
		_, err := s.holdings(ctx, ns)
		return err
	}
	r, err := s.route(ns)
	if err == nil {
		_, err = s.placedTarget(ctx, ns, r.Index)
	}
	return err
}

// Trust says that each document of ns lies where its last change, or a copy, has
// put it: a copy has ended, and what MongoDB does not have is removed; copied says
// so. Or, at a start, none is under way. From then on documents are only looked for
// where the stream does not tell where they lay. Without templates it does nothing.
func (s *Sink) Trust(ctx context.Context, ns flow.Namespace, copied bool) error {
	p := s.places
	if p == nil {
		return nil
	}
	r, err := s.route(ns)
	if err != nil {
		return err
	}
	all, err := s.holdings(ctx, ns)
	if err != nil {
		return err
	}
	sure := r.strict()
	for _, h := range all {
		if h.meta.Places == p.textOf(&r) {
			continue
		}
		if !copied || p.Shared {
			sure = false // other templates have placed some of it
			continue
		}
		if err := s.restamp(ctx, h, p.textOf(&r)); err != nil {
			return err
		}
		sure = sure && h.meta.Places == p.textOf(&r)
	}
	if sure {
		p.setTrust(ns, known)
	} else {
		p.setTrust(ns, doubtful)
	}
	return nil
}

// restamp writes the templates of now into an index all of which was copied again.
func (s *Sink) restamp(ctx context.Context, h *holding, text string) error {
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	x, _, err := s.client.lookup(ctx, h.target.concrete)
	if err != nil || x == nil {
		return err
	}
	m := x.meta()
	if !m.isOurs(x.name, &s.client.opts) {
		return nil
	}
	m.Places = text
	if err := s.client.putMeta(ctx, x, m); err != nil {
		return err
	}
	s.places.mu.Lock()
	defer s.places.mu.Unlock()
	h.meta.Places = text
	return nil
}

// inspectPlaced tells what is there of a namespace whose index depends on the
// document: that one of its indexes is gone is no news.
func (s *Sink) inspectPlaced(ctx context.Context, ns flow.Namespace) (Target, error) {
	found, err := s.listHoldings(ctx, ns)
	if err != nil || len(found) == 0 {
		return Target{Scattered: true}, err
	}
	t := Target{Scattered: true, Exists: true, UUID: ScatteredUUID, Index: s.places.Prefix(ns) + "*"}
	t.Docs, err = s.countOf(ctx, ns)
	return t, err
}

// ScatteredUUID stands for the UUIDs of indexes that come and go.
const ScatteredUUID = "by template"

// scanPlaced is ScanIDs where places come from templates.
func (s *Sink) scanPlaced(ctx context.Context, ns flow.Namespace, r Route, f func(ids []string) error) error {
	return s.eachPlaced(ctx, ns, unmarked(r), func(page []foundHit) error {
		ids := make([]string, len(page))
		for i := range page {
			var err error
			if ids[i], err = page[i].key(); err != nil {
				return err
			}
		}
		return f(ids)
	})
}

// eachPlaced scans the documents of ns that fit query.
func (s *Sink) eachPlaced(ctx context.Context, ns flow.Namespace, query string, f func([]foundHit) error) error {
	all, err := s.settled(ctx, ns)
	if err != nil {
		return err
	}
	term, err := json.Marshal(map[string]any{"term": map[string]any{nsField: ns.String()}})
	if err != nil {
		return err
	}
	body := fmt.Sprintf(`{"size":%d,"version":true,"query":{"bool":{"filter":[%s,%s]}},"sort":["_doc"],"_source":["%s"]}`, scanPage, term, query, idField)
	for _, indexes := range names(all) {
		if err := scroll(ctx, s.client, indexes, indexes, body, "hits.hits", f); err != nil {
			return s.gone(err)
		}
	}
	return nil
}

// droppedPlaced follows the drop of a collection (rule S15): an index goes as a
// whole only if it is this namespace's alone, else the documents go, by version.
func (s *Sink) droppedPlaced(ctx context.Context, c flow.Control) error {
	r, err := s.route(c.NS)
	if err != nil || r.Drop != DropDocuments && r.Drop != DropIndex {
		return err
	}
	if err := s.waitForEarlier(ctx); err != nil {
		return err
	}
	all, err := s.listHoldings(ctx, c.NS) // who else has them, the engine knows
	if err != nil {
		return err
	}
	if r.Drop == DropIndex && !s.places.Shared {
		for _, h := range all {
			if !h.meta.Created || len(h.meta.Namespaces) != 1 {
				continue
			}
			if err := s.deleteIndex(ctx, c.NS, &indexInfo{name: h.target.concrete}); err != nil {
				return err
			}
			s.places.forget(h.target)
		}
	}
	n := 0
	err = s.eachPlaced(ctx, c.NS, `{"match_all":{}}`, func(page []foundHit) error {
		n += len(page)
		return s.deleteSpots(ctx, page, c.Version)
	})
	if err != nil {
		return err
	}
	s.client.log.LogAttrs(ctx, slog.LevelInfo, "the collection was dropped; its documents are deleted",
		slog.String(flow.LogNS, c.NS.String()), slog.Int(flow.LogCount, n))
	return nil
}

// deleteSpots deletes documents where they lie, whatever the policy of deletes is.
func (s *Sink) deleteSpots(ctx context.Context, page []foundHit, version int64) error {
	w := s.takeWriter()
	defer s.giveWriter(w)
	w.verdicts = make([]flow.Verdict, len(page))
	var last *target
	written := map[string]bool{}
	for i := range page {
		s.places.mu.Lock()
		h := s.places.held[page[i].Index]
		s.places.mu.Unlock()
		if h == nil {
			return &flow.Error{Op: "delete documents of", Object: page[i].Index, Class: flow.Transient, Err: errChanging}
		}
		last = h.target
		if w.path == nil {
			w.path = last
		}
		w.items = append(w.items, item{change: i, start: len(w.buf), target: last, del: true})
		w.actionAt(`{"delete":{`, last, page[i].ID, page[i].Routing, version)
		written[page[i].Index] = true
	}
	if len(w.items) == 0 {
		return nil
	}
	if err := w.send(ctx, 0, len(w.items)); err != nil {
		return err
	}
	s.places.soil(written)
	return judgeDeletes(last, w.verdicts)
}
