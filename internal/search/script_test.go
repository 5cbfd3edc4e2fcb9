package search

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/gzip"
	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/transcode"
)

// call is one request that a script has got.
type call struct {
	what  string // METHOD /path
	query string
	body  string
	head  http.Header
}

// script is a server that answers as a test tells it; it is no engine. What it
// has no answer for fails the test.
type script struct {
	t   testing.TB
	srv *httptest.Server

	mu      sync.Mutex
	calls   []call
	answers map[string]func(c call) (status int, body string)
}

const openSearchRoot = `{"name":"n1","version":{"distribution":"opensearch","number":"3.6.0"},"tagline":"The OpenSearch Project: https://opensearch.org/"}`

// newScript starts a server that knows an alias orders with one index of ours.
func newScript(t testing.TB) *script {
	s := &script{t: t, answers: map[string]func(call) (int, string){}}
	s.srv = httptest.NewServer(s)
	t.Cleanup(s.srv.Close)
	s.say("GET /", 200, openSearchRoot)
	s.say("GET /orders", 200, aliasOf("orders", `"format":1,"scheme":"native","flow":"f","namespaces":["shop.orders"],"created":true`))
	return s
}

// aliasOf is what GET /name says of an alias with one index.
func aliasOf(name, meta string) string {
	return fmt.Sprintf(`{"%s-000001":{"aliases":{"%s":{"is_write_index":true}},"mappings":{"_meta":{"sluice":{%s}}},`+
		`"settings":{"index.uuid":"u1","index.number_of_shards":"1"}}}`, name, name, meta)
}

func (s *script) say(what string, status int, body string) {
	s.do(what, func(call) (int, string) { return status, body })
}

// inTurn answers with one body after the other, the last one for ever.
func (s *script) inTurn(what string, status int, bodies ...string) {
	i := 0
	s.do(what, func(call) (int, string) {
		b := bodies[min(i, len(bodies)-1)]
		i++
		if b == "" {
			return 404, `{"error":{"type":"index_not_found_exception","reason":"no such index"},"status":404}`
		}
		return status, b
	})
}

func (s *script) do(what string, f func(call) (int, string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[what] = f
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			s.t.Error(err)
			return
		}
		in = z
	}
	body, err := io.ReadAll(in)
	if err != nil {
		return // the client has gone
	}
	c := call{what: r.Method + " " + r.URL.Path, query: r.URL.RawQuery, body: string(body), head: r.Header}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, c)
	f := s.answers[c.what]
	if f == nil {
		s.t.Errorf("unexpected %s?%s %s", c.what, c.query, c.body)
		w.WriteHeader(500)
		return
	}
	status, answer := f(c)
	if status == 0 { // hang up
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, answer)
}

// seen returns the calls of a kind.
func (s *script) seen(what string) []call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []call
	for _, c := range s.calls {
		if c.what == what {
			all = append(all, c)
		}
	}
	return all
}

const bulkOrders = "POST /orders/_bulk"

// bulkDone answers a bulk with done for each of its items.
func bulkDone(c call) (int, string) {
	return 200, bulkAnswer(c, func(int, string) string { return "" })
}

// bulkAnswer answers a bulk; each gives the answer for an item, from its action
// line, or "" for done.
func bulkAnswer(c call, each func(i int, action string) string) string {
	var items []string
	failed := false
	lines := strings.Split(strings.TrimSuffix(c.body, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		ans := each(len(items), lines[i])
		switch {
		case ans != "":
			failed = true
		case strings.HasPrefix(lines[i], `{"delete"`):
			ans = `{"delete":{"_index":"orders-000001","status":200}}`
		default:
			ans = `{"index":{"status":201}}`
		}
		if !strings.HasPrefix(lines[i], `{"delete"`) {
			i++
		}
		items = append(items, ans)
	}
	return fmt.Sprintf(`{"errors":%t,"items":[%s]}`, failed, strings.Join(items, ","))
}

func itemError(op string, status int, typ, reason string) string {
	return fmt.Sprintf(`{"%s":{"status":%d,"error":{"type":%q,"reason":%q}}}`, op, status, typ, reason)
}

var orders = flow.Namespace{DB: "shop", Coll: "orders"}

func testPlan(t testing.TB) *transcode.Plan {
	p, err := transcode.Compile(transcode.Options{}, transcode.Fields{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// testOptions routes db.coll to the index coll, with the policies of r.
func testOptions(t testing.TB, url string, r Route) Options {
	r.Plan = testPlan(t)
	return Options{URLs: []string{url}, Flow: "f", Route: func(ns flow.Namespace) (Route, error) {
		own := r
		own.Index = ns.Coll
		return own, nil
	}}
}

func (s *script) options(r Route) Options { return testOptions(s.t, s.srv.URL, r) }

func openTest(t testing.TB, o Options) *Client {
	t.Helper()
	c, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (s *script) sink(r Route) *Sink { return openTest(s.t, s.options(r)).Sink() }

func rawValue(t testing.TB, v any) bson.RawValue {
	t.Helper()
	typ, b, err := bson.MarshalValue(v)
	if err != nil {
		t.Fatal(err)
	}
	return bson.RawValue{Type: typ, Value: b}
}

func rawDoc(t testing.TB, d bson.D) bson.Raw {
	t.Helper()
	b, err := bson.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// write and remove make changes of shop.orders.
func write(t testing.TB, id any, version int64, fields ...bson.E) flow.Change {
	d := append(bson.D{{Key: "_id", Value: id}}, fields...)
	return flow.Change{Op: flow.OpWrite, NS: orders, ID: rawValue(t, id), Version: version, Doc: rawDoc(t, d)}
}

func remove(t testing.TB, id any, version int64) flow.Change {
	return flow.Change{
		Op: flow.OpDelete, NS: orders, ID: rawValue(t, id), Version: version,
		Time: bson.Timestamp{T: 1_700_000_000, I: 1},
	}
}

func batch(changes ...flow.Change) flow.Batch { return flow.Batch{Changes: changes} }

func outcomes(vs []flow.Verdict) string {
	var b bytes.Buffer
	for i, v := range vs {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(v.Outcome.String())
		if v.Reason != "" && v.Outcome != flow.Superseded {
			b.WriteString(":" + v.Reason)
		}
	}
	return b.String()
}
