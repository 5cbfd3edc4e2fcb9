package search

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/testkit/scriptsearch"
)

// TestS7ErrorList: whatever comes between, what is sent again as the verdicts
// say ends in the index once, at its own version, and nothing is put aside.
func TestS7ErrorList(t *testing.T) {
	half := func(_ int, a scriptsearch.Action) bool { return a.ID < "m" }
	twice := func(s scriptsearch.Step) scriptsearch.Step { s.Times = 2; return s }
	type S = []scriptsearch.Step
	list := map[string]S{
		"413":                     {scriptsearch.TooLarge(), scriptsearch.TooLarge()},
		"429 of an item":          {scriptsearch.RejectItems(scriptsearch.Nth(1))},
		"429 of the whole":        {twice(scriptsearch.Reject())},
		"429 by a full disk":      {twice(scriptsearch.FloodStage(scriptsearch.All))},
		"429 by a full disk once": {scriptsearch.FloodStage(scriptsearch.Nth(0))},
		"403 by a block":          {scriptsearch.Blocked(scriptsearch.All)},
		"closed":                  {scriptsearch.Closed(scriptsearch.All)},
		"502":                     {twice(scriptsearch.BadGateway())},
		"503":                     {scriptsearch.Whole(503, "cluster_block_exception", "blocked by: [SERVICE_UNAVAILABLE/1/state not recovered / initialized];")},
		"504 without words":       {{Whole: &scriptsearch.Answer{Status: 504}}},
		"half bulk":               {scriptsearch.RejectItems(half)},
		"half bulk, then cut off": {scriptsearch.RejectItems(half), scriptsearch.Lose()},
		"hang":                    {scriptsearch.Hang()},
		"dropped":                 {scriptsearch.Drop()},
		"lost":                    {twice(scriptsearch.Lose())},
		"an answer of nothing":    {{Mangle: func([]byte) []byte { return nil }}},
		"an answer of zeros":      {{Mangle: func(b []byte) []byte { return make([]byte, len(b)) }}},
		"an answer of others":     {{Mangle: func([]byte) []byte { return []byte(`{"errors":false,"items":[]}`) }}},
	}
	for name, steps := range list {
		t.Run(name, func(t *testing.T) { survives(t, steps) })
	}
	// Each place at which an answer can be cut: inside names, numbers, texts, escapes,
	// and between them; with all done, and with an error in it.
	for at := range 240 {
		survives(t, S{scriptsearch.CutAt(at)})
		cut := scriptsearch.RejectItems(scriptsearch.Nth(2))
		cut.Cut, cut.CutAt = true, at
		survives(t, S{cut})
	}
}

// survives writes until all is settled, and compares what the engine then has.
func survives(t *testing.T, steps []scriptsearch.Step) {
	t.Helper()
	s := scriptsearch.New(t, scriptsearch.Options{})
	defer s.Close()
	o := testOptions(t, s.URL(), Route{})
	o.Timeout = 100 * time.Millisecond
	if !slices.ContainsFunc(steps, func(s scriptsearch.Step) bool { return s.Hang }) {
		o.Timeout = 10 * time.Second
	}
	c, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Sink().Prepare(t.Context(), flow.Namespace{DB: "shop", Coll: "orders"}); err != nil {
		t.Fatal(err)
	}
	todo := []flow.Change{
		write(t, "a\"ü", 5, bson.E{Key: "n", Value: 1}), remove(t, "b", 5), write(t, "n", 5, bson.E{Key: "n", Value: 2}), write(t, "o", 5, bson.E{Key: "n", Value: 3}),
	}
	s.Script(steps...)
	for round := 0; len(todo) > 0; round++ {
		if round > 20 {
			t.Fatalf("%d changes never got through", len(todo))
		}
		vs, err := c.Sink().Write(t.Context(), flow.Batch{Changes: todo})
		if err != nil {
			if flow.ClassOf(err) != flow.Transient || errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			continue // nothing is known: all of it again
		}
		var again []flow.Change
		for i, v := range vs {
			switch v.Outcome {
			case flow.Done, flow.Superseded:
			case flow.Retry:
				again = append(again, todo[i])
			default:
				t.Fatalf("%s %s: %v", v.Outcome, v.Reason, v.Err)
			}
		}
		todo = again
	}
	if n := s.Pending(); n > 0 {
		t.Errorf("%d steps were never reached", n)
	}
	got := map[string]string{}
	for id, d := range s.Docs("orders") {
		if !d.Deleted {
			got[id] = fmt.Sprint(d.Version, string(d.Source))
		}
	}
	want := map[string]string{"a\"ü": `5{"n":1}`, "n": `5{"n":2}`, "o": `5{"n":3}`}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// cuttingTransport ends the connection while a large body is sent, as an engine
// does whose answer 413 is lost.
type cuttingTransport struct {
	next  http.RoundTripper
	limit int64
}

func (c cuttingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.ContentLength > c.limit {
		_ = r.Body.Close()
		return nil, &net.OpError{Op: "readfrom", Net: "tcp", Err: &net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE}}
	}
	return c.next.RoundTrip(r)
}

// TestS7CutWhileSending: a body that is cut off each time goes in halves; one
// document alone that is, is tried again.
func TestS7CutWhileSending(t *testing.T) {
	s := newScript(t)
	s.do(bulkOrders, bulkDone)
	next := &http.Transport{}
	t.Cleanup(next.CloseIdleConnections)
	f := func(limit int64, want string, transient bool) {
		t.Helper()
		o := s.options(Route{})
		o.Transport = cuttingTransport{next, limit}
		vs, err := openTest(t, o).Sink().Write(t.Context(), batch(write(t, "a", 1), write(t, "b", 1), write(t, "c", 1), write(t, "d", 1)))
		if outcomes(vs) != want && !transient || transient != (flow.ClassOf(err) == flow.Transient) {
			t.Errorf("%d: %s %v", limit, outcomes(vs), err)
		}
	}
	f(1<<20, "done done done done", false)
	f(130, "done done done done", false)
	f(10, "", true)
}
