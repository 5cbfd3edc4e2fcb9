package search

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"

	"sluice/internal/flow"
)

// dropped follows the drop of a collection, by the policy of its route (rule
// S15). An index goes only if we made it, for this namespace alone, and it is
// the only one behind our alias; else the documents go, by version. With
// ProfileMonstache a plain index goes whoever made it, as it does there.
func (s *Sink) dropped(ctx context.Context, c flow.Control) error {
	r, err := s.route(c.NS)
	if err != nil {
		return err
	}
	if r.Drop != DropDocuments && r.Drop != DropIndex {
		return nil
	}
	x, alias, err := s.client.lookup(ctx, r.Index)
	if err != nil || x == nil {
		return err
	}
	log := s.client.log.With(slog.String(flow.LogNS, c.NS.String()), slog.String(flow.LogIndex, x.name))
	m := x.meta()
	if !m.isOurs(x.name, &s.client.opts) || !m.has(c.NS) {
		log.LogAttrs(ctx, slog.LevelWarn, "the collection was dropped; its index is not this flow's and stays as it is")
		return nil
	}
	if len(m.Namespaces) > 1 {
		log.LogAttrs(ctx, slog.LevelWarn, "the collection was dropped; its index holds documents of other collections too and stays as it is")
		return nil
	}
	if r.Drop == DropIndex && (alias && m.Created || !alias && s.scheme.monstache) {
		return s.deleteIndex(ctx, c.NS, x)
	}
	return s.deleteDocuments(ctx, c, x)
}

// deleteIndex deletes one index by its exact name. The next write makes a new one.
func (s *Sink) deleteIndex(ctx context.Context, ns flow.Namespace, x *indexInfo) error {
	err := s.client.call(ctx, "delete index", x.name, del("/"+url.PathEscape(x.name)), nil)
	if err != nil && apiErrorOf(err).Status != http.StatusNotFound {
		return err
	}
	s.entry(ns).ready.Store(nil)
	s.client.log.LogAttrs(ctx, slog.LevelInfo, "the collection was dropped; its index is deleted",
		slog.String(flow.LogNS, ns.String()), slog.String(flow.LogIndex, x.name))
	return nil
}

// deleteDocuments deletes every document of an index at the version of the
// drop: what was written after it stays.
func (s *Sink) deleteDocuments(ctx context.Context, c flow.Control, x *indexInfo) error {
	if err := s.client.refresh(ctx, x.name); err != nil {
		return err
	}
	t, err := s.target(ctx, c.NS)
	if err != nil {
		return err
	}
	n := 0
	err = s.client.scan(ctx, x.name, `{"match_all":{}}`, false, func(page []hit) error {
		n += len(page)
		return s.deletePage(ctx, t, page, c.Version)
	})
	if err != nil {
		return err
	}
	s.client.log.LogAttrs(ctx, slog.LevelInfo, "the collection was dropped; its documents are deleted",
		slog.String(flow.LogNS, c.NS.String()), slog.Int(flow.LogCount, n))
	return s.client.refresh(ctx, x.name)
}

// deletePage deletes documents by id, whatever the policy of deletes is.
func (s *Sink) deletePage(ctx context.Context, t *target, page []hit, version int64) error {
	w := s.takeWriter()
	defer s.giveWriter(w)
	w.changes = make([]flow.Change, len(page))
	w.verdicts = make([]flow.Verdict, len(page))
	w.path = t
	for i := range page {
		w.id = append(w.id[:0], page[i].ID...)
		w.items = append(w.items, item{change: i, start: len(w.buf), target: t, del: true})
		w.action(`{"delete":{`, t, version)
	}
	if err := w.send(ctx, 0, len(w.items)); err != nil {
		return err
	}
	return judgeDeletes(t, w.verdicts)
}

// judgeDeletes is the error for deletes that are not all done.
func judgeDeletes(t *target, verdicts []flow.Verdict) error {
	for _, v := range verdicts {
		switch v.Outcome {
		case flow.Done, flow.Superseded:
		case flow.Retry:
			return &flow.Error{Op: "delete documents of", Object: t.ns.String(), Class: flow.Transient, Err: v.Err}
		default:
			if v.Err == nil {
				v.Err = errors.New("the engine refuses it")
			}
			return &flow.Error{Op: "delete documents of", Object: t.ns.String(), Class: flow.Fatal, Err: v.Err}
		}
	}
	return nil
}
