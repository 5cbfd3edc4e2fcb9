package scriptsearch

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const twoDocs = `{"index":{"_id":"a","version":5,"version_type":"external_gte"}}
{"x":1}
{"delete":{"_id":"b","version":6,"version_type":"external_gte"}}
`

func call(t *testing.T, method, url, body string) (int, string, http.Header, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", nil, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), res.Header, err
}

func TestBulkVersions(t *testing.T) {
	s := New(t, Options{})
	f := func(body string, want ...string) {
		t.Helper()
		status, text, _, err := call(t, http.MethodPost, s.URL()+"/i/_bulk?filter_path=errors,items.*.status,items.*.error", body)
		if err != nil || status != http.StatusOK {
			t.Fatal(status, text, err)
		}
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Fatalf("%s lacks %s", text, w)
			}
		}
	}
	f(twoDocs, `{"errors":false,"items":[{"index":{"status":201}},{"delete":{"status":404}}]}`)
	f(twoDocs, `"index":{"status":200}`)
	f(strings.ReplaceAll(twoDocs, `:5`, `:4`), `"errors":true`, `"status":409`, `current version [5] is higher than the one provided [4]`)
	docs := s.Docs("i")
	if d := docs["a"]; d.Version != 5 || string(d.Source) != `{"x":1}` || len(d.Versions) != 3 {
		t.Fatal(d)
	}
	if d := docs["b"]; !d.Deleted || d.Version != 6 {
		t.Fatal(d)
	}
	if c := s.Counts(); c.Requests != 3 || c.Docs != 6 || c.Plain != int64(3*len(twoDocs)) {
		t.Fatal(c)
	}
}

func TestSteps(t *testing.T) {
	s := New(t, Options{Product: Elasticsearch8})
	bulk := s.URL() + "/i/_bulk"
	f := func(step Step, wantStatus int, wantText string) {
		t.Helper()
		s.Script(step)
		status, text, header, err := call(t, http.MethodPost, bulk, twoDocs)
		if err != nil || status != wantStatus || !strings.Contains(text, wantText) {
			t.Fatal(status, text, err)
		}
		if header.Get("X-Elastic-Product") == "" {
			t.Fatal("no product header")
		}
	}
	f(RejectItems(Nth(1)), 200, `"rejected_execution_exception"`)
	f(FloodStage(All), 200, `flood-stage`)
	f(Blocked(ID("a")), 200, `FORBIDDEN/8`)
	f(s.Unmappable(All), 200, `document_parsing_exception`)
	f(Reject(), 429, `rejected_execution_exception`)
	f(TooLarge(), 413, ``)
	f(BadGateway(), 502, `<html>`)
	f(Whole(400, "x_exception", "why"), 400, `"x_exception"`)
	f(Step{Delay: time.Millisecond, Mangle: func(b []byte) []byte { return bytes.ToUpper(b) }}, 200, `"ITEMS"`)
	for _, step := range []Step{Drop(), Lose(), CutAt(0), CutAt(20)} {
		s.Script(step)
		if _, text, _, err := call(t, http.MethodPost, bulk, twoDocs); err == nil || len(text) > 20 {
			t.Fatal("an answer:", text)
		}
	}
	if s.Pending() != 0 {
		t.Fatal(s.Pending())
	}
	s.Script(Hang())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, bulk, strings.NewReader(twoDocs))
	if _, err := http.DefaultClient.Do(req); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

func TestWholeRequestFaults(t *testing.T) {
	s := New(t, Options{MaxBody: 2000})
	f := func(body string, want int) {
		t.Helper()
		if status, text, _, err := call(t, http.MethodPost, s.URL()+"/i/_bulk", body); err != nil || status != want {
			t.Fatal(status, text, err)
		}
	}
	f(`{"index":{"_id":"a"}}`, 400)
	f(`{"index":{"_id":"`+strings.Repeat("x", 513)+"\"}}\n{}\n", 400)
	f("{\"create\":{\"_id\":\"a\",\"version\":1,\"version_type\":\"external\"}}\n{}\n", 400)
	f("{\"upsert\":{\"_id\":\"a\"}}\n{}\n", 400)
	f("{\"index\":{\"_id\":\"a\"}}\n{\n", 400)
	f(strings.Repeat(twoDocs, 20), 413)
}

