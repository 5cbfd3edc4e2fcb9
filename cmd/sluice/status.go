package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"sluice/internal/app"
	"sluice/internal/flow"
)

type statusCmd struct {
	URL   string `default:"http://127.0.0.1:9630" help:"Where the running sluice listens."`
	Token string `env:"SLUICE_HTTP_TOKEN" help:"Its http.token, if it has one."`
	JSON  bool   `help:"Print the whole answer as JSON."`
}

// Run asks a running sluice for its status and prints it.
func (s *statusCmd) Run(ctx context.Context, out stdio) error {
	body, err := s.fetch(ctx)
	if err != nil {
		return err
	}
	if s.JSON {
		say(out.out, string(bytes.TrimSpace(body)))
		return nil
	}
	var st app.Status
	if err := json.Unmarshal(body, &st); err != nil {
		return fmt.Errorf("the answer of %s is no status of sluice: %w", s.URL, err)
	}
	say(out.out, st.Text())
	return nil
}

func (s *statusCmd) fetch(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(s.URL, "/")+"/status", nil)
	if err != nil {
		return nil, &flow.Error{Op: "read --url", Object: s.URL, Class: flow.Config, Err: err}
	}
	if s.Token != "" {
		req.Header.Set("Authorization", "Bearer "+s.Token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, &flow.Error{
			Op: "ask", Object: s.URL, Class: flow.Transient, Err: err,
			Hint: "is sluice running there? http.listen in its configuration says where it listens",
		}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &flow.Error{
			Op: "ask", Object: s.URL, Class: flow.Auth,
			Err: fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(body)), Hint: "a 401 wants --token, the http.token of its configuration",
		}
	}
	return body, nil
}
