package search

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// Every write carries its version, by which a replay is harmless and an older
// one is refused, and an alias that has to be one.
func TestS1WriteBody(t *testing.T) {
	s := newScript(t)
	s.do(bulkOrders, bulkDone)
	sink := s.sink(Route{})
	skip := write(t, "s", 1)
	skip.Op = flow.OpSkip
	vs, err := sink.Write(t.Context(), batch(write(t, "a", 7, bson.E{Key: "n", Value: "x\ny"}), skip, remove(t, `q"1`, 8)))
	if err != nil || outcomes(vs) != "done done done" {
		t.Fatal(outcomes(vs), err)
	}
	want := `{"index":{"_id":"a","version":7,"version_type":"external_gte"}}` + "\n" +
		`{"n":"x\ny"}` + "\n" +
		`{"delete":{"_id":"q\"1","version":8,"version_type":"external_gte"}}` + "\n"
	c := s.seen(bulkOrders)[0]
	if c.body != want {
		t.Fatalf("body\n%s\nwant\n%s", c.body, want)
	}
	for _, part := range []string{"require_alias=true", "filter_path=errors,items.*.status,items.*.error", "timeout=30s"} {
		if !strings.Contains(c.query, part) {
			t.Errorf("the query %s lacks %s", c.query, part)
		}
	}
	if got := c.head.Get("Content-Type"); got != "application/x-ndjson" {
		t.Error(got)
	}
}

func TestWriteGzip(t *testing.T) {
	s := newScript(t)
	s.do(bulkOrders, bulkDone)
	o := s.options(Route{})
	o.Gzip = true
	sink := openTest(t, o).Sink()
	for range 3 { // the writer is kept
		vs, err := sink.Write(t.Context(), batch(write(t, "a", 7), write(t, "b", 7)))
		if err != nil || outcomes(vs) != "done done" {
			t.Fatal(outcomes(vs), err)
		}
	}
	for _, c := range s.seen(bulkOrders) {
		if strings.Count(c.body, "\n") != 4 || c.head.Get("Content-Encoding") != "gzip" {
			t.Fatal(c)
		}
	}
}

// Documents of several namespaces share a body; each names its index, and
// whether it has to be an alias.
func TestWriteMixedNamespaces(t *testing.T) {
	s := newScript(t)
	s.say("GET /users", 200, `{"users":{"aliases":{},"mappings":{},"settings":{"index.uuid":"u2"}}}`)
	s.say("PUT /users/_mapping", 200, `{}`)
	s.do(bulkOrders, bulkDone)
	other := write(t, "u", 3)
	other.NS.Coll = "users"
	vs, err := s.sink(Route{}).Write(t.Context(), batch(write(t, "a", 7), other, write(t, "b", 7)))
	if err != nil || outcomes(vs) != "done done done" {
		t.Fatal(outcomes(vs), err)
	}
	lines := strings.Split(s.seen(bulkOrders)[0].body, "\n")
	want := `{"index":{"_index":"users","require_alias":false,"_id":"u","version":3,"version_type":"external_gte"}}`
	if lines[2] != want {
		t.Fatalf("%s\nwant\n%s", lines[2], want)
	}
	if strings.Contains(lines[4], "_index") {
		t.Error(lines[4])
	}
}

// Bodies keep to their size, no document is lost or doubled at a border, and
// the order stays.
func TestS2BodiesKeepTheOrder(t *testing.T) {
	f := func(limit int, sizes ...int) {
		t.Helper()
		s := newScript(t)
		s.do(bulkOrders, bulkDone)
		o := s.options(Route{})
		o.BodyBytes = limit
		var changes []flow.Change
		var ids []string
		for i, n := range sizes {
			id := fmt.Sprintf("d%04d", i)
			ids = append(ids, id)
			changes = append(changes, write(t, id, 1, bson.E{Key: "x", Value: strings.Repeat("x", n)}))
		}
		vs, err := openTest(t, o).Sink().Write(t.Context(), batch(changes...))
		if err != nil || strings.Trim(outcomes(vs), "done ") != "" {
			t.Fatal(outcomes(vs), err)
		}
		var got []string
		for _, c := range s.seen(bulkOrders) {
			n := strings.Count(c.body, `"_id"`)
			if len(c.body) > limit && n > 1 {
				t.Errorf("a body of %d documents has %d bytes, the limit is %d", n, len(c.body), limit)
			}
			for _, l := range strings.Split(c.body, "\n") {
				if _, rest, ok := strings.Cut(l, `"_id":"`); ok {
					got = append(got, rest[:5])
				}
			}
		}
		if strings.Join(got, " ") != strings.Join(ids, " ") {
			t.Errorf("sent %v, want %v", got, ids)
		}
	}
	f(1000, 10)
	f(1000, 900, 900, 900)
	f(1000, 5000, 10, 5000, 10, 10, 10, 5000)
	f(1000, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100)
	f(1, 1, 1, 1)
}

