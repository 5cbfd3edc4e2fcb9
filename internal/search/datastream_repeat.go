package search

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"

	"sluice/internal/flow"
	"sluice/internal/transcode"
)

// repeats returns which of keys the older indexes of a data stream hold: they are
// there. Where one lies in several indexes, which is what a kill between two steps
// leaves, all but the oldest are taken out.
func (s *Sink) repeats(ctx context.Context, ns flow.Namespace, keys []string) (map[string]bool, error) {
	b, err := s.settledStream(ctx, ns)
	if err != nil {
		return nil, err
	}
	lie := map[string][]string{} // by key: the indexes
	for _, indexes := range pathsOf(b.older) {
		for from := 0; from < len(keys); from += findKeys {
			if err := s.repeatsIn(ctx, indexes, keys[from:min(from+findKeys, len(keys))], lie); err != nil {
				if apiErrorOf(err).Status == http.StatusNotFound { // an old one went
					s.streams.stale(ns, b)
					err = &flow.Error{Op: "look for documents in", Object: b.target.name, Class: flow.Transient, Err: errChanging}
				}
				return nil, err
			}
		}
	}
	found := make(map[string]bool, len(lie))
	var there []string
	for key := range lie {
		found[key] = true
		there = append(there, key)
	}
	if len(there) == 0 {
		return found, nil
	}
	last, err := s.holds(ctx, b.target.concrete, there)
	if err != nil {
		return nil, err
	}
	for i, key := range there {
		if last[i] {
			lie[key] = append(lie[key], b.target.concrete)
		}
	}
	return found, s.takeOut(ctx, ns, b, lie)
}

// settledStream returns the data stream of ns when a search in its older indexes sees
// all that can be there.
func (s *Sink) settledStream(ctx context.Context, ns flow.Namespace) (*backing, error) {
	if err := s.waitForEarlier(ctx); err != nil {
		return nil, err
	}
	select {
	case s.streams.looking <- struct{}{}:
		defer func() { <-s.streams.looking }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	b, err := s.backing(ctx, ns)
	if err != nil {
		return nil, err
	}
	var dirty []string
	s.streams.mu.Lock()
	for _, name := range b.older {
		if b.dirty[name] {
			dirty = append(dirty, name)
			delete(b.dirty, name)
		}
	}
	s.streams.mu.Unlock()
	for _, indexes := range pathsOf(dirty) {
		var ans struct {
			Shards struct {
				Failed int `json:"failed"`
			} `json:"_shards"`
		}
		err := s.client.call(ctx, "refresh indexes of data stream", b.target.name, post("/"+indexes+"/_refresh", nil), &ans)
		if err == nil && ans.Shards.Failed > 0 {
			err = &flow.Error{Op: "refresh indexes of data stream", Object: b.target.name, Class: flow.Transient, Err: errShards}
		}
		if err == nil {
			continue
		}
		s.streams.soil(ns)
		if apiErrorOf(err).Status == http.StatusNotFound {
			s.streams.stale(ns, b)
			err = &flow.Error{Op: "refresh indexes of data stream", Object: b.target.name, Class: flow.Transient, Err: errChanging}
		}
		return nil, err
	}
	return b, nil
}

// repeatsIn notes which indexes hold which keys; in halves if they are too many.
func (s *Sink) repeatsIn(ctx context.Context, indexes string, keys []string, lie map[string][]string) error {
	body, err := json.Marshal(map[string]any{
		"size": findHits, "track_total_hits": false, "_source": false,
		"query": map[string]any{"ids": map[string]any{"values": keys}},
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
			Hits []hitAt `json:"hits"`
		} `json:"hits"`
	}
	err = s.client.call(ctx, "look for documents in", indexes,
		post("/"+indexes+"/_search?allow_partial_search_results=false&filter_path=timed_out,_shards.failed,hits.hits._index,hits.hits._id", body), &page)
	switch {
	case err != nil:
		return err
	case page.TimedOut || page.Shards.Failed > 0:
		return &flow.Error{Op: "look for documents in", Object: indexes, Class: flow.Transient, Err: errShards}
	case len(page.Hits.Hits) >= findHits && len(keys) > 1:
		half := len(keys) / 2
		if err := s.repeatsIn(ctx, indexes, keys[:half], lie); err != nil {
			return err
		}
		return s.repeatsIn(ctx, indexes, keys[half:], lie)
	}
	for _, h := range page.Hits.Hits {
		lie[h.ID] = append(lie[h.ID], h.Index)
	}
	return nil
}

// hitAt is a hit of which only the place matters.
type hitAt struct {
	Index string `json:"_index"`
	ID    string `json:"_id"`
}

// holds tells which of keys an index holds, whether a search sees them or not.
func (s *Sink) holds(ctx context.Context, index string, keys []string) ([]bool, error) {
	body, err := json.Marshal(map[string]any{"ids": keys})
	if err != nil {
		return nil, err
	}
	var out struct {
		Docs []struct {
			Found bool       `json:"found"`
			Error *errorBody `json:"error"`
		} `json:"docs"`
	}
	if err := s.client.call(ctx, "look for documents in", index, post("/"+url.PathEscape(index)+"/_mget?realtime=true&_source=false", body), &out); err != nil {
		return nil, err
	}
	if len(out.Docs) != len(keys) {
		return nil, &flow.Error{Op: "look for documents in", Object: index, Class: flow.Transient, Err: errTorn}
	}
	found := make([]bool, len(keys))
	for i, d := range out.Docs {
		if d.Error != nil {
			return nil, &flow.Error{Op: "look for documents in", Object: index, Class: flow.Transient, Err: d.Error.apiError(mgetStatus(d.Error.Type))}
		}
		found[i] = d.Found
	}
	return found, nil
}

// takeOut removes all but the oldest of each document that lies in several indexes.
func (s *Sink) takeOut(ctx context.Context, ns flow.Namespace, b *backing, lie map[string][]string) error {
	w := s.takeWriter()
	defer s.giveWriter(w)
	order := append(slices.Clone(b.older), b.target.concrete)
	w.path = b.target
	for key, in := range lie {
		if len(in) < 2 {
			continue
		}
		slices.SortFunc(in, func(x, y string) int { return slices.Index(order, x) - slices.Index(order, y) })
		for _, index := range in[1:] {
			x := &indexInfo{name: index}
			r := b.target.route
			r.Index = index
			w.items = append(w.items, item{change: len(w.items), start: len(w.buf), target: newTarget(ns, r, x, false), del: true})
			line := transcode.AppendString(append(w.buf, `{"delete":{"_index":`...), index)
			w.buf = append(transcode.AppendString(append(line, `,"_id":`...), key), "}}\n"...)
			s.streams.wrote(ns, index)
		}
	}
	if len(w.items) == 0 {
		return nil
	}
	w.verdicts = make([]flow.Verdict, len(w.items))
	if err := w.send(ctx, 0, len(w.items)); err != nil {
		return err
	}
	return judgeDeletes(b.target, w.verdicts)
}

// pathsOf joins names of indexes for a path; each part is short enough for a URL.
func pathsOf(all []string) []string {
	const most = 3000
	var out []string
	for _, name := range all {
		name = url.PathEscape(name)
		if n := len(out) - 1; n >= 0 && len(out[n])+len(name) < most {
			out[n] += "," + name
			continue
		}
		out = append(out, name)
	}
	return out
}
