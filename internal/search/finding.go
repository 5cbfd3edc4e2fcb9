package search

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"sluice/internal/flow"
)

const (
	// findKeys is how many keys one search asks for, findHits the most hits that an
	// engine gives at one time.
	findKeys = 500
	findHits = 10_000
)

// spot is where a document was found.
type spot struct {
	target  *target
	id      string
	routing string
	version int64
	source  json.RawMessage
}

// is tells whether the document lies at a place whose target is t.
func (f *spot) is(t *target, at Place) bool {
	return f.target.concrete == t.concrete && f.id == at.ID && f.routing == at.Routing
}

// shares tells whether a document at that place may be the one that lies here: two
// routings may lead to one shard, where an id is there once.
func (f *spot) shares(t *target, at Place) bool {
	return f.target.concrete == t.concrete && f.id == at.ID
}

// find returns where the documents of keys lie, by the text of the key. It sees all
// that was answered before, of this process and of any before it.
func (s *Sink) find(ctx context.Context, ns flow.Namespace, keys []string, source bool) (map[string][]spot, error) {
	out := make(map[string][]spot, len(keys))
	if len(keys) == 0 {
		return out, nil
	}
	all, err := s.settled(ctx, ns)
	if err != nil {
		return nil, err
	}
	for _, indexes := range names(all) {
		for from := 0; from < len(keys); from += findKeys {
			if err := s.findIn(ctx, ns, indexes, keys[from:min(from+findKeys, len(keys))], source, out); err != nil {
				return nil, s.gone(err)
			}
		}
	}
	return out, nil
}

// settled returns the indexes of ns when a search in them sees all that was answered.
func (s *Sink) settled(ctx context.Context, ns flow.Namespace) ([]*holding, error) {
	if err := s.waitForEarlier(ctx); err != nil {
		return nil, err
	}
	all, err := s.holdings(ctx, ns)
	if err != nil {
		return nil, err
	}
	p := s.places
	select {
	case p.looking <- struct{}{}:
		defer func() { <-p.looking }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	var dirty []*holding
	p.mu.Lock()
	for _, h := range all {
		if h.dirty {
			dirty = append(dirty, h)
			h.dirty = false
		}
	}
	p.mu.Unlock()
	for _, indexes := range names(dirty) {
		var ans struct {
			Shards struct {
				Failed int `json:"failed"`
			} `json:"_shards"`
		}
		err := s.client.call(ctx, "refresh indexes", indexes, post("/"+indexes+"/_refresh", nil), &ans)
		if err == nil && ans.Shards.Failed > 0 {
			err = &flow.Error{Op: "refresh indexes", Object: indexes, Class: flow.Transient, Err: errShards}
		}
		if err != nil {
			p.mu.Lock()
			for _, h := range dirty {
				h.dirty = true
			}
			p.mu.Unlock()
			return nil, s.gone(err)
		}
	}
	return all, nil
}

// findIn asks some indexes for some keys, in halves if they bring too much.
func (s *Sink) findIn(ctx context.Context, ns flow.Namespace, indexes string, keys []string, source bool, out map[string][]spot) error {
	filter := any([]string{idField})
	if source {
		filter = true
	}
	body, err := json.Marshal(map[string]any{
		"size": findHits, "version": true, "track_total_hits": false, "_source": filter,
		"query": map[string]any{"bool": map[string]any{"filter": []any{
			map[string]any{"term": map[string]any{nsField: ns.String()}},
			map[string]any{"terms": map[string]any{idField: keys}},
		}}},
	})
	if err != nil {
		return err
	}
	var page struct {
		TimedOut bool `json:"timed_out"`
		Shards   struct {
			Failed int `json:"failed"`
		} `json:"_shards"`
		Hits struct {
			Hits []foundHit `json:"hits"`
		} `json:"hits"`
	}
	err = s.client.call(ctx, "look for documents in", indexes, post("/"+indexes+"/_search?allow_partial_search_results=false", body), &page)
	if (errors.Is(err, errAnswerTooLarge) || err == nil && len(page.Hits.Hits) >= findHits) && len(keys) > 1 {
		half := len(keys) / 2
		if err := s.findIn(ctx, ns, indexes, keys[:half], source, out); err != nil {
			return err
		}
		return s.findIn(ctx, ns, indexes, keys[half:], source, out)
	}
	if err == nil && (page.TimedOut || page.Shards.Failed > 0) {
		err = &flow.Error{Op: "look for documents in", Object: indexes, Class: flow.Transient, Err: errShards}
	}
	if err != nil {
		return err
	}
	for i := range page.Hits.Hits {
		if err := s.note(&page.Hits.Hits[i], source, out); err != nil {
			return err
		}
	}
	return nil
}

// foundHit is a hit with where it lies.
type foundHit struct {
	Index   string          `json:"_index"`
	ID      string          `json:"_id"`
	Routing string          `json:"_routing"`
	Version int64           `json:"_version"`
	Source  json.RawMessage `json:"_source"`
}

// key is the text of the key of the document.
func (h *foundHit) key() (string, error) {
	var lead map[string]json.RawMessage
	var key string
	if json.Unmarshal(h.Source, &lead) != nil || json.Unmarshal(lead[idField], &key) != nil {
		return "", &flow.Error{
			Op: "look for documents in", Object: h.Index, Class: flow.Config,
			Err: errors.New("a document shows no " + idField), Hint: "templates (index, id, routing) need _source in the index: take _source out of mappings",
		}
	}
	return key, nil
}

func (s *Sink) note(h *foundHit, source bool, out map[string][]spot) error {
	key, err := h.key()
	if err != nil {
		return err
	}
	s.places.mu.Lock()
	held := s.places.held[h.Index]
	s.places.mu.Unlock()
	if held == nil {
		return &flow.Error{Op: "look for documents in", Object: h.Index, Class: flow.Transient, Err: errChanging}
	}
	one := spot{target: held.target, id: h.ID, routing: h.Routing, version: h.Version - s.scheme.offset}
	if source {
		one.source = h.Source
	}
	out[key] = append(out[key], one)
	return nil
}

// countOf returns how many documents of ns the flow's indexes hold.
func (s *Sink) countOf(ctx context.Context, ns flow.Namespace) (int64, error) {
	all, err := s.settled(ctx, ns)
	if err != nil {
		return 0, err
	}
	body, err := json.Marshal(map[string]any{"query": map[string]any{"term": map[string]any{nsField: ns.String()}}})
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, indexes := range names(all) {
		var n struct {
			Count  int64 `json:"count"`
			Shards struct {
				Failed int `json:"failed"`
			} `json:"_shards"`
		}
		r := &request{method: http.MethodPost, path: "/" + indexes + "/_count", body: body}
		if err := s.client.call(ctx, "count documents of", indexes, r, &n); err != nil {
			return 0, s.gone(err)
		}
		if n.Shards.Failed > 0 {
			return 0, &flow.Error{Op: "count documents of", Object: indexes, Class: flow.Transient, Err: errShards}
		}
		sum += n.Count
	}
	return sum, nil
}
