package search

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"log/slog"
	"time"

	"sluice/internal/flow"
)

// maxTraced bounds what the log shows of one body.
const maxTraced = 64 << 10

// trace shows a request to a node, and what became of it, if that is asked for.
// Headers, which hold logins and signatures, never are.
func (c *Client) trace(ctx context.Context, n *node, r *request, ans *answer, err error, took time.Duration) {
	if !c.opts.Trace {
		return
	}
	attrs := []slog.Attr{slog.Duration("took", took)}
	if len(r.body) > 0 {
		attrs = append(attrs, slog.Int("request_bytes", len(r.body)), slog.String("request", r.shown()))
	}
	if err != nil {
		attrs = append(attrs, slog.Any(flow.LogErr, err))
	} else {
		attrs = append(attrs, slog.Int("status", ans.status), slog.Int("answer_bytes", len(ans.body)), slog.String("answer", cutTrace(ans.body)))
	}
	c.log.LogAttrs(ctx, flow.LevelTrace, r.method+" "+n.base+r.path, attrs...)
}

// shown is the start of the body of a request as it was before compression.
func (r *request) shown() string {
	if !r.gzipped {
		return cutTrace(r.body)
	}
	z, err := gzip.NewReader(bytes.NewReader(r.body))
	if err != nil {
		return "" // can't be: we compressed it
	}
	b, _ := io.ReadAll(io.LimitReader(z, maxTraced+1)) // what there is of it is shown
	return cutTrace(b)
}

// cutTrace is the start of a body, with a mark if there is more.
func cutTrace(b []byte) string {
	if len(b) > maxTraced {
		return string(b[:maxTraced]) + "…"
	}
	return string(b)
}
