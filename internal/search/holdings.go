package search

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sluice/internal/flow"
)

const hintPlaces = "give the flow another index (index, index_prefix), or delete this one and start with --resync, which fills new ones"

// placedTarget returns the prepared target of one index of ns.
func (s *Sink) placedTarget(ctx context.Context, ns flow.Namespace, index string) (*target, error) {
	p := s.places
	key := placeKey{ns, index}
	if t, ok := p.ready.Load(key); ok {
		return t.(*target), nil
	}
	if _, err := s.holdings(ctx, ns); err != nil { // before there is a new one
		return nil, err
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if t, ok := p.ready.Load(key); ok {
		return t.(*target), nil
	}
	r, err := s.route(ns)
	if err != nil {
		return nil, err
	}
	if p.Prefix != nil {
		r.Index = index
	}
	t, err := s.prepare(ctx, ns, r)
	if err != nil {
		return nil, err
	}
	p.hold(t, ns, p.textOf(&r))
	p.ready.Store(key, t)
	return t, nil
}

// hold takes a prepared target into the holdings.
func (p *places) hold(t *target, ns flow.Namespace, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.held[t.concrete]
	if h == nil {
		h = &holding{target: ownName(t), alias: t.name, meta: meta{Places: text, Created: true}, dirty: true}
		p.held[t.concrete] = h
	}
	if !h.meta.has(ns) {
		h.meta.Namespaces = append(slices.Clone(h.meta.Namespaces), ns.String())
	}
}

// ownName is the target by the name of the index itself.
func ownName(t *target) *target {
	r := t.route
	r.Index = t.concrete
	return newTarget(t.ns, r, &indexInfo{name: t.concrete, Settings: map[string]any{"index.uuid": t.uuid}}, false)
}

// holdings returns the indexes that may hold documents of ns, sorted by name.
func (s *Sink) holdings(ctx context.Context, ns flow.Namespace) ([]*holding, error) {
	p := s.places
	p.mu.Lock()
	loaded := p.loaded[ns]
	p.mu.Unlock()
	if !loaded {
		found, err := s.listHoldings(ctx, ns)
		if err != nil {
			return nil, err
		}
		p.mu.Lock()
		for name, h := range found {
			if p.held[name] == nil {
				p.held[name] = h
			}
		}
		p.loaded[ns] = true
		p.mu.Unlock()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*holding
	for _, name := range slices.Sorted(maps.Keys(p.held)) {
		if p.mayHold(&p.held[name].meta, ns) {
			out = append(out, p.held[name])
		}
	}
	return out, nil
}

// mayHold tells whether an index of the flow may hold documents of ns. Which
// namespaces share an index its _meta does not tell for sure: a mapping that grows
// at the same time puts back the _meta that it knew.
func (p *places) mayHold(m *meta, ns flow.Namespace) bool { return p.Shared || m.has(ns) }

// listHoldings asks the engine which indexes of the flow hold documents of ns.
// Those of others are passed over; one of ours that was filled without templates
// is refused, for its documents can't be found.
func (s *Sink) listHoldings(ctx context.Context, ns flow.Namespace) (map[string]*holding, error) {
	r, err := s.route(ns)
	if err != nil {
		return nil, err
	}
	pattern := r.Index
	if s.places.Prefix != nil {
		pattern = s.places.Prefix(ns) + "*"
	}
	path := "/" + url.PathEscape(pattern) + "?expand_wildcards=all&flat_settings=true&filter_path=*.aliases,*.mappings._meta,*.settings,*.data_stream"
	var all map[string]*indexInfo
	if err := s.client.call(ctx, "look up indexes", pattern, get(path), &all); err != nil && apiErrorOf(err).Status != http.StatusNotFound {
		return nil, err
	}
	found := map[string]*holding{}
	for name, x := range all {
		x.name = name
		m := x.meta()
		if !m.isOurs(name, &s.client.opts) || !s.places.mayHold(m, ns) {
			continue
		}
		if m.Places == "" {
			return nil, &flow.Error{
				Op: "use index", Object: name, Class: flow.Config, Hint: hintPlaces,
				Err: fmt.Errorf("it holds documents of %s that were written without templates, and could not be found when they move", ns),
			}
		}
		own := r
		own.Index = name
		h := &holding{target: newTarget(ns, own, x, false), meta: *m, dirty: true}
		if cut := len(name) - len("-000001"); cut > 0 {
			h.alias = name[:cut]
		}
		found[name] = h
	}
	return found, nil
}

// exists tells whether the flow has an index behind that name.
func (s *Sink) placeExists(ctx context.Context, ns flow.Namespace, index string) (bool, error) {
	all, err := s.holdings(ctx, ns)
	return slices.ContainsFunc(all, func(h *holding) bool { return h.alias == index }), err
}

// claimPlaces refuses an index that can't hold places, or holds nothing else.
func (s *Sink) claimPlaces(ns flow.Namespace, x *indexInfo, m *meta) error {
	refuse := func(format string, args ...any) *flow.Error {
		return &flow.Error{Op: "use index", Object: x.name, Class: flow.Config, Err: fmt.Errorf(format, args...), Hint: hintPlaces}
	}
	if s.places == nil {
		if m != nil && m.Places != "" {
			return refuse("its documents were placed by templates (index, id, routing), and the flow has none now")
		}
		return nil
	}
	switch {
	case m == nil || !m.Created:
		return refuse("sluice has not made it: documents that move could not be found in it")
	case m.Places == "":
		return refuse("it was filled without templates (index, id, routing): its documents could not be found when they move")
	case s.places.Shared:
		return nil
	}
	for _, other := range m.Namespaces {
		if other != ns.String() {
			e := refuse("%s and %s would share it, where each could overwrite the other's documents", other, ns)
			e.Hint = "put {db} and {collection} into the flow's id, or into its index so that the names stay apart"
			return e
		}
	}
	return nil
}

// names joins the names of some indexes for a path.
func names(all []*holding) []string {
	out := make([]string, len(all))
	for i, h := range all {
		out[i] = h.target.name
	}
	return pathsOf(out)
}

// gone makes that an index is missing, or closed, a failure that passes: what is
// there is looked up again.
func (s *Sink) gone(err error) error {
	e := apiErrorOf(err)
	switch {
	case e.Status == http.StatusNotFound:
		s.places.mu.Lock()
		clear(s.places.loaded)
		clear(s.places.held)
		s.places.mu.Unlock()
		s.places.ready.Clear()
	case e.Type == "index_closed_exception", strings.Contains(e.Reason, "closed"):
		return &flow.Error{Op: "look for documents in", Object: "closed index", Class: flow.Transient, Err: errors.Join(e), Hint: hintClosed}
	default:
		return err
	}
	return &flow.Error{Op: "look for documents in", Object: "an index that is gone", Class: flow.Transient, Err: e}
}