func TestWriteRejectedDocument(t *testing.T) {
	s := newScript(t)
	s.do(bulkOrders, bulkDone)
	bad := write(t, "b", 7)
	bad.Doc = bson.Raw{9, 0, 0, 0, 99, 'x', 0, 1, 0}
	noID := write(t, "c", 7)
	noID.ID = bson.RawValue{}
	vs, err := s.sink(Route{}).Write(t.Context(), batch(write(t, "a", 7), bad, noID, write(t, "d", 7)))
	if err != nil || outcomes(vs) != "done dead_letter:transcode dead_letter:key done" {
		t.Fatal(outcomes(vs), err)
	}
	if flow.ClassOf(vs[1].Err) != flow.Document {
		t.Error(vs[1].Err)
	}
	if n := strings.Count(s.seen(bulkOrders)[0].body, "\n"); n != 4 {
		t.Errorf("%d lines", n)
	}
}

func TestS10HashedKeyIsKept(t *testing.T) {
	s := newScript(t)
	s.do(bulkOrders, bulkDone)
	long := strings.Repeat("k", 600)
	vs, err := s.sink(Route{}).Write(t.Context(), batch(write(t, long, 7, bson.E{Key: "n", Value: "x"}), write(t, long+"2", 7), write(t, "short", 7)))
	if err != nil || outcomes(vs) != "done done done" {
		t.Fatal(outcomes(vs), err)
	}
	lines := strings.Split(s.seen(bulkOrders)[0].body, "\n")
	if want := `{"n":"x","sluice_key":"{\"_id\":\"` + long + `\"}"}`; lines[1] != want {
		t.Errorf("%s", lines[1])
	}
	if want := `{"sluice_key":"{\"_id\":\"` + long + `2\"}"}`; lines[3] != want {
		t.Errorf("%s", lines[3])
	}
	if lines[5] != `{}` {
		t.Errorf("%s", lines[5])
	}
}

func TestS7TooLargeSplits(t *testing.T) {
	s := newScript(t)
	s.do(bulkOrders, func(c call) (int, string) {
		if len(c.body) > 700 {
			return 413, ``
		}
		return bulkDone(c)
	})
	big := write(t, "big", 1, bson.E{Key: "x", Value: strings.Repeat("x", 2000)})
	var changes []flow.Change
	for i := range 20 {
		changes = append(changes, write(t, fmt.Sprint("d", i), 1))
	}
	changes[7] = big
	vs, err := s.sink(Route{}).Write(t.Context(), batch(changes...))
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range vs {
		want := flow.Done
		if i == 7 {
			want = flow.DeadLetter
		}
		if v.Outcome != want || (i == 7 && v.Reason != reasonTooLarge) {
			t.Errorf("change %d: %s %s", i, v.Outcome, v.Reason)
		}
	}
}

