package search

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sluice/internal/flow"
)

// keyField holds the _id of a document whose id in the index is only a hash of
// it; deletedField what DeleteMark adds, archivedField what ArchiveMark does.
const (
	keyField      = "sluice_key"
	deletedField  = "deleted"
	archivedField = "archived"
)

// minGCDeletes is how long an index that we make remembers the versions of
// deleted documents (rule S5).
const minGCDeletes = 5 * time.Minute

// create makes the first index behind the alias name. It returns false if
// somebody else was faster, and the name has to be looked up again.
func (s *Sink) create(ctx context.Context, ns flow.Namespace, r *Route) (bool, error) {
	if len(r.Template) > 0 {
		if err := s.client.putTemplate(ctx, r); err != nil {
			return false, err
		}
	}
	body, err := s.createBody(ns, r)
	if err != nil {
		return false, &flow.Error{
			Op: "create index", Object: r.Index, Class: flow.Config, Err: err,
			Hint: "settings and mappings of the flow have to be JSON objects",
		}
	}
	if s.scheme.monstache {
		return s.createPlain(ctx, r, body)
	}
	for n := 1; n < 1000; n++ {
		concrete := fmt.Sprintf("%s-%06d", r.Index, n)
		err := s.client.call(ctx, "create index", concrete, put("/"+url.PathEscape(concrete), body), nil)
		e := apiErrorOf(err)
		switch {
		case err == nil:
			return true, nil
		case e.Type == "resource_already_exists_exception": // left without the alias
			if adopted, err := s.adopt(ctx, concrete, r); adopted || err != nil {
				return adopted, err
			}
		case e.Type == "invalid_alias_name_exception", e.Type == "invalid_index_name_exception" && strings.Contains(e.Reason, "already exists"):
			return false, nil
		case e.Status == http.StatusBadRequest:
			return false, &flow.Error{
				Op: "create index", Object: concrete, Class: flow.Config, Err: e,
				Hint: "check settings and mappings of the flow",
			}
		default:
			return false, err
		}
	}
	return false, &flow.Error{
		Op: "create index", Object: r.Index, Class: flow.Config,
		Err: fmt.Errorf("%s-000001 to -000999 are all there", r.Index), Hint: "delete those that are not used",
	}
}

// createPlain makes an index under the very name, as auto-creation would: the user's
// templates hold for it.
func (s *Sink) createPlain(ctx context.Context, r *Route, body []byte) (bool, error) {
	err := s.client.call(ctx, "create index", r.Index, put("/"+url.PathEscape(r.Index), body), nil)
	e := apiErrorOf(err)
	switch {
	case err == nil:
		return true, nil
	case e.Type == "resource_already_exists_exception", e.Type == "invalid_index_name_exception" && strings.Contains(e.Reason, "already exists"):
		return false, nil
	case e.Status == http.StatusBadRequest:
		return false, &flow.Error{
			Op: "create index", Object: r.Index, Class: flow.Config, Err: e,
			Hint: "check settings and mappings of the flow, and the templates of the cluster that fit the name",
		}
	}
	return false, err
}

// adopt puts the alias back on an index of ours that has lost it.
func (s *Sink) adopt(ctx context.Context, concrete string, r *Route) (bool, error) {
	x, _, err := s.client.lookup(ctx, concrete)
	if err != nil || x == nil {
		return false, err
	}
	m := x.meta()
	if !m.isOurs(concrete, &s.client.opts) {
		return false, nil
	}
	body, err := json.Marshal(map[string]any{"actions": []any{map[string]any{
		"add": map[string]any{"index": concrete, "alias": r.Index, "is_write_index": true},
	}}})
	if err != nil {
		return false, err
	}
	return true, s.client.call(ctx, "add alias", r.Index, post("/_aliases", body), nil)
}

func (c *Client) putTemplate(ctx context.Context, r *Route) error {
	var t map[string]json.RawMessage
	if err := json.Unmarshal(r.Template, &t); err != nil {
		return &flow.Error{Op: "read template of", Object: r.Index, Class: flow.Config, Err: err}
	}
	if _, ok := t["index_patterns"]; !ok {
		t["index_patterns"], _ = json.Marshal([]string{r.Index + "-*"})
	}
	body, err := json.Marshal(t)
	if err != nil {
		return err
	}
	err = c.call(ctx, "put index template", r.Index, put("/_index_template/"+url.PathEscape(r.Index), body), nil)
	if e := apiErrorOf(err); e.Status == http.StatusBadRequest {
		return &flow.Error{Op: "put index template", Object: r.Index, Class: flow.Config, Err: e, Hint: "check the template of the flow"}
	}
	return err
}

