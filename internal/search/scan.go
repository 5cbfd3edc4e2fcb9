package search

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sluice/internal/flow"
)

const (
	scanPage = 5000
	// scanKeep is how long the engine keeps a scan between two pages, while
	// their ids are looked up and deleted.
	scanKeep = "10m"
)

// hit is one document that a scan found.
type hit struct {
	ID     string          `json:"_id"`
	Source json.RawMessage `json:"_source"`
}

// ScanIDs calls f with the ids of all documents of ns's index, up to 5,000 at a
// time, in no order; f may keep them. Documents that carry a mark of the policies
// are left out, and all of them where deleted ones are kept (DeleteKeep), as
// nothing tells them apart. Those that ArchiveKeep has left are not left out:
// the archive knows them. No index is no error. A scan that breaks is a Transient error and has
// to begin anew.
func (s *Sink) ScanIDs(ctx context.Context, ns flow.Namespace, f func(ids []string) error) error {
	r, err := s.route(ns)
	if err != nil || r.Delete == DeleteKeep {
		return err
	}
	if s.places != nil {
		return s.scanPlaced(ctx, ns, r, f)
	}
	x, _, err := s.client.lookup(ctx, r.Index)
	if err != nil || x == nil {
		return err
	}
	if err := s.client.refresh(ctx, x.name); err != nil {
		return err
	}
	return s.client.scan(ctx, x.name, unmarked(r), false, func(page []hit) error {
		ids := make([]string, len(page))
		for i := range page {
			ids[i] = page[i].ID
		}
		return f(ids)
	})
}

// unmarked is the query for documents without a mark of the route's policies.
func unmarked(r Route) string {
	var marks []string
	if r.Delete == DeleteMark {
		marks = append(marks, `{"exists":{"field":"`+deletedField+`.at"}}`)
	}
	if r.Archive == ArchiveMark {
		marks = append(marks, `{"exists":{"field":"`+archivedField+`.at"}}`)
	}
	if len(marks) == 0 {
		return `{"match_all":{}}`
	}
	return `{"bool":{"must_not":[` + strings.Join(marks, ",") + `]}}`
}

// scan reads all documents that fit the query, in the order of the shards:
// sorting by _id is refused by newer versions, and costs memory in older ones.
func (c *Client) scan(ctx context.Context, index, query string, source bool, f func([]hit) error) error {
	body := fmt.Sprintf(`{"size":%d,"query":%s,"sort":["_doc"],"_source":%t}`, scanPage, query, source)
	return scroll(ctx, c, index, url.PathEscape(index), body, "hits.hits._id,hits.hits._source", f)
}

// scroll reads all that a search finds, page by page. path names the indexes,
// escaped; want says which parts of the hits are asked for.
func scroll[H any](ctx context.Context, c *Client, index, path, body, want string, f func([]H) error) error {
	filter := "filter_path=_scroll_id,timed_out,_shards.failed," + want
	r := post("/"+path+"/_search?scroll="+scanKeep+"&"+filter, []byte(body))
	scroll := ""
	defer func() { c.endScroll(ctx, scroll) }()
	for {
		var page struct {
			Scroll   string `json:"_scroll_id"`
			TimedOut bool   `json:"timed_out"`
			Shards   struct {
				Failed int `json:"failed"`
			} `json:"_shards"`
			Hits struct {
				Hits []H `json:"hits"`
			} `json:"hits"`
		}
		if err := c.call(ctx, "scan index", index, r, &page); err != nil {
			return scanError(index, err)
		}
		if page.Scroll != "" {
			scroll = page.Scroll
		}
		if page.TimedOut || page.Shards.Failed > 0 {
			return &flow.Error{Op: "scan index", Object: index, Class: flow.Transient, Err: errShards}
		}
		if len(page.Hits.Hits) == 0 {
			return nil
		}
		if err := f(page.Hits.Hits); err != nil {
			return err
		}
		next, err := json.Marshal(map[string]string{"scroll": scanKeep, "scroll_id": scroll})
		if err != nil {
			return err
		}
		r = post("/_search/scroll?"+filter, next)
	}
}

// scanError makes the end of a scan's keeping a passing failure.
func scanError(index string, err error) error {
	e := apiErrorOf(err)
	if e.Status == http.StatusNotFound && e.Type != "index_not_found_exception" {
		return &flow.Error{Op: "scan index", Object: index, Class: flow.Transient, Err: errors.Join(errors.New("the engine has forgotten the scan"), e)}
	}
	return err
}

// endScroll lets the engine forget a scan; it would do so by itself, later.
func (c *Client) endScroll(ctx context.Context, scroll string) {
	if scroll == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	body, err := json.Marshal(map[string]any{"scroll_id": []string{scroll}})
	if err != nil {
		return
	}
	r := del("/_search/scroll")
	r.body = body
	_, _ = c.do(ctx, r, nil)
}
