package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// get reads a JSON answer of the search server.
func (d *demo) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.search.URL()+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// count refreshes the index and counts its documents.
func (d *demo) count(ctx context.Context) (int64, error) {
	var ignored map[string]any
	if err := d.get(ctx, "/shop.orders/_refresh", &ignored); err != nil {
		return 0, err
	}
	var answer struct {
		Count int64 `json:"count"`
	}
	err := d.get(ctx, "/shop.orders/_count", &answer)
	return answer.Count, err
}

// find searches for q until it has hits, and tells how long that took.
func (d *demo) find(ctx context.Context, q string) (hits int, took time.Duration, err error) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var answer struct {
			Hits struct {
				Total struct {
					Value int `json:"value"`
				} `json:"total"`
			} `json:"hits"`
		}
		err := d.get(ctx, "/shop.orders/_search?q="+url.QueryEscape(q), &answer)
		if err == nil && answer.Hits.Total.Value > 0 {
			return answer.Hits.Total.Value, time.Since(start), nil
		}
		select {
		case <-ctx.Done():
			return 0, 0, fmt.Errorf("search for %q: %w", q, ctx.Err())
		case <-tick.C:
		}
	}
}
