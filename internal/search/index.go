package search

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"sluice/internal/flow"
)

// indexInfo is what the engine tells of one concrete index.
type indexInfo struct {
	name    string
	Aliases map[string]struct {
		IsWriteIndex *bool `json:"is_write_index"`
	} `json:"aliases"`
	Mappings struct {
		Meta map[string]json.RawMessage `json:"_meta"`
	} `json:"mappings"`
	Settings   map[string]any `json:"settings"`
	DataStream string         `json:"data_stream"`
}

func (x *indexInfo) setting(name string) string {
	s, _ := x.Settings[name].(string)
	return s
}

func (x *indexInfo) uuid() string { return x.setting("index.uuid") }

func (x *indexInfo) meta() *meta { return metaOf(x.Mappings.Meta) }

// lookup returns the concrete index that a write to name reaches, and whether
// name is an alias; nil if there is none.
func (c *Client) lookup(ctx context.Context, name string) (found *indexInfo, alias bool, err error) {
	const op = "look up index"
	var all map[string]*indexInfo
	path := "/" + url.PathEscape(name) + "?flat_settings=true&filter_path=*.aliases,*.mappings._meta,*.settings,*.data_stream"
	if err := c.call(ctx, op, name, get(path), &all); err != nil {
		if apiErrorOf(err).Status == http.StatusNotFound {
			return nil, false, nil
		}
		return nil, false, err
	}
	for concrete, x := range all {
		x.name = concrete
		if x.DataStream != "" {
			return nil, false, &flow.Error{
				Op: "use index", Object: name, Class: flow.Config,
				Err: errors.New("it is a data stream, which can't hold documents that change"),
				Hint: "give the flow another index (index, index_prefix); or, if its documents are only ever added, " +
					"write to the data stream as such (data_stream)",
			}
		}
		if concrete == name {
			return x, false, nil
		}
		w := x.Aliases[name].IsWriteIndex
		if (w == nil && len(all) == 1) || (w != nil && *w) {
			found = x
		}
	}
	if found == nil {
		return nil, false, &flow.Error{
			Op: "use index", Object: name, Class: flow.Config,
			Err:  fmt.Errorf("the alias has %d indexes, and none of them is the one to write", len(all)),
			Hint: "set is_write_index: true on one of them (POST /_aliases), or give the flow another index",
		}
	}
	return found, true, nil
}

// putMeta writes our part of the _meta of an index.
func (c *Client) putMeta(ctx context.Context, x *indexInfo, m *meta) error {
	all, err := withMeta(x.Mappings.Meta, m)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"_meta": all})
	if err != nil {
		return err
	}
	if err := c.call(ctx, "write _meta of index", x.name, put("/"+url.PathEscape(x.name)+"/_mapping", body), nil); err != nil {
		return err
	}
	x.Mappings.Meta = all
	return nil
}

// refresh makes what was written visible to searches. Who may not refresh
// sees it a little later.
func (c *Client) refresh(ctx context.Context, index string) error {
	err := c.call(ctx, "refresh index", index, post("/"+url.PathEscape(index)+"/_refresh", nil), nil)
	if s := apiErrorOf(err).Status; s == http.StatusForbidden || s == http.StatusNotFound || s == http.StatusBadRequest {
		return nil
	}
	return err
}