func TestS7WholeAnswers(t *testing.T) {
	f := func(status int, body, want string, class flow.Class) {
		t.Helper()
		s := newScript(t)
		s.say(bulkOrders, status, body)
		vs, err := s.sink(Route{}).Write(t.Context(), batch(write(t, "a", 7), write(t, "b", 7)))
		got := outcomes(vs)
		if err != nil {
			got, class = "error", class*1
			if flow.ClassOf(err) != class {
				t.Errorf("%d: class %s, want %s: %v", status, flow.ClassOf(err), class, err)
			}
		}
		if got != want {
			t.Errorf("%d %s: %s, want %s (%v)", status, body, got, want, err)
		}
		if err == nil && flow.ClassOf(vs[0].Err) != class {
			t.Errorf("%d: class %s, want %s: %v", status, flow.ClassOf(vs[0].Err), class, vs[0].Err)
		}
	}
	twice := func(s string) string { return s + " " + s }
	f(400, `{"error":{"type":"illegal_argument_exception","reason":"Malformed action/metadata line [1]"},"status":400}`, twice("halt:request"), flow.Fatal)
	f(400, `{"error":{"type":"mapper_parsing_exception","reason":"?"},"status":400}`, twice("halt:request"), flow.Fatal)
	f(401, `Unauthorized`, twice("halt:rights"), flow.Auth)
	f(403, `{"error":{"type":"security_exception","reason":"no permissions for [indices:data/write/bulk]"},"status":403}`, twice("halt:rights"), flow.Auth)
	f(403, `{"error":{"type":"cluster_block_exception","reason":"blocked by: [FORBIDDEN/6/cluster read-only (api)];"},"status":403}`, twice("retry:read_only"), flow.Transient)
	f(404, `not here`, twice("halt:request"), flow.Fatal)
	f(408, ``, "error", flow.Transient)
	f(429, `{"error":{"type":"es_rejected_execution_exception","reason":"rejected execution of coordinating operation"},"status":429}`, twice("retry:rejected"), flow.Transient)
	f(429, `Too Many Requests /_bulk`, twice("retry:rejected"), flow.Transient)
	f(429, `{"error":{"type":"circuit_breaking_exception","reason":"[parent] Data too large"},"status":429}`, twice("retry:memory"), flow.Transient)
	f(500, `oops`, "error", flow.Transient)
	f(502, `<html>bad gateway</html>`, "error", flow.Transient)
	f(503, `{"error":{"type":"cluster_block_exception","reason":"blocked by: [SERVICE_UNAVAILABLE/2/no master];"},"status":503}`, twice("retry:unavailable"), flow.Transient)
	f(503, ``, "error", flow.Transient)
	f(504, ``, "error", flow.Transient)
	f(302, ``, twice("halt:request"), flow.Fatal)
	f(200, `<html>welcome to the hotel network</html>`, "error", flow.Transient)
	f(200, ``, "error", flow.Transient)
	f(200, `{"errors":false}`, "error", flow.Transient)
	f(200, `{"errors":false,"items":[{"index":{"status":200}}]}`, "error", flow.Transient)
	f(200, `{"errors":false,"items":[{"index":{"status":200}},{"index":{"status":200}},{"index":{"status":200}}]}`, "error", flow.Transient)
	f(200, `{"errors":true,"items":[{"index":{"status":200}},{"delete":{"status":200}}]}`, "error", flow.Transient)
	f(200, `{"took":3,"errors":false,"items":[{"index":{"_index":"x","status":200}},{"index":{"status":201}}]}`, "done done", flow.Unknown)
	f(0, ``, "error", flow.Transient)
}

// cutTransport plays an answer of which only the first bytes come, without a
// length that would tell.
type cutTransport struct {
	script http.RoundTripper
	answer string
	err    error
}

func (c *cutTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/_bulk") {
		return c.script.RoundTrip(r)
	}
	_ = r.Body.Close()
	resp := respond(r, nil)
	resp.ContentLength = -1
	resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(c.answer), errReader{c.err}))
	return resp, nil
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

// An answer that is cut at any byte, whether the connection tells or not, is
// no success for a change that the whole answer says failed.
func TestS7CutAnswers(t *testing.T) {
	changes := []flow.Change{write(t, "a", 7), remove(t, "b", 7), write(t, "c", 7), remove(t, "d", 7)}
	f := func(answer string, want string) {
		t.Helper()
		cut := &cutTransport{script: &Discard{}}
		o := testOptions(t, "http://engine.test", Route{})
		o.Transport = cut
		sink := openTest(t, o).Sink()
		for n := range len(answer) + 1 {
			for _, err := range []error{io.EOF, io.ErrUnexpectedEOF} {
				cut.answer, cut.err = answer[:n], err
				vs, err := sink.Write(t.Context(), flow.Batch{Changes: changes})
				whole := n == len(answer) && errors.Is(cut.err, io.EOF)
				switch {
				case whole && (err != nil || outcomes(vs) != want):
					t.Fatalf("the whole answer: %s %v, want %s", outcomes(vs), err, want)
				case !whole && (err == nil || flow.ClassOf(err) != flow.Transient):
					t.Fatalf("cut at %d (%s): %s %v", n, answer[:n], outcomes(vs), err)
				}
			}
		}
	}
	f(`{"errors":false,"items":[{"index":{"status":200}},{"delete":{"_index":"orders-000001","status":404}},{"index":{"status":201}},{"delete":{"_index":"orders-000001","status":200}}]}`,
		"done done done done")
	f(`{"errors":true,"items":[{"index":{"status":200}},{"delete":{"_index":"orders-000001","status":404}},{"index":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"failed to parse [\"status\":200}}]}"}}},{"delete":{"_index":"orders-000001","status":409,"error":{"type":"version_conflict_engine_exception","reason":"[d]: version conflict, current version [9] is higher than the one provided [7]"}}}]}`,
		"done done dead_letter:mapping superseded")
}

