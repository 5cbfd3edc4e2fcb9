package search

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
)

// engine is an engine in memory, as far as places need one: indexes with aliases
// and a _meta, versions by index, id and routing, and searches that see only what
// was refreshed.
type engine struct {
	t testing.TB

	mu      sync.Mutex
	indexes map[string]*fakeIndex
	live    map[fakeKey]fakeDoc
	seen    map[fakeKey]fakeDoc
	calls   []string
	tasks   []string
	// oneShard: every routing leads to the same shard, where an id is there once.
	oneShard bool
	// bulk, if set, may answer a whole bulk in the engine's place.
	bulk func(actions []fakeAction) (status int, body string)
}

type fakeIndex struct {
	Aliases  map[string]json.RawMessage `json:"aliases"`
	Mappings map[string]json.RawMessage `json:"mappings"`
	Settings map[string]any             `json:"settings"`
}

type fakeKey struct{ index, id, routing string }

type fakeDoc struct {
	version int64
	gone    bool
	source  string
	routing string
}

type fakeAction struct {
	op      string
	key     fakeKey
	routing string
	version int64
	source  string
}

func newEngine(t testing.TB) *engine {
	return &engine{t: t, indexes: map[string]*fakeIndex{}, live: map[fakeKey]fakeDoc{}, seen: map[fakeKey]fakeDoc{}}
}

// RoundTrip answers a request.
func (e *engine) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		_ = r.Body.Close()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	status, answer := e.answer(r, body)
	e.calls = append(e.calls, r.Method+" "+r.URL.Path)
	resp := respond(r, []byte(answer))
	resp.StatusCode = status
	return resp, nil
}

func (e *engine) answer(r *http.Request, body []byte) (int, string) {
	parts := strings.SplitN(strings.Trim(r.URL.Path, "/"), "/", 2)
	name, what := parts[0], ""
	if len(parts) > 1 {
		what = parts[1]
	}
	switch {
	case name == "":
		return 200, openSearchRoot
	case name == "_tasks":
		return 200, e.running()
	case name == "_search" && r.Method == http.MethodDelete:
		return 200, `{}`
	case name == "_search":
		return 200, `{"_scroll_id":"s","_shards":{"failed":0},"hits":{"hits":[]}}`
	case what == "_bulk":
		return e.bulks(name, body)
	case what == "" && r.Method == http.MethodPut:
		x := &fakeIndex{}
		if err := json.Unmarshal(body, x); err != nil {
			e.t.Error(err)
		}
		x.Settings = map[string]any{"index.uuid": "uuid of " + name}
		e.indexes[name] = x
		return 200, `{"acknowledged":true}`
	case what == "" && r.Method == http.MethodDelete:
		delete(e.indexes, name)
		return 200, `{"acknowledged":true}`
	}
	return e.parts(name, what, body)
}

// parts answers what is asked of some indexes.
func (e *engine) parts(name, what string, body []byte) (int, string) {
	found := e.resolve(name)
	if len(found) == 0 && !strings.Contains(name, "*") {
		return 404, `{"error":{"type":"index_not_found_exception","reason":"no such index"},"status":404}`
	}
	switch what {
	case "":
		out := map[string]*fakeIndex{}
		for _, n := range found {
			out[n] = e.indexes[n]
		}
		text, _ := json.Marshal(out)
		return 200, string(text)
	case "_mapping":
		for _, n := range found {
			var m map[string]json.RawMessage
			if json.Unmarshal(body, &m) == nil {
				e.indexes[n].Mappings["_meta"] = m["_meta"]
			}
		}
		return 200, `{"acknowledged":true}`
	case "_refresh":
		for k, d := range e.live {
			if slices.Contains(found, k.index) {
				e.seen[k] = d
			}
		}
		return 200, `{"_shards":{"failed":0}}`
	case "_count":
		return 200, fmt.Sprintf(`{"count":%d,"_shards":{"failed":0}}`, len(e.hits(found, body)))
	case "_search":
		return 200, `{"_scroll_id":"s","_shards":{"failed":0},"hits":{"hits":[` + strings.Join(e.hits(found, body), ",") + `]}}`
	}
	if field, ok := strings.CutPrefix(what, "_mapping/field/"); ok {
		var properties map[string]json.RawMessage
		_ = json.Unmarshal(e.indexes[found[0]].Mappings["properties"], &properties)
		return 200, fmt.Sprintf(`{%q:{"mappings":{%q:{"mapping":{%q:%s}}}}}`, found[0], field, field, properties[field])
	}
	e.t.Errorf("unexpected %s/%s", name, what)
	return 400, `{}`
}

