package search

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"sluice/internal/flow"
)

// joinMapping is the mapping of a join field.
type joinMapping struct {
	Type      string                     `json:"type"`
	Relations map[string]json.RawMessage `json:"relations"`
}

// ensureField maps the join field of an index that is there already as the flow needs it.
func (s *Sink) ensureField(ctx context.Context, x *indexInfo) error {
	if s.places == nil || s.places.Field == "" {
		return nil
	}
	field := s.places.Field
	var all map[string]struct {
		Mappings map[string]struct {
			Mapping map[string]map[string]json.RawMessage `json:"mapping"`
		} `json:"mappings"`
	}
	path := "/" + url.PathEscape(x.name) + "/_mapping"
	if err := s.client.call(ctx, "read the mapping of", x.name, get(path+"/field/"+url.PathEscape(field)), &all); err != nil {
		return err
	}
	given := all[x.name].Mappings[field].Mapping[field]
	var want, have joinMapping
	if err := json.Unmarshal(s.places.Mapping, &want); err != nil {
		return err
	}
	wanted := map[string]json.RawMessage{}
	if given == nil {
		if err := json.Unmarshal(s.places.Mapping, &wanted); err != nil {
			return err
		}
	} else {
		raw, err := json.Marshal(given)
		if err != nil {
			return err
		}
		if json.Unmarshal(raw, &have) != nil || have.Type != "join" {
			return &flow.Error{
				Op: "use index", Object: x.name, Class: flow.Config,
				Err:  fmt.Errorf("its field %s is of the type %q, and no join field", field, have.Type),
				Hint: "choose another field (join.field), or delete the index: then it is made anew",
			}
		}
		if have.covers(want) {
			return nil
		}
		maps.Copy(wanted, given)
		if wanted["relations"], err = json.Marshal(have.with(want)); err != nil {
			return err
		}
	}
	body, err := json.Marshal(map[string]any{"properties": map[string]any{field: wanted}})
	if err != nil {
		return err
	}
	err = s.client.call(ctx, "map the join field of", x.name, put(path, body), nil)
	if e := apiErrorOf(err); e.Status == http.StatusBadRequest {
		return &flow.Error{Op: "map the join field of", Object: x.name, Class: flow.Config, Err: e, Hint: "choose another field (join.field), or delete the index: then it is made anew"}
	}
	return err
}

// children are those of one relation, which are written as one name or several.
func children(raw json.RawMessage) []string {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}
	}
	var several []string
	_ = json.Unmarshal(raw, &several)
	return several
}

// covers tells whether every relation of want is there.
func (m joinMapping) covers(want joinMapping) bool {
	for parent, raw := range want.Relations {
		have := children(m.Relations[parent])
		for _, child := range children(raw) {
			if !slices.Contains(have, child) {
				return false
			}
		}
	}
	return true
}

// with returns the relations of both.
func (m joinMapping) with(want joinMapping) map[string][]string {
	all := map[string][]string{}
	for _, of := range []joinMapping{m, want} {
		for parent, raw := range of.Relations {
			for _, child := range children(raw) {
				if !slices.Contains(all[parent], child) {
					all[parent] = append(all[parent], child)
				}
			}
		}
	}
	return all
}
