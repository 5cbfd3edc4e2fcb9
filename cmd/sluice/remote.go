package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"sluice/internal/flow"
)

// remote is a running sluice.
type remote struct {
	URL   string `default:"http://127.0.0.1:9630" help:"Where the running sluice listens."`
	Token string `env:"SLUICE_HTTP_TOKEN" help:"Its http.token, if it has one."`
}

// askTimeout is what an answer may take.
const askTimeout = 10 * time.Second

// ask sends a request without a body and returns the answer's.
func (r *remote) ask(ctx context.Context, method, path string) ([]byte, error) {
	return r.askFor(ctx, method, path, askTimeout)
}

// askFor is ask for what may take longer.
func (r *remote) askFor(ctx context.Context, method, path string, timeout time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(r.URL, "/")+path, nil)
	if err != nil {
		return nil, &flow.Error{Op: "read --url", Object: r.URL, Class: flow.Config, Err: err}
	}
	if r.Token != "" {
		req.Header.Set("Authorization", "Bearer "+r.Token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, &flow.Error{
			Op: "ask", Object: r.URL, Class: flow.Transient, Err: err,
			Hint: "is sluice running there? http.listen in its configuration says where it listens",
		}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return nil, err
	}
	return body, r.refused(resp, body)
}

// refused is the error of an answer that is none.
func (r *remote) refused(resp *http.Response, body []byte) error {
	if resp.StatusCode < 300 {
		return nil
	}
	e := &flow.Error{Op: "ask", Object: r.URL, Class: flow.Auth, Err: fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(body))}
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		e.Hint = "it wants --token, the http.token of its configuration"
	case http.StatusNotFound:
		e.Class, e.Hint = flow.Fatal, "does that sluice have what is asked for? its configuration may have no rules to archive, or not this one, or no such flow"
	case http.StatusConflict:
		e.Class, e.Err = flow.Conflict, errors.New(strings.TrimSpace(string(body)))
	case http.StatusBadRequest:
		e.Class, e.Err = flow.Config, errors.New(strings.TrimSpace(string(body)))
	case http.StatusServiceUnavailable:
		e.Class, e.Err = flow.Transient, errors.New(strings.TrimSpace(string(body)))
	default:
		e.Class = flow.Fatal
	}
	return e
}
