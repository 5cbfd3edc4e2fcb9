package scriptsearch

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// acknowledged is the answer of most calls that change something.
const acknowledged = `{"acknowledged":true,"shards_acknowledged":true}`

// api answers what is not a bulk.
func (s *Server) api(r *http.Request, body []byte) Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case parts[0] == "":
		if s.opts.NoRoot {
			return unknownCall(r)
		}
		return Answer{Body: s.opts.Product.root()}
	case strings.HasPrefix(parts[0], "_"):
		return s.clusterAPI(r, parts, body)
	case len(parts) == 1:
		return s.indexAPI(r, parts[0], body)
	case len(parts) == 3 && (parts[1] == "_doc" || parts[1] == "_create"):
		return s.docAPI(r, parts, body)
	}
	return s.indexPartAPI(r, parts[0], parts[1], body)
}

func (s *Server) clusterAPI(r *http.Request, parts []string, body []byte) Answer {
	switch parts[0] {
	case "_cluster":
		return Answer{Body: `{"cluster_name":"scripted","status":"green","timed_out":false,"number_of_nodes":1}`}
	case "_nodes":
		return Answer{Body: fmt.Sprintf(`{"cluster_name":"scripted","nodes":{"n1":{"name":"n1","version":%q}}}`, s.opts.Product.Version)}
	case "_index_template", "_template", "_component_template":
		if r.Method == http.MethodPut {
			return Answer{Body: acknowledged}
		}
	case "_aliases":
		return s.aliases(body)
	case "_refresh":
		return Answer{Body: `{"_shards":{"total":1,"successful":1,"failed":0}}`}
	case "_mget":
		return s.mget(body, "")
	}
	return unknownCall(r)
}

