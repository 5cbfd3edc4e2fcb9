package search

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sluice/internal/flow"
)

// bulkRefresh is the refresh interval of an index while a snapshot fills it.
const bulkRefresh = 30 * time.Second

// Apply does what a control asks of the index; applying one twice is harmless.
// Everything before it must be settled, and nothing of the namespace in flight.
func (s *Sink) Apply(ctx context.Context, c flow.Control) error {
	if s.places != nil {
		return s.applyPlaced(ctx, c)
	}
	if s.streams != nil {
		return s.applyStream(ctx, c)
	}
	switch c.Kind {
	case flow.ControlDropped:
		if err := s.dropped(ctx, c); err != nil {
			return err
		}
		return s.Restore(ctx, c.NS) // a copy that was under way has no end
	case flow.ControlCreated, flow.ControlReplaced:
		return s.Prepare(ctx, c.NS)
	case flow.ControlSnapshotBegin:
		if err := s.Prepare(ctx, c.NS); err != nil {
			return err
		}
		return s.slowRefresh(ctx, c.NS)
	case flow.ControlSnapshotDone:
		if err := s.Restore(ctx, c.NS); err != nil {
			return err
		}
		t, err := s.target(ctx, c.NS)
		if err != nil {
			return err
		}
		return s.client.refresh(ctx, t.concrete)
	}
	return nil
}

// slowRefresh lets the index refresh seldom while a snapshot fills it. The
// former setting goes into the index's _meta first, so that no crash loses it.
func (s *Sink) slowRefresh(ctx context.Context, ns flow.Namespace) error {
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	x, m, err := s.ours(ctx, ns)
	if err != nil || x == nil || m.RefreshInterval != nil || s.scheme.monstache && !m.Created {
		return err // what Monstache has filled is taken as it is
	}
	now := x.setting("index.refresh_interval")
	if d, ok := parseTime(now); ok && (d < 0 || d >= bulkRefresh) {
		return nil // slow already, by the user's will
	}
	m.RefreshInterval = &now
	err = s.client.putMeta(ctx, x, m)
	if err == nil {
		err = s.client.putRefresh(ctx, x.name, seconds(bulkRefresh))
	}
	if e := apiErrorOf(err); e.Status == http.StatusForbidden {
		s.client.log.LogAttrs(ctx, slog.LevelInfo, "the index keeps its refresh interval during the snapshot",
			slog.String(flow.LogIndex, x.name), slog.String(flow.LogReason, e.Error()))
		return nil
	}
	return err
}

// Restore puts the refresh interval back that a snapshot has changed, unless
// somebody else has changed it since: at the end of a snapshot, and when the flow
// starts, for what is not copied now, because a copy may have been killed.
func (s *Sink) Restore(ctx context.Context, ns flow.Namespace) error {
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	x, m, err := s.ours(ctx, ns)
	if err != nil || x == nil || m.RefreshInterval == nil {
		return err
	}
	if x.setting("index.refresh_interval") == seconds(bulkRefresh) {
		if err := s.client.putRefresh(ctx, x.name, *m.RefreshInterval); err != nil && apiErrorOf(err).Status != http.StatusForbidden {
			return err
		}
	}
	m.RefreshInterval = nil
	return s.client.putMeta(ctx, x, m)
}

// ours looks up the index of ns and our part of its _meta; nil if there is
// no index, or none of ours.
func (s *Sink) ours(ctx context.Context, ns flow.Namespace) (*indexInfo, *meta, error) {
	r, err := s.route(ns)
	if err != nil || s.places != nil && s.places.Prefix != nil || s.streams != nil {
		return nil, nil, err
	}
	x, _, err := s.client.lookup(ctx, r.Index)
	if err != nil || x == nil {
		return nil, nil, err
	}
	m := x.meta()
	if !m.isOurs(x.name, &s.client.opts) {
		return nil, nil, nil
	}
	return x, m, nil
}

// putRefresh sets the refresh interval; "" is the engine's default.
func (c *Client) putRefresh(ctx context.Context, index, interval string) error {
	var value any
	if interval != "" {
		value = interval
	}
	body, err := json.Marshal(map[string]any{"index.refresh_interval": value})
	if err != nil {
		return err
	}
	return c.call(ctx, "set refresh interval of index", index, put("/"+url.PathEscape(index)+"/_settings", body), nil)
}

// parseTime reads the engine's notation of durations: 30s, 1m, -1.
func parseTime(s string) (time.Duration, bool) {
	if s == "-1" {
		return -1, true
	}
	for _, u := range []struct {
		suffix string
		unit   time.Duration
	}{
		{"nanos", time.Nanosecond},
		{"micros", time.Microsecond},
		{"ms", time.Millisecond},
		{"s", time.Second},
		{"m", time.Minute},
		{"h", time.Hour},
		{"d", 24 * time.Hour},
	} {
		if digits, ok := strings.CutSuffix(s, u.suffix); ok {
			n, err := strconv.ParseFloat(digits, 64)
			return time.Duration(n * float64(u.unit)), err == nil
		}
	}
	return 0, false
}
