package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"sluice/internal/testkit"
)

// probe is a call that fails in a known way where a part of the engine is missing.
type probe struct {
	name               string
	product            string // "" is each
	method, path, body string
	// lacks: with a status of 400, 404 or 405 and one of these words in the
	// answer the part is missing.
	lacks []string
	undo  string
}

// noHandler is what both products say to a call that no module serves.
const noHandler = "no handler found"

func probes() []probe {
	return []probe{
		{name: "`GET /`", method: "GET", path: "/", lacks: []string{""}},
		{
			name: "painless", method: "PUT", path: "/_scripts/sluice-matrix", body: `{"script":{"lang":"painless","source":"1"}}`,
			lacks: []string{"painless"}, undo: "/_scripts/sluice-matrix",
		},
		{name: "reindex", method: "POST", path: "/_reindex", body: `{}`, lacks: []string{noHandler, "Incorrect HTTP method"}},
		{
			name: "update and delete by query", method: "POST", path: "/sluice-matrix-none/_delete_by_query", body: `{"query":{"match_all":{}}}`,
			lacks: []string{noHandler, "mapping type"}, // of old, what follows an index is a type
		},
		{
			name: "ingest processors", method: "PUT", path: "/_ingest/pipeline/sluice-matrix", body: `{"processors":[{"set":{"field":"a","value":1}}]}`,
			lacks: []string{"processor"}, undo: "/_ingest/pipeline/sluice-matrix",
		},
		{
			name: "join fields", method: "PUT", path: "/sluice-matrix", body: `{"mappings":{"properties":{"j":{"type":"join","relations":{"a":"b"}}}}}`,
			lacks: []string{"[join]"}, undo: "/sluice-matrix",
		},
		{name: "data streams", method: "GET", path: "/_data_stream", lacks: []string{noHandler, "data_stream"}},
		{name: "users and logins (a plug-in)", product: testkit.OpenSearch, method: "GET", path: "/_plugins/_security/health", lacks: []string{noHandler, "_plugins"}},
	}
}

// missing names the parts that the engine of a product at url lacks.
func missing(ctx context.Context, product, url string) ([]string, error) {
	var names []string
	for _, p := range probes() {
		if p.product != "" && p.product != product {
			continue
		}
		status, body, err := p.call(ctx, url)
		if err != nil {
			return nil, err
		}
		if status != http.StatusBadRequest && status != http.StatusNotFound && status != http.StatusMethodNotAllowed {
			continue
		}
		for _, word := range p.lacks {
			if strings.Contains(body, word) {
				names = append(names, p.name)
				break
			}
		}
	}
	return names, nil
}

func (p probe) call(ctx context.Context, url string) (int, string, error) {
	status, body, err := send(ctx, p.method, url+p.path, p.body)
	if err == nil && p.undo != "" && status < 300 {
		_, _, err = send(ctx, http.MethodDelete, url+p.undo, "")
	}
	return status, body, err
}

func send(ctx context.Context, method, url, body string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", fmt.Errorf("%s %s: %w", method, url, err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}