func (s *Server) aliases(body []byte) Answer {
	var in struct {
		Actions []map[string]map[string]json.RawMessage `json:"actions"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return Answer{Status: http.StatusBadRequest, Body: errorBody(http.StatusBadRequest, "parse_exception", err.Error())}
	}
	for _, action := range in.Actions {
		for verb, args := range action {
			var name, alias string
			_ = json.Unmarshal(args["index"], &name)
			_ = json.Unmarshal(args["alias"], &alias)
			x := s.store.indexes[name]
			if x == nil {
				return notFound(name)
			}
			switch verb {
			case "add":
				delete(args, "index")
				delete(args, "alias")
				x.Aliases[alias], _ = json.Marshal(args)
			case "remove":
				delete(x.Aliases, alias)
			case "remove_index":
				s.store.drop(name)
			}
		}
	}
	return Answer{Body: acknowledged}
}

func (s *Server) indexAPI(r *http.Request, name string, body []byte) Answer {
	found := s.store.resolve(name)
	switch r.Method {
	case http.MethodPut:
		if s.store.indexes[name] != nil {
			return Answer{Status: http.StatusBadRequest, Body: errorBody(http.StatusBadRequest,
				"resource_already_exists_exception", "index ["+name+"] already exists")}
		}
		if len(found) > 0 {
			return Answer{Status: http.StatusBadRequest, Body: errorBody(http.StatusBadRequest,
				"invalid_index_name_exception", "Invalid index name ["+name+"], already exists as alias")}
		}
		if _, err := s.store.create(name, body); err != nil {
			return Answer{Status: http.StatusBadRequest, Body: errorBody(http.StatusBadRequest, "parse_exception", err.Error())}
		}
		return Answer{Body: acknowledged}
	case http.MethodDelete:
		if s.store.indexes[name] == nil {
			return notFound(name)
		}
		s.store.drop(name)
		return Answer{Body: acknowledged}
	}
	if len(found) == 0 {
		return notFound(name)
	}
	return describe(found, func(x *index) any { return x })
}

func (s *Server) indexPartAPI(r *http.Request, name, part string, body []byte) Answer {
	found := s.store.resolve(name)
	if len(found) == 0 {
		return notFound(name)
	}
	switch part {
	case "_refresh", "_flush":
		return Answer{Body: `{"_shards":{"total":1,"successful":1,"failed":0}}`}
	case "_mget":
		return s.mget(body, name)
	case "_count":
		n := 0
		for k, d := range s.store.docs {
			for _, x := range found {
				if k.index == x.name && !d.Deleted {
					n++
				}
			}
		}
		return Answer{Body: fmt.Sprintf(`{"count":%d,"_shards":{"total":1,"successful":1,"skipped":0,"failed":0}}`, n)}
	case "_settings", "_mapping":
		if r.Method == http.MethodGet {
			return describe(found, func(x *index) any {
				return map[string]any{"settings": x.Settings, "mappings": x.Mappings}
			})
		}
		return merge(found, part, body)
	}
	return unknownCall(r)
}

// merge puts settings or top-level parts of a mapping.
func merge(found []*index, part string, body []byte) Answer {
	var in map[string]json.RawMessage
	if err := json.Unmarshal(body, &in); err != nil {
		return Answer{Status: http.StatusBadRequest, Body: errorBody(http.StatusBadRequest, "parse_exception", err.Error())}
	}
	for _, x := range found {
		if part == "_settings" {
			x.set(in)
			continue
		}
		for k, v := range in {
			x.Mappings[k] = v
		}
	}
	return Answer{Body: acknowledged}
}

func describe(found []*index, of func(*index) any) Answer {
	out := map[string]any{}
	for _, x := range found {
		out[x.name] = of(x)
	}
	body, err := json.Marshal(out)
	if err != nil {
		return Answer{Status: http.StatusInternalServerError, Body: err.Error()}
	}
	return Answer{Body: string(body)}
}

// docAPI serves single documents, with if_seq_no as a compare-and-set.
func (s *Server) docAPI(r *http.Request, parts []string, body []byte) Answer {
	id, err := url.PathUnescape(parts[2])
	if err != nil {
		return unknownCall(r)
	}
	q := r.URL.Query()
	x := s.store.writeIndex(parts[0])
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		if x == nil {
			return notFound(parts[0])
		}
		return s.getDoc(key{x.name, id})
	}
	version, _ := strconv.ParseInt(q.Get("version"), 10, 64)
	a := Action{
		Op: "index", Index: parts[0], ID: id, Version: version, VersionType: q.Get("version_type"), Source: body,
		RequireAlias: q.Get("require_alias") == "true",
	}
	switch {
	case r.Method == http.MethodDelete:
		a.Op, a.Source = "delete", nil
	case parts[1] == "_create" || q.Get("op_type") == "create":
		a.Op = "create"
	}
	if want := q.Get("if_seq_no"); want != "" && x != nil {
		d := s.store.docs[key{x.name, id}]
		if d == nil || d.Deleted || strconv.FormatInt(d.seq, 10) != want {
			return Answer{Status: http.StatusConflict, Body: errorBody(http.StatusConflict, "version_conflict_engine_exception",
				"["+id+"]: version conflict, required seqNo ["+want+"]")}
		}
	}
	ans, concrete := s.store.apply(a)
	if ans.Type != "" {
		return Answer{Status: ans.Status, Body: errorBody(ans.Status, ans.Type, ans.Reason)}
	}
	d := s.store.docs[key{concrete, id}]
	name := map[int]string{http.StatusOK: "updated", http.StatusCreated: "created", http.StatusNotFound: "not_found"}[ans.Status]
	if a.Op == "delete" && ans.Status == http.StatusOK {
		name = "deleted"
	}
	return Answer{Status: ans.Status, Body: fmt.Sprintf(`{"_index":%q,"_id":%q,"_version":%d,"result":%q,"_seq_no":%d,"_primary_term":1}`,
		concrete, id, d.Version, name, d.seq)}
}

func (s *Server) getDoc(k key) Answer {
	d := s.store.docs[k]
	if d == nil || d.Deleted {
		return Answer{Status: http.StatusNotFound, Body: fmt.Sprintf(`{"_index":%q,"_id":%q,"found":false}`, k.index, k.id)}
	}
	return Answer{Body: docBody(k, d)}
}

func docBody(k key, d *Doc) string {
	id, _ := json.Marshal(k.id)
	return fmt.Sprintf(`{"_index":%q,"_id":%s,"_version":%d,"_seq_no":%d,"_primary_term":1,"found":true,"_source":%s}`, k.index, id, d.Version, d.seq, d.Source)
}

func (s *Server) mget(body []byte, name string) Answer {
	var in struct {
		Docs []struct {
			Index string `json:"_index"`
			ID    string `json:"_id"`
		} `json:"docs"`
		IDs []string `json:"ids"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return Answer{Status: http.StatusBadRequest, Body: errorBody(http.StatusBadRequest, "parse_exception", err.Error())}
	}
	var out []string
	one := func(name, id string) {
		k := key{name, id}
		if x := s.store.writeIndex(name); x != nil {
			k.index = x.name
		}
		out = append(out, s.getDoc(k).Body)
	}
	for _, d := range in.Docs {
		if d.Index == "" {
			d.Index = name
		}
		one(d.Index, d.ID)
	}
	for _, id := range in.IDs {
		one(name, id)
	}
	return Answer{Body: `{"docs":[` + strings.Join(out, ",") + `]}`}
}

func notFound(name string) Answer {
	return Answer{Status: http.StatusNotFound, Body: errorBody(http.StatusNotFound, "index_not_found_exception", "no such index ["+name+"]")}
}

func unknownCall(r *http.Request) Answer {
	return Answer{Status: http.StatusBadRequest, Body: fmt.Sprintf(`{"error":%q,"status":400}`,
		"no handler found for uri ["+r.URL.Path+"] and method ["+r.Method+"]")}
}
