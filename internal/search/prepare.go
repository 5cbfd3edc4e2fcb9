package search

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"

	"sluice/internal/flow"
)

// target is an index that is ready to be written.
type target struct {
	ns    flow.Namespace
	route Route
	// name is what writes name; alias tells whether it is one.
	name  string
	alias bool
	// concrete and uuid are those of the index behind it.
	concrete, uuid string
	// mixed is what the action line of a document says of its index in a body
	// whose path names another.
	mixed []byte
}

// entry holds the target of a namespace once it is prepared.
type entry struct{ ready atomic.Pointer[target] }

func newTarget(ns flow.Namespace, r Route, x *indexInfo, alias bool) *target {
	t := &target{ns: ns, route: r, name: r.Index, alias: alias, concrete: x.name, uuid: x.uuid()}
	name, _ := json.Marshal(r.Index)
	t.mixed = append(append([]byte(`"_index":`), name...), `,"require_alias":`...)
	if alias {
		t.mixed = append(t.mixed, "true,"...)
	} else {
		t.mixed = append(t.mixed, "false,"...)
	}
	return t
}

// entry returns the place of ns.
func (s *Sink) entry(ns flow.Namespace) *entry {
	if e, ok := s.targets.Load(ns); ok {
		return e.(*entry)
	}
	e, _ := s.targets.LoadOrStore(ns, &entry{})
	return e.(*entry)
}

// Prepare makes the index of ns ready for writes: it creates it behind its
// alias if there is none, and refuses one that belongs to somebody else. Write
// does so by itself before the first document of a namespace; calling it again
// costs nothing until the index was dropped. Errors are *flow.Error.
func (s *Sink) Prepare(ctx context.Context, ns flow.Namespace) error {
	if s.places != nil {
		return s.preparePlaced(ctx, ns)
	}
	if s.streams != nil {
		_, err := s.backing(ctx, ns)
		return err
	}
	_, err := s.target(ctx, ns)
	return err
}

// lock lets one at a time change indexes: what we keep in a _meta is read,
// changed and written, and two namespaces may share an index.
func (s *Sink) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case s.preparing <- struct{}{}:
		return func() { <-s.preparing }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// target returns the prepared target of ns.
func (s *Sink) target(ctx context.Context, ns flow.Namespace) (*target, error) {
	e := s.entry(ns)
	if t := e.ready.Load(); t != nil {
		return t, nil
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if t := e.ready.Load(); t != nil {
		return t, nil
	}
	r, err := s.route(ns)
	if err != nil {
		return nil, err
	}
	t, err := s.prepare(ctx, ns, r)
	if err != nil {
		return nil, err
	}
	e.ready.Store(t)
	return t, nil
}

func (s *Sink) prepare(ctx context.Context, ns flow.Namespace, r Route) (*target, error) {
	for range 3 { // what was looked up may change before it is used
		x, alias, err := s.client.lookup(ctx, r.Index)
		if err != nil {
			return nil, err
		}
		if x == nil {
			created, err := s.create(ctx, ns, &r)
			if err != nil {
				return nil, err
			}
			if created {
				s.client.log.LogAttrs(ctx, slog.LevelInfo, "index is there", slog.String(flow.LogNS, ns.String()), slog.String(flow.LogIndex, r.Index))
			}
			continue
		}
		if err := s.claim(ctx, ns, x); err != nil {
			return nil, err
		}
		if err := s.ensureField(ctx, x); err != nil {
			return nil, err
		}
		return newTarget(ns, r, x, alias), nil
	}
	return nil, &flow.Error{Op: "prepare index", Object: r.Index, Class: flow.Transient, Err: errChanging}
}

// claim checks whose index it is, and writes our name and the namespace into
// its _meta if they are not there.
func (s *Sink) claim(ctx context.Context, ns flow.Namespace, x *indexInfo) error {
	o := &s.client.opts
	m := x.meta()
	if err := s.claimPlaces(ns, x, m); err != nil && (m == nil || m.isOurs(x.name, o)) {
		return err
	}
	if m == nil {
		m = &meta{Format: metaFormat, Scheme: s.scheme.name, Flow: o.Flow}
	} else if err := m.check(x.name, o); err != nil {
		return err
	}
	if m.has(ns) && (m.Source != "" || o.Source == "") {
		return nil
	}
	if !m.has(ns) {
		m.Namespaces = append(slices.Clone(m.Namespaces), ns.String())
	}
	if m.Source == "" {
		m.Source = o.Source
	}
	err := s.client.putMeta(ctx, x, m)
	if e := apiErrorOf(err); s.scheme.monstache && e.Status == http.StatusForbidden {
		// Whoever wrote it until now needed no right to mappings.
		s.client.log.LogAttrs(ctx, slog.LevelInfo, "the index is not marked as this flow's, so it will not be deleted when its collection is dropped",
			slog.String(flow.LogIndex, x.name), slog.String(flow.LogReason, e.Error()))
		return nil
	}
	return err
}

// Inspect tells what is there of the index of ns, without changing it.
func (s *Sink) Inspect(ctx context.Context, ns flow.Namespace) (Target, error) {
	r, err := s.route(ns)
	if err != nil {
		return Target{}, err
	}
	if s.places != nil && s.places.Prefix != nil {
		return s.inspectPlaced(ctx, ns)
	}
	if s.streams != nil {
		return s.inspectStream(ctx, ns, r)
	}
	x, _, err := s.client.lookup(ctx, r.Index)
	if err != nil || x == nil {
		return Target{}, err
	}
	t := Target{Index: x.name, UUID: x.uuid(), Exists: true, Shared: x.meta().sharedBeside(ns), Closed: x.setting("index.verified_before_close") == "true"}
	for _, block := range []string{"write", "read_only", "read_only_allow_delete"} {
		t.ReadOnly = t.ReadOnly || x.setting("index.blocks."+block) == "true"
	}
	if t.Closed {
		return t, nil
	}
	t.Docs, err = s.client.count(ctx, x.name)
	return t, err
}

// count returns how many documents an index holds.
func (c *Client) count(ctx context.Context, index string) (int64, error) {
	if err := c.refresh(ctx, index); err != nil {
		return 0, err
	}
	var n struct {
		Count  int64 `json:"count"`
		Shards struct {
			Failed int `json:"failed"`
		} `json:"_shards"`
	}
	err := c.call(ctx, "count documents of", index, get("/"+url.PathEscape(index)+"/_count"), &n)
	if e := apiErrorOf(err); e.Status == http.StatusBadRequest && e.Type == "index_closed_exception" {
		return 0, nil
	}
	if err == nil && n.Shards.Failed > 0 {
		return 0, &flow.Error{Op: "count documents of", Object: index, Class: flow.Transient, Err: errShards}
	}
	return n.Count, err
}
