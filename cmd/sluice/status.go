package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"sluice/internal/app"
)

type statusCmd struct {
	remote
	JSON bool `help:"Print the whole answer as JSON."`
}

// Run asks a running sluice for its status and prints it.
func (s *statusCmd) Run(ctx context.Context, out stdio) error {
	body, err := s.ask(ctx, http.MethodGet, "/status")
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