// createBody is what an index is made with: the user's settings and mappings,
// and what we need in them.
func (s *Sink) createBody(ns flow.Namespace, r *Route) ([]byte, error) {
	settings := map[string]any{}
	if len(r.Settings) > 0 {
		var given map[string]json.RawMessage
		if err := json.Unmarshal(r.Settings, &given); err != nil {
			return nil, fmt.Errorf("settings: %w", err)
		}
		flatten("", given, settings)
	}
	if _, ok := settings["index.gc_deletes"]; !ok {
		settings["index.gc_deletes"] = seconds(max(minGCDeletes, s.client.timeout+2*time.Minute))
	}
	mappings, err := s.createMappings(ns, r)
	if err != nil {
		return nil, fmt.Errorf("mappings: %w", err)
	}
	body := map[string]any{"settings": settings, "mappings": mappings}
	if !s.scheme.monstache {
		body["aliases"] = map[string]any{r.Index: map[string]any{"is_write_index": true}}
	}
	return json.Marshal(body)
}

func (s *Sink) createMappings(ns flow.Namespace, r *Route) (map[string]json.RawMessage, error) {
	mappings := map[string]json.RawMessage{}
	if len(r.Mappings) > 0 {
		if err := json.Unmarshal(r.Mappings, &mappings); err != nil {
			return nil, err
		}
	}
	properties, others := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	for name, into := range map[string]*map[string]json.RawMessage{"properties": &properties, "_meta": &others} {
		if raw, ok := mappings[name]; ok {
			if err := json.Unmarshal(raw, into); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	// Ours are declared, so that a strict mapping takes them.
	if _, ok := properties[keyField]; !ok && !s.scheme.monstache {
		properties[keyField] = json.RawMessage(`{"type":"keyword","index":false,"doc_values":false}`)
	}
	if _, ok := properties[deletedField]; !ok && r.Delete == DeleteMark {
		properties[deletedField] = json.RawMessage(`{"properties":{"at":{"type":"date"}}}`)
	}
	if err := declareArchived(properties, r); err != nil {
		return nil, err
	}
	places := ""
	if s.places != nil {
		places = s.places.textOf(r)
		for _, name := range []string{nsField, idField} {
			properties[name] = json.RawMessage(`{"type":"keyword","doc_values":false}`)
		}
		if name := s.places.Field; name != "" && properties[name] == nil {
			properties[name] = s.places.Mapping
		}
	}
	o := &s.client.opts
	all, err := withMeta(others, &meta{
		Format: metaFormat, Scheme: s.scheme.name, Flow: o.Flow, Source: o.Source,
		Namespaces: []string{ns.String()}, Created: true, Places: places,
	})
	if err != nil {
		return nil, err
	}
	if len(properties) > 0 {
		if mappings["properties"], err = json.Marshal(properties); err != nil {
			return nil, err
		}
	}
	mappings["_meta"], err = json.Marshal(all)
	return mappings, err
}

// declareArchived maps the field that ArchiveMark adds. One of that name that
// the user maps as anything but an object would refuse every mark.
func declareArchived(properties map[string]json.RawMessage, r *Route) error {
	if r.Archive != ArchiveMark {
		return nil
	}
	raw, ok := properties[archivedField]
	if !ok {
		properties[archivedField] = json.RawMessage(
			`{"properties":{"at":{"type":"date"},"rule":{"type":"keyword"},"object":{"type":"keyword"}}}`)
		return nil
	}
	var given struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &given); err != nil {
		return fmt.Errorf("properties.%s: %w", archivedField, err)
	}
	if given.Type != "" && given.Type != "object" {
		return fmt.Errorf("properties.%s is of the type %q, and on.archive: mark writes an object there; %s", archivedField, given.Type, hintArchived)
	}
	return nil
}

// flatten writes settings, given nested or dotted, with or without "index.", in
// the one form index.a.b, so that none is there twice.
func flatten(prefix string, in map[string]json.RawMessage, out map[string]any) {
	for k, raw := range in {
		name := prefix + k
		var nested map[string]json.RawMessage
		if json.Unmarshal(raw, &nested) == nil && nested != nil {
			flatten(name+".", nested, out)
			continue
		}
		if !strings.HasPrefix(name, "index.") {
			name = "index." + name
		}
		out[name] = raw
	}
}
