package search

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"sluice/internal/flow"
)

// traced runs f with a client that traces, and returns what was logged.
func traced(t *testing.T, o Options, f func(*Client)) string {
	t.Helper()
	var out bytes.Buffer
	o.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: flow.LevelTrace}))
	c, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	f(c)
	c.Close()
	return out.String()
}

// TestTraceShowsBodiesAndNoLogin: what goes over the wire is told, but nothing of
// the login, wherever it was given.
func TestTraceShowsBodiesAndNoLogin(t *testing.T) {
	s := newScript(t)
	s.say("POST /stats/_doc", 201, `{"result":"created"}`)
	withLogin := strings.Replace(s.srv.URL, "http://", "http://user:hunter2@", 1)
	for _, o := range []Options{
		{URLs: []string{withLogin}, Trace: true},
		{URLs: []string{s.srv.URL}, Trace: true, Auth: Auth{APIKey: "hunter2"}},
	} {
		got := traced(t, o, func(c *Client) {
			if err := c.AddDocument(t.Context(), "stats", []byte(`{"a":"`+strings.Repeat("x", 100<<10)+`"}`)); err != nil {
				t.Fatal(err)
			}
		})
		for _, want := range []string{"GET " + s.srv.URL + "/", "POST " + s.srv.URL + "/stats/_doc", "status=201", "request_bytes=102408", "xxx…", `answer="{\"result\":\"created\"}"`} {
			if !strings.Contains(got, want) {
				t.Errorf("the log lacks %q:\n%.500s", want, got)
			}
		}
		for _, secret := range []string{"hunter2", "dXNlcjpodW50ZXIy", "Authorization", "Basic", "ApiKey"} {
			if strings.Contains(got, secret) {
				t.Errorf("the log has %q", secret)
			}
		}
		if n := len(got); n > 70<<10 {
			t.Errorf("the log has %d bytes of a body of 100 KiB", n)
		}
	}
}

// TestTraceShowsWhatWasCompressed: a body is shown as it was before.
func TestTraceShowsWhatWasCompressed(t *testing.T) {
	var z zipper
	body, err := z.zip([]byte(`{"index":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := (&request{body: body, gzipped: true}).shown(); got != `{"index":{}}` {
		t.Errorf("%q", got)
	}
}

func TestTraceOnlyIfAsked(t *testing.T) {
	if got := traced(t, Options{URLs: []string{newScript(t).srv.URL}}, func(*Client) {}); strings.Contains(got, "GET ") {
		t.Errorf("the log has %s", got)
	}
}