// A body that fails after another has got its answer leaves verdicts: what is
// known stays known, the rest is sent again.
func TestWritePartOfABatch(t *testing.T) {
	s := newScript(t)
	n := 0
	s.do(bulkOrders, func(c call) (int, string) {
		if n++; n == 2 {
			return 0, ""
		}
		return bulkDone(c)
	})
	o := s.options(Route{})
	o.BodyBytes = 1
	vs, err := openTest(t, o).Sink().Write(t.Context(), batch(write(t, "a", 1), write(t, "b", 1), write(t, "c", 1)))
	if err != nil || outcomes(vs) != "done retry:unknown_outcome retry:unknown_outcome" {
		t.Fatal(outcomes(vs), err)
	}
}

func TestS1ForeignVersionsHalt(t *testing.T) {
	f := func(limit func() int64, want string) {
		t.Helper()
		s := newScript(t)
		s.do(bulkOrders, func(c call) (int, string) {
			return 200, bulkAnswer(c, func(int, string) string {
				return itemError("index", 409, versionConflict, "[a]: version conflict, current version [1001] is higher than the one provided [7]")
			})
		})
		o := s.options(Route{})
		o.MaxVersion = limit
		vs, err := openTest(t, o).Sink().Write(t.Context(), batch(write(t, "a", 7)))
		if err != nil || outcomes(vs) != want {
			t.Error(outcomes(vs), err, want)
		}
		if vs[0].Outcome == flow.Halt && !strings.Contains(vs[0].Err.Error(), "Delete the index") {
			t.Error("no way out:", vs[0].Err)
		}
	}
	f(nil, "superseded")
	f(func() int64 { return 0 }, "superseded")
	f(func() int64 { return 1001 }, "superseded")
	f(func() int64 { return 1000 }, "halt:foreign_version")
}

func TestWriteCancelled(t *testing.T) {
	s := newScript(t)
	s.do(bulkOrders, bulkDone)
	sink := s.sink(Route{})
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	s.do(bulkOrders, func(c call) (int, string) { cancel(cause); return 0, "" })
	if _, err := sink.Write(ctx, batch(write(t, "a", 1))); !errors.Is(err, cause) {
		t.Fatal(err)
	}
}

// canned answers each bulk with the same bytes, without looking.
type canned struct {
	Discard
	answer []byte
}

func (c *canned) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/_bulk") {
		return c.Discard.RoundTrip(r)
	}
	_ = r.Body.Close()
	return respond(r, c.answer), nil
}

func TestWriteAllocatesNothingPerDocument(t *testing.T) {
	transport := &canned{}
	o := testOptions(t, "http://engine.test", Route{})
	o.Transport = transport
	sink := openTest(t, o).Sink()
	allocs := func(n int) float64 {
		var b flow.Batch
		for i := range n {
			b.Changes = append(b.Changes, write(t, bson.NewObjectID(), int64(i), bson.E{Key: "name", Value: "some text"}, bson.E{Key: "n", Value: 12.5}))
		}
		transport.answer = []byte(`{"errors":false,"items":[` + strings.Repeat(`{"index":{"status":201}},`, n-1) + `{"index":{"status":201}}]}`)
		return testing.AllocsPerRun(20, func() {
			if vs, err := sink.Write(t.Context(), b); err != nil || vs[n-1].Outcome != flow.Done {
				t.Fatal(err)
			}
		})
	}
	allocs(1000) // the buffers grow
	few, many := allocs(100), allocs(1000)
	if many-few > 2 {
		t.Errorf("%v allocations for 100 documents, %v for 1000", few, many)
	}
	t.Logf("%v allocations for a batch", many)
}
