package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"sluice/internal/flow"
)

// told notes commands and answers by the name of the flow.
type told struct{ last FlowCommand }

func (c *told) Command(_ context.Context, cmd FlowCommand) (any, error) {
	c.last = cmd
	class := map[string]flow.Class{"config": flow.Config, "conflict": flow.Conflict, "transient": flow.Transient, "fatal": flow.Fatal}
	switch {
	case cmd.Flow == "none":
		return nil, fmt.Errorf("none: %w", ErrNoFlow)
	case cmd.Flow == "slow":
		return nil, context.DeadlineExceeded
	case class[cmd.Flow] != 0:
		return nil, &flow.Error{Op: "x", Class: class[cmd.Flow], Err: errors.New("why"), Hint: "how"}
	}
	return map[string]int{"closed": 3}, nil
}

func TestS7FlowCommands(t *testing.T) {
	c := &told{}
	s := start(t, Options{Flows: c})
	f := func(method, path string, want FlowCommand) {
		t.Helper()
		code, h, body := ask(t, s, request{method: method, path: path})
		if code != http.StatusOK || h.Get("Content-Type") != "application/json" || !strings.Contains(body, `"closed": 3`) {
			t.Errorf("%s: %d %s", path, code, body)
		}
		if !reflect.DeepEqual(c.last, want) {
			t.Errorf("%s: %+v, want %+v", path, c.last, want)
		}
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	f("GET", "/flows/a/deadletters?ns=b.c&reason=r&key=1&key=2&errors=1&limit=7",
		FlowCommand{Flow: "a", Verb: FlowLetters, NS: "b.c", Keys: []string{"1", "2"}, Reason: "r", Errors: true, Limit: 7})
	f("POST", "/flows/a/deadletters/retry?before="+at.Format(time.RFC3339Nano), FlowCommand{Flow: "a", Verb: FlowRetry, Before: at, Limit: defaultLetters})
	f("POST", "/flows/a/deadletters/drop?all=true", FlowCommand{Flow: "a", Verb: FlowDrop, All: true, Limit: defaultLetters})
	f("POST", "/flows/a/resync?ns=b.c", FlowCommand{Flow: "a", Verb: FlowResync, NS: "b.c", Limit: defaultLetters})
	f("POST", "/flows/a/pause?reason=x", FlowCommand{Flow: "a", Verb: FlowPause, Reason: "x", Limit: defaultLetters})
	f("POST", "/flows/a/resume", FlowCommand{Flow: "a", Verb: FlowResume, Limit: defaultLetters})
}

func TestS7FlowCommandsRefused(t *testing.T) {
	s := start(t, Options{Flows: &told{}})
	f := func(method, path string, want int) {
		t.Helper()
		if code, _, body := ask(t, s, request{method: method, path: path}); code != want {
			t.Errorf("%s %s: %d %s, want %d", method, path, code, body, want)
		}
	}
	f("POST", "/flows/none/pause", 404)
	f("POST", "/flows/config/pause", 400)
	f("POST", "/flows/conflict/pause", 409)
	f("POST", "/flows/transient/pause", 503)
	f("POST", "/flows/slow/pause", 503)
	f("POST", "/flows/fatal/pause", 500)
	f("GET", "/flows/a/pause", 405)
	f("GET", "/flows/a/deadletters/retry", 405)
	for _, q := range []string{"limit=x", "limit=-1", "before=now", "all=perhaps", "errors=2"} {
		f("GET", "/flows/a/deadletters?"+q, 400)
	}
	// Not for pages of other sites, nor by names that are not ours.
	if code, _, _ := ask(t, s, request{method: "POST", path: "/flows/a/pause", host: "evil.example"}); code != 403 {
		t.Errorf("a foreign Host: %d", code)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.Addr().String()+"/flows/a/pause", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "https://evil.example")
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != 403 {
		t.Errorf("a page of another site: %d, %v", resp.StatusCode, err)
	}
	bare := start(t, Options{})
	if code, _, _ := ask(t, bare, request{method: "POST", path: "/flows/a/pause"}); code != 404 {
		t.Errorf("without flows: %d", code)
	}
	guarded := start(t, Options{Flows: &told{}, Token: "0123456789-abc"})
	if code, _, _ := ask(t, guarded, request{method: "POST", path: "/flows/a/pause"}); code != 401 {
		t.Errorf("without the token: %d", code)
	}
}
