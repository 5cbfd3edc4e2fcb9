package search

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// streamEngine is an engine in memory, as far as one data stream needs one: backing
// indexes that keep ids apart each for itself, and searches that see only what was
// refreshed.
type streamEngine struct {
	t testing.TB

	mu      sync.Mutex
	name    string
	indexes []*streamIndex // none: there is no data stream
	made    int
	calls   []string
	// before is called with each bulk before it is carried out; true loses the answer.
	before func() bool
	// after is called before each request but bulks.
	after func(path string)
}

type streamIndex struct {
	name       string
	meta       json.RawMessage
	live, seen map[string]string
}

func (e *streamEngine) rollover() {
	e.made++
	e.indexes = append(e.indexes, &streamIndex{name: fmt.Sprintf(".ds-%s-%06d", e.name, e.made), live: map[string]string{}, seen: map[string]string{}})
}

func (e *streamEngine) find(name string) *streamIndex {
	i := slices.IndexFunc(e.indexes, func(x *streamIndex) bool { return x.name == name })
	if i < 0 {
		return nil
	}
	return e.indexes[i]
}

func (e *streamEngine) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		_ = r.Body.Close()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, r.Method+" "+r.URL.Path)
	if e.after != nil && !strings.HasSuffix(r.URL.Path, "/_bulk") {
		e.after(r.URL.Path)
	}
	status, answer := e.answer(r, body)
	if status == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	resp := respond(r, []byte(answer))
	resp.StatusCode = status
	return resp, nil
}

const noIndex = `{"error":{"type":"index_not_found_exception","reason":"no such index"},"status":404}`

func (e *streamEngine) answer(r *http.Request, body []byte) (int, string) {
	names, what, _ := strings.Cut(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case names == "":
		return 200, openSearchRoot
	case names == "_tasks":
		return 200, `{"nodes":{}}`
	case names == "_index_template" && r.Method == http.MethodGet:
		return 200, `{"index_templates":[]}`
	case names == "_index_template":
		return 200, `{"acknowledged":true}`
	case names == "_data_stream" && r.Method == http.MethodPut:
		e.rollover()
		return 200, `{"acknowledged":true}`
	case names == "_data_stream":
		return e.list()
	case what == "" && len(e.indexes) == 0:
		return 404, noIndex
	case what == "":
		return 200, e.describe()
	case what == "_bulk":
		lost := e.before != nil && e.before()
		answer := e.bulk(body)
		if lost {
			return 0, ""
		}
		return 200, answer
	case what == "_mapping":
		var m struct {
			Meta json.RawMessage `json:"_meta"`
		}
		_ = json.Unmarshal(body, &m)
		e.find(names).meta = m.Meta
		return 200, `{"acknowledged":true}`
	case what == "_mget":
		return 200, e.mget(names, body)
	}
	return e.several(strings.Split(names, ","), what, body)
}

func (e *streamEngine) list() (int, string) {
	if len(e.indexes) == 0 {
		return 404, noIndex
	}
	var names []string
	for _, x := range e.indexes {
		names = append(names, fmt.Sprintf(`{"index_name":%q}`, x.name))
	}
	return 200, fmt.Sprintf(`{"data_streams":[{"name":%q,"indices":[%s]}]}`, e.name, strings.Join(names, ","))
}

func (e *streamEngine) describe() string {
	all := map[string]any{}
	for _, x := range e.indexes {
		one := map[string]any{"data_stream": e.name, "settings": map[string]any{"index.uuid": "uuid of " + x.name}}
		if x.meta != nil {
			one["mappings"] = map[string]any{"_meta": x.meta}
		}
		all[x.name] = one
	}
	out, _ := json.Marshal(all)
	return string(out)
}

func (e *streamEngine) several(names []string, what string, body []byte) (int, string) {
	var q struct {
		Query struct {
			IDs struct {
				Values []string `json:"values"`
			} `json:"ids"`
		} `json:"query"`
	}
	_ = json.Unmarshal(body, &q)
	var hits []string
	for _, name := range names {
		x := e.find(name)
		if x == nil {
			return 404, noIndex
		}
		if what == "_refresh" {
			x.seen = map[string]string{}
			for id, doc := range x.live {
				x.seen[id] = doc
			}
		}
		for _, id := range q.Query.IDs.Values {
			if _, ok := x.seen[id]; ok {
				hits = append(hits, fmt.Sprintf(`{"_index":%q,"_id":%q}`, name, id))
			}
		}
	}
	return 200, fmt.Sprintf(`{"timed_out":false,"_shards":{"failed":0},"hits":{"hits":[%s]}}`, strings.Join(hits, ","))
}

func (e *streamEngine) mget(name string, body []byte) string {
	var q struct {
		IDs []string `json:"ids"`
	}
	_ = json.Unmarshal(body, &q)
	var docs []string
	for _, id := range q.IDs {
		_, ok := e.find(name).live[id]
		docs = append(docs, fmt.Sprintf(`{"found":%t}`, ok))
	}
	return fmt.Sprintf(`{"docs":[%s]}`, strings.Join(docs, ","))
}

func (e *streamEngine) bulk(body []byte) string {
	lines := strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
	var items []string
	failed := false
	for i := 0; i < len(lines); i++ {
		var action map[string]struct {
			Index string `json:"_index"`
			ID    string `json:"_id"`
		}
		_ = json.Unmarshal([]byte(lines[i]), &action)
		if d, ok := action["delete"]; ok {
			delete(e.find(d.Index).live, d.ID)
			items = append(items, fmt.Sprintf(`{"delete":{"_index":%q,"status":200}}`, d.Index))
			continue
		}
		c := action["create"]
		i++
		if len(e.indexes) == 0 { // it is made by the template
			e.rollover()
		}
		x := e.indexes[len(e.indexes)-1]
		if _, there := x.live[c.ID]; there {
			failed = true
			items = append(items, fmt.Sprintf(`{"create":{"_index":%q,"status":409,"error":{"type":"version_conflict_engine_exception","reason":"document already exists (current version [1])"}}}`, x.name))
			continue
		}
		x.live[c.ID] = lines[i]
		items = append(items, fmt.Sprintf(`{"create":{"_index":%q,"status":201}}`, x.name))
	}
	return fmt.Sprintf(`{"errors":%t,"items":[%s]}`, failed, strings.Join(items, ","))
}

// held tells how often each id is there, in how many indexes.
func (e *streamEngine) held() map[string]int {
	n := map[string]int{}
	for _, x := range e.indexes {
		for id := range x.live {
			n[id]++
		}
	}
	return n
}