func TestIndexesAndAliases(t *testing.T) {
	s := New(t, Options{})
	f := func(method, path, body string, want int, contains string) {
		t.Helper()
		status, text, _, err := call(t, method, s.URL()+path, body)
		if err != nil || status != want || !strings.Contains(text, contains) {
			t.Fatal(method, path, status, text, err)
		}
	}
	f("GET", "/", "", 200, `"opensearch"`)
	f("GET", "/shop", "", 404, `index_not_found_exception`)
	f("POST", "/shop/_bulk?require_alias=true", twoDocs, 200, `"status":404`)
	f("PUT", "/shop-000001", `{"settings":{"index":{"gc_deletes":"5m"}},"mappings":{"_meta":{"a":1}},"aliases":{"shop":{"is_write_index":true}}}`, 200, "")
	f("PUT", "/shop-000001", `{}`, 400, `resource_already_exists_exception`)
	f("PUT", "/shop", `{}`, 400, `invalid_index_name_exception`)
	f("GET", "/shop?flat_settings=true", "", 200, `"index.gc_deletes":"5m"`)
	f("PUT", "/shop/_mapping", `{"_meta":{"a":2}}`, 200, "")
	f("GET", "/shop-000001", "", 200, `"_meta":{"a":2}`)
	f("PUT", "/shop/_settings", `{"index.refresh_interval":-1}`, 200, "")
	f("GET", "/shop/_settings", "", 200, `"index.refresh_interval":"-1"`)
	f("POST", "/shop/_bulk?require_alias=true", twoDocs, 200, `"errors":false`)
	f("GET", "/shop/_count", "", 200, `"count":1`)
	f("POST", "/_mget", `{"docs":[{"_index":"shop","_id":"a"},{"_index":"shop","_id":"z"}]}`, 200, `"found":false`)
	f("PUT", "/state/_create/x", `{"n":1}`, 201, `"_seq_no":3`)
	f("PUT", "/state/_create/x", `{"n":1}`, 409, "")
	f("PUT", "/state/_doc/x?if_seq_no=2&if_primary_term=1", `{"n":2}`, 409, "")
	f("PUT", "/state/_doc/x?if_seq_no=3&if_primary_term=1", `{"n":2}`, 200, "")
	f("GET", "/state/_doc/x", "", 200, `"_source":{"n":2}`)
	f("DELETE", "/shop", "", 404, "")
	f("DELETE", "/shop-000001", "", 200, "")
	f("GET", "/_unheard_of", "", 400, "no handler")
	s.Handle(func(r *http.Request, _ []byte) *Answer {
		if r.URL.Path == "/_search" {
			return &Answer{Body: `{"hits":{"hits":[]}}`}
		}
		return nil
	})
	f("GET", "/_search", "", 200, `"hits"`)
}

func TestOverlaps(t *testing.T) {
	s := New(t, Options{})
	gate := make(chan struct{})
	s.Script(Step{Wait: gate})
	done := make(chan error)
	go func() {
		_, _, _, err := call(t, http.MethodPost, s.URL()+"/i/_bulk", twoDocs)
		done <- err
	}()
	for len(s.Bulks()) == 0 {
		if err := t.Context().Err(); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, _, err := call(t, http.MethodPost, s.URL()+"/i/_bulk", twoDocs); err != nil {
		t.Fatal(err)
	}
	close(gate)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := s.Overlaps(); n != 2 {
		t.Fatal(n)
	}
}

func TestDiscardCounts(t *testing.T) {
	s := New(t, Options{Discard: true})
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = io.WriteString(z, twoDocs)
	_ = z.Close()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/i/_bulk?filter_path=errors,items.*.status", &zipped)
	req.Header.Set("Content-Encoding", "gzip")
	req.Close = true
	size := int64(zipped.Len())
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if string(text) != `{"errors":false,"items":[{"index":{"status":200}},{"delete":{"status":200}}]}` {
		t.Fatal(string(text))
	}
	if c := s.Counts(); c != (Counts{1, 2, size, int64(len(twoDocs))}) {
		t.Fatal(c)
	}
}