// resolve returns the indexes of a list of names, aliases and patterns, sorted.
func (e *engine) resolve(list string) (out []string) {
	for name, x := range e.indexes {
		for one := range strings.SplitSeq(list, ",") {
			_, alias := x.Aliases[one]
			if ok, _ := path.Match(one, name); ok || alias {
				out = append(out, name)
				break
			}
		}
	}
	slices.Sort(out)
	return out
}

// hits are the visible documents that fit the query of a lookup or a scan.
func (e *engine) hits(indexes []string, body []byte) []string {
	out := []string{}
	for k, d := range e.seen {
		var lead struct {
			NS string `json:"sluice_ns"`
			ID string `json:"sluice_id"`
		}
		if d.gone || !slices.Contains(indexes, k.index) || json.Unmarshal([]byte(d.source), &lead) != nil {
			continue
		}
		key, _ := json.Marshal(lead.ID)
		ns, _ := json.Marshal(lead.NS)
		if !bytes.Contains(body, ns) || bytes.Contains(body, []byte(`"terms"`)) && !bytes.Contains(body, key) {
			continue
		}
		id, _ := json.Marshal(k.id)
		routing, _ := json.Marshal(d.routing)
		out = append(out, fmt.Sprintf(`{"_index":%q,"_id":%s,"_routing":%s,"_version":%d,"_source":%s}`, k.index, id, routing, d.version, d.source))
	}
	return out
}

// bulks carries a bulk out.
func (e *engine) bulks(path string, body []byte) (int, string) {
	actions := e.parse(path, body)
	if e.bulk != nil {
		if status, answer := e.bulk(actions); status != 0 {
			return status, answer
		}
	}
	var items []string
	errors := false
	for _, a := range actions {
		d, there := e.live[a.key]
		status := 200
		switch {
		case a.key.index == "":
			e.t.Errorf("an action without an index: %+v", a)
		case there && d.version > a.version:
			errors = true
			items = append(items, fmt.Sprintf(`{%q:{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"current version [%d] is higher"}}}`, a.op, d.version))
			continue
		case a.op == "delete" && (!there || d.gone):
			status = 404
		}
		e.live[a.key] = fakeDoc{a.version, a.op == "delete", a.source, a.routing}
		items = append(items, fmt.Sprintf(`{%q:{"status":%d}}`, a.op, status))
	}
	return 200, fmt.Sprintf(`{"errors":%t,"items":[%s]}`, errors, strings.Join(items, ","))
}

func (e *engine) parse(path string, body []byte) (out []fakeAction) {
	lines := strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		var head map[string]struct {
			Index   string `json:"_index"`
			ID      string `json:"_id"`
			Routing string `json:"routing"`
			Version int64  `json:"version"`
		}
		if err := json.Unmarshal([]byte(lines[i]), &head); err != nil {
			e.t.Errorf("%q: %v", lines[i], err)
			return nil
		}
		for op, h := range head {
			if h.Index == "" {
				h.Index = path
			}
			a := fakeAction{op: op, key: fakeKey{"", h.ID, h.Routing}, routing: h.Routing, version: h.Version}
			if e.oneShard {
				a.key.routing = ""
			}
			if found := e.resolve(h.Index); len(found) == 1 {
				a.key.index = found[0]
			}
			if op == "index" {
				i++
				a.source = lines[i]
			}
			out = append(out, a)
		}
	}
	return out
}

// running lists tasks; each is over when it was asked for twice.
func (e *engine) running() string {
	var all []string
	for _, id := range e.tasks {
		all = append(all, fmt.Sprintf(`%q:{"action":"indices:data/write/bulk"}`, id))
	}
	if len(e.tasks) > 0 {
		e.tasks = e.tasks[1:]
	}
	return `{"nodes":{"n":{"tasks":{` + strings.Join(all, ",") + `}}}}`
}

// places lists what is live: index, id and routing, with the version.
func (e *engine) places() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := []string{}
	for k, d := range e.live {
		if !d.gone {
			out = append(out, strings.TrimSuffix(k.index, "-000001")+" "+k.id+" "+d.routing)
		}
	}
	slices.Sort(out)
	return out
}

// called counts the calls that end with what.
func (e *engine) called(what string) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.calls {
		if strings.HasSuffix(c, what) {
			n++
		}
	}
	return n
}
