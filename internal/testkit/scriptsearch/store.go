package scriptsearch

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
)

// key names a document by the concrete index.
type key struct{ index, id string }

// Doc is a document, or the tombstone of one.
type Doc struct {
	Version int64
	Deleted bool
	Source  json.RawMessage
	// Versions are those of all actions that reached the document, in the order
	// of their arrival, refused ones too.
	Versions []int64
	seq      int64
}

type index struct {
	name     string
	uuid     string
	Aliases  map[string]json.RawMessage `json:"aliases"`
	Mappings map[string]json.RawMessage `json:"mappings"`
	Settings map[string]json.RawMessage `json:"settings"`
}

// store is what the server remembers. Its owner holds the lock.
type store struct {
	indexes map[string]*index
	docs    map[key]*Doc
	seq     int64
	made    int
}

func newStore() store { return store{indexes: map[string]*index{}, docs: map[key]*Doc{}} }

// resolve returns the indexes that a name means, sorted by name.
func (st *store) resolve(name string) []*index {
	if x := st.indexes[name]; x != nil {
		return []*index{x}
	}
	var found []*index
	for _, n := range slices.Sorted(maps.Keys(st.indexes)) {
		if _, ok := st.indexes[n].Aliases[name]; ok {
			found = append(found, st.indexes[n])
		}
	}
	return found
}

// writeIndex returns the one index that writes to name reach.
func (st *store) writeIndex(name string) *index {
	all := st.resolve(name)
	if len(all) == 1 {
		return all[0]
	}
	for _, x := range all {
		var a struct {
			Write bool `json:"is_write_index"`
		}
		if json.Unmarshal(x.Aliases[name], &a) == nil && a.Write {
			return x
		}
	}
	return nil
}

// create makes an index with settings in the flat form.
func (st *store) create(name string, body []byte) (*index, error) {
	st.made++
	x := &index{name: name, uuid: fmt.Sprintf("uuid-%06d", st.made)}
	if len(body) > 0 {
		if err := json.Unmarshal(body, x); err != nil {
			return nil, err
		}
	}
	if x.Aliases == nil {
		x.Aliases = map[string]json.RawMessage{}
	}
	if x.Mappings == nil {
		x.Mappings = map[string]json.RawMessage{}
	}
	given := x.Settings
	x.Settings = map[string]json.RawMessage{}
	x.set(given)
	x.Settings["index.uuid"], _ = json.Marshal(x.uuid)
	x.Settings["index.provided_name"], _ = json.Marshal(name)
	st.indexes[name] = x
	return x, nil
}

// set merges settings, nested or dotted, numbers becoming strings as in the engines.
func (x *index) set(settings map[string]json.RawMessage) {
	var walk func(prefix string, in map[string]json.RawMessage)
	walk = func(prefix string, in map[string]json.RawMessage) {
		for k, raw := range in {
			var nested map[string]json.RawMessage
			if json.Unmarshal(raw, &nested) == nil && nested != nil {
				walk(prefix+k+".", nested)
				continue
			}
			name := prefix + k
			if len(name) < 6 || name[:6] != "index." {
				name = "index." + name
			}
			if string(raw) == "null" {
				delete(x.Settings, name)
				continue
			}
			if raw[0] != '"' && raw[0] != '[' {
				raw, _ = json.Marshal(string(raw))
			}
			x.Settings[name] = raw
		}
	}
	walk("", settings)
}

func (st *store) drop(name string) {
	delete(st.indexes, name)
	maps.DeleteFunc(st.docs, func(k key, _ *Doc) bool { return k.index == name })
}

// apply carries one action out, as the engines do with external versions.
func (st *store) apply(a Action) (ItemAnswer, string) {
	x := st.writeIndex(a.Index)
	switch {
	case x == nil && len(st.resolve(a.Index)) > 0:
		return ItemAnswer{
			http.StatusBadRequest, "illegal_argument_exception",
			"no write index is defined for alias [" + a.Index + "].",
		}, a.Index
	case a.RequireAlias && (x == nil || x.name == a.Index):
		return ItemAnswer{
			http.StatusNotFound, "index_not_found_exception",
			"no such index [" + a.Index + "] and [require_alias] request flag is [true] and [" + a.Index + "] is not an alias",
		}, a.Index
	case x == nil:
		x, _ = st.create(a.Index, nil)
	}
	k := key{x.name, a.ID}
	if a.ID == "" {
		k.id = fmt.Sprintf("auto-%d", st.seq)
	}
	d := st.docs[k]
	if d == nil {
		d = &Doc{Deleted: true, Version: -1}
		st.docs[k] = d
	}
	d.Versions = append(d.Versions, a.Version)
	return st.write(a, k, d), x.name
}

func (st *store) write(a Action, k key, d *Doc) ItemAnswer {
	next := d.Version + 1
	switch a.VersionType {
	case "external", "external_gt", "external_gte":
		next = a.Version
		if d.Version > next || (d.Version == next && a.VersionType != "external_gte") {
			how := "higher or equal to"
			if a.VersionType == "external_gte" {
				how = "higher than"
			}
			return ItemAnswer{
				http.StatusConflict, "version_conflict_engine_exception",
				fmt.Sprintf("[%s]: version conflict, current version [%d] is %s the one provided [%d]", k.id, d.Version, how, next),
			}
		}
	default:
		next = max(next, 1)
	}
	exists := !d.Deleted
	switch {
	case a.Op == "create" && exists:
		return ItemAnswer{
			http.StatusConflict, "version_conflict_engine_exception",
			fmt.Sprintf("[%s]: version conflict, document already exists (current version [%d])", k.id, d.Version),
		}
	case a.Op == "update" && !exists:
		return ItemAnswer{http.StatusNotFound, "document_missing_exception", "[" + k.id + "]: document missing"}
	}
	st.seq++
	d.Version, d.seq, d.Deleted, d.Source = next, st.seq, a.Op == "delete", slices.Clone(a.Source)
	switch {
	case a.Op == "delete" && !exists:
		return ItemAnswer{Status: http.StatusNotFound}
	case a.Op == "delete" || exists:
		return ItemAnswer{Status: http.StatusOK}
	}
	return ItemAnswer{Status: http.StatusCreated}
}

// Docs returns the documents and tombstones that name, an index or an alias,
// leads to, by id.
func (s *Server) Docs(name string) map[string]Doc {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]Doc{}
	for _, x := range s.store.resolve(name) {
		for k, d := range s.store.docs {
			if k.index == x.name {
				c := *d
				c.Versions = slices.Clone(d.Versions)
				all[k.id] = c
			}
		}
	}
	return all
}

// Indexes returns the names of all indexes.
func (s *Server) Indexes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.store.indexes))
}

// CreateIndex makes an index from a JSON body (settings, mappings, aliases), or
// fails as JSON does.
func (s *Server) CreateIndex(name, body string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.store.create(name, []byte(body))
	return err
}

// DeleteIndex removes an index as if a user had done it.
func (s *Server) DeleteIndex(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.drop(name)
}
