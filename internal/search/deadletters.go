package search

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"

	"sluice/internal/flow"
)

// DeadLetterIndex keeps small JSON documents by id in an index of its own, for
// the dead letters. One goroutine uses it at a time.
type DeadLetterIndex struct {
	client *Client
	index  string
	made   atomic.Bool
}

// DeadLetters returns the store of an index, which is made with the first Put.
func (c *Client) DeadLetters(index string) *DeadLetterIndex {
	return &DeadLetterIndex{client: c, index: index}
}

// Put writes body, a JSON object, under id (at most 512 bytes) in the place of
// what is there; when it returns nil, that is durable.
func (d *DeadLetterIndex) Put(ctx context.Context, id string, body []byte) error {
	if !d.made.Load() {
		if err := d.client.makeOwnIndex(ctx, d.index); err != nil {
			return err
		}
		d.made.Store(true)
	}
	path := "/" + url.PathEscape(d.index) + "/_doc/" + url.PathEscape(id)
	return d.client.call(ctx, "write dead letter", d.index, put(path, body), nil)
}

// Remove takes documents away; ids without one are no error.
func (d *DeadLetterIndex) Remove(ctx context.Context, ids []string) error {
	for len(ids) > 0 {
		n := min(len(ids), 1000)
		if err := d.remove(ctx, ids[:n]); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

func (d *DeadLetterIndex) remove(ctx context.Context, ids []string) error {
	var body bytes.Buffer
	for _, id := range ids {
		line, err := json.Marshal(map[string]any{"delete": map[string]string{"_id": id}})
		if err != nil {
			return err
		}
		body.Write(line)
		body.WriteByte('\n')
	}
	r := post("/"+url.PathEscape(d.index)+"/_bulk?filter_path=errors,items.*.status,items.*.error", body.Bytes())
	r.ndjson = true
	ans, err := d.client.do(ctx, r, nil)
	if err != nil {
		return err
	}
	if ans.status != http.StatusOK {
		return failure("remove dead letters", d.index, parseError(ans))
	}
	return eachResult(ans.body, len(ids), func(_ int, r result) error {
		if r.status/100 == 2 || r.status == http.StatusNotFound {
			return nil
		}
		var b errorBody
		_ = json.Unmarshal(r.err, &b) // without it the status has to do
		return failure("remove dead letters", d.index, b.apiError(r.status))
	})
}

// Scan calls f with every document, in no order, until f returns an error,
// which it returns. It sees every Put that has returned. No index is no error.
func (d *DeadLetterIndex) Scan(ctx context.Context, f func(id string, body []byte) error) error {
	if err := d.client.refresh(ctx, d.index); err != nil {
		return err
	}
	err := d.client.scan(ctx, d.index, `{"match_all":{}}`, true, func(page []hit) error {
		for _, h := range page {
			if err := f(h.ID, h.Source); err != nil {
				return fmt.Errorf("dead letter %s: %w", h.ID, err)
			}
		}
		return nil
	})
	if apiErrorOf(err).Type == "index_not_found_exception" {
		return nil
	}
	return err
}

// Count returns how many documents there are, for reports.
func (d *DeadLetterIndex) Count(ctx context.Context) (int64, error) {
	n, err := d.client.count(ctx, d.index)
	if apiErrorOf(err).Status == http.StatusNotFound {
		return 0, nil
	}
	if err != nil {
		return 0, &flow.Error{Op: "count dead letters in", Object: d.index, Class: flow.ClassOf(err), Err: err}
	}
	return n, nil
}
