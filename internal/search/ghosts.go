package search

import (
	"context"
	"fmt"
	"net/url"

	"sluice/internal/flow"
)

// Ghosts scans an index and deletes from it where documents have no versions
// (WriteUpdate): what has changed since it was scanned stays. One goroutine uses it.
type Ghosts struct {
	sink *Sink
	// seen is the page at hand, by id.
	seen map[string]sequence
}

// sequence tells the state of one document from every other.
type sequence struct{ no, term int64 }

var _ flow.Sink = (*Ghosts)(nil)

// Ghosts returns one for a scan.
func (s *Sink) Ghosts() *Ghosts { return &Ghosts{sink: s} }

// sequenced is a hit with its sequence.
type sequenced struct {
	ID   string `json:"_id"`
	No   int64  `json:"_seq_no"`
	Term int64  `json:"_primary_term"`
}

// Scan is ScanIDs. What Write is given must have been on the page that f had last.
func (g *Ghosts) Scan(ctx context.Context, ns flow.Namespace, f func(ids []string) error) error {
	r, err := g.sink.route(ns)
	if err != nil || r.Delete == DeleteKeep {
		return err
	}
	c := g.sink.client
	x, _, err := c.lookup(ctx, r.Index)
	if err != nil || x == nil {
		return err
	}
	if err := c.refresh(ctx, x.name); err != nil {
		return err
	}
	body := fmt.Sprintf(`{"size":%d,"query":%s,"sort":["_doc"],"_source":false,"seq_no_primary_term":true}`, scanPage, unmarked(r))
	const want = "hits.hits._id,hits.hits._seq_no,hits.hits._primary_term"
	return scroll(ctx, c, x.name, url.PathEscape(x.name), body, want, func(page []sequenced) error {
		g.seen = make(map[string]sequence, len(page))
		ids := make([]string, len(page))
		for i, h := range page {
			ids[i], g.seen[h.ID] = h.ID, sequence{h.No, h.Term}
		}
		return f(ids)
	})
}

// Write is Sink.Write for deletes of what was scanned; one that has changed since is
// superseded.
func (g *Ghosts) Write(ctx context.Context, b flow.Batch) ([]flow.Verdict, error) {
	if err := g.sink.waitForEarlier(ctx); err != nil {
		return nil, err
	}
	return g.sink.writeBatch(ctx, b, g.seen)
}
