package search

import (
	"context"
	"net/url"
)

// AddDocument indexes body, a JSON object, under an id that the engine makes. What
// fails may be there all the same.
func (c *Client) AddDocument(ctx context.Context, index string, body []byte) error {
	r := post("/"+url.PathEscape(index)+"/_doc", body)
	r.unique = true
	return c.call(ctx, "index a document", index, r, nil)
}
