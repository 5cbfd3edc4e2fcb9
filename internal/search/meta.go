package search

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"sluice/internal/flow"
)

// metaFormat is the format of what we keep in an index's _meta.
const metaFormat = 1

// meta is what we keep in the _meta of an index's mappings, under "sluice".
type meta struct {
	Format int `json:"format"`
	// Scheme is how versions and ids are made: native (flow.VersionOf, AppendID of
	// transcode) or monstache.
	Scheme string `json:"scheme"`
	Flow   string `json:"flow"`
	Source string `json:"source,omitempty"`
	// Namespaces are all that ever were written to the index.
	Namespaces []string `json:"namespaces"`
	// Created: we made the index, so all in it came from us.
	Created bool `json:"created,omitempty"`
	// Places sums up the templates by which documents were placed; "" without any.
	Places string `json:"places,omitempty"`
	// RefreshInterval is what the setting was before a snapshot changed it, ""
	// if it was not set; nil while nothing has to be put back.
	RefreshInterval *string `json:"refresh_interval,omitempty"`
}

// check refuses an index that belongs to somebody else.
func (m *meta) check(index string, o *Options) error {
	refuse := func(why, hint string) error {
		return &flow.Error{Op: "use index", Object: index, Class: flow.Config, Err: errors.New(why), Hint: hint}
	}
	another := "give this flow another index (index, index_prefix), or delete this one if it is no longer needed: then it is made anew"
	switch {
	case m.Format > metaFormat:
		return refuse(fmt.Sprintf("it was made by a newer sluice (format %d, known is %d)", m.Format, metaFormat), "run that version, or "+another)
	case m.Scheme != schemeOf(o.Profile).name:
		return refuse(fmt.Sprintf("its documents carry ids and versions of the profile %q, and the flow has %q", m.Scheme, schemeOf(o.Profile).name),
			"set profile of the flow to what the index has, or "+another)
	case m.Flow != o.Flow:
		return refuse(fmt.Sprintf("it belongs to the flow %q, and this is %q", m.Flow, o.Flow), another)
	case m.Source != "" && o.Source != "" && m.Source != o.Source:
		return refuse(fmt.Sprintf("its documents come from the MongoDB deployment %s, and this is %s", m.Source, o.Source),
			"check mongodb.uri; or "+another)
	}
	return nil
}

// isOurs tells whether check would let the index pass; m may be nil.
func (m *meta) isOurs(index string, o *Options) bool { return m != nil && m.check(index, o) == nil }

// metaOf reads our part of a _meta; nil if there is none.
func metaOf(all map[string]json.RawMessage) *meta {
	raw, ok := all["sluice"]
	if !ok {
		return nil
	}
	m := &meta{}
	if json.Unmarshal(raw, m) != nil {
		return &meta{} // refused by check: its scheme is none
	}
	return m
}

// withMeta returns a _meta that keeps what others have put there.
func withMeta(all map[string]json.RawMessage, m *meta) (map[string]json.RawMessage, error) {
	raw, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	merged := maps.Clone(all)
	if merged == nil {
		merged = map[string]json.RawMessage{}
	}
	merged["sluice"] = raw
	return merged, nil
}

// has tells whether the index is known to hold documents of ns.
func (m *meta) has(ns flow.Namespace) bool { return slices.Contains(m.Namespaces, ns.String()) }

// sharedBeside tells whether the index is known to hold documents of another than ns;
// m may be nil.
func (m *meta) sharedBeside(ns flow.Namespace) bool {
	return m != nil && (len(m.Namespaces) > 1 || len(m.Namespaces) == 1 && !m.has(ns))
}
