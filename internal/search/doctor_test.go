package search

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"sluice/internal/flow"
)

func TestWatermark(t *testing.T) {
	f := func(in string, want int64, ok bool) {
		t.Helper()
		if got, fine := watermark(in, 1000<<30); got>>20 != want>>20 || fine != ok {
			t.Errorf("%q: %d, %v", in, got, fine)
		}
	}
	f("85%", 150<<30, true)
	f("0.95", 50<<30, true)
	f("500mb", 500<<20, true)
	f("20GB", 20<<30, true)
	f("", 0, false)
	f("much", 0, false)
	f("7", 0, false)
}

func TestJudgeDisk(t *testing.T) {
	const mark = "cluster.routing.allocation.disk.watermark."
	set := clusterSettings{mark + "low": "85%", mark + "high": "90%", mark + "flood_stage": "95%"}
	f := func(free int64, severity flow.Severity, name string) {
		t.Helper()
		if s, m := judgeDisk(1000, free, set); s != severity || m != name {
			t.Errorf("%d free: %s %s", free, s, m)
		}
	}
	f(200, "", "")
	f(140, flow.FindingWarning, "low")
	f(60, flow.FindingWarning, "high")
	f(40, flow.FindingError, "flood_stage")
	set[mark+"low.max_headroom"], set[mark+"high.max_headroom"], set[mark+"flood_stage.max_headroom"] = "30b", "20b", "10b"
	f(40, "", "")
	f(15, flow.FindingWarning, "high")
}

func TestJudgeShards(t *testing.T) {
	f := func(used, wanted int, want flow.Severity) {
		t.Helper()
		var found flow.Findings
		judgeShards(&found, "x", used, 100, wanted)
		if len(found) != 1 || found[0].Severity != want {
			t.Errorf("%d and %d: %+v", used, wanted, found)
		}
	}
	f(10, 2, flow.FindingOK)
	f(90, 2, flow.FindingWarning)
	f(99, 2, flow.FindingError)
}

// TestClashes compares documents with mappings.
func TestClashes(t *testing.T) {
	f := func(mappings, docs string, want ...string) {
		t.Helper()
		var all [][]byte
		for d := range strings.SplitSeq(docs, "|") {
			all = append(all, []byte(d))
		}
		s, bad := shapeOf(all)
		if bad > 0 {
			t.Fatalf("%s: %d are no JSON", docs, bad)
		}
		root, err := parseMapping(mappings)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range root.clashes(s) {
			got = append(got, fmt.Sprintf("%s %d", c.field, c.docs))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s with %s: got %q, want %q", mappings, docs, got, want)
		}
	}
	f(`{}`, `{"a":1}|{"a":2.5}|{"a":null}|{"a":"3"}`)
	f(`{}`, `{"a":1}|{"a":"x"}`, "a 0")
	f(`{}`, `{"a":1}|{"a":true}`, "a 1")
	f(`{}`, `{"a":"x"}|{"a":true}`, "a 0")
	f(`{}`, `{"a":"2024-01-02T03:04:05Z"}|{"a":"n/a"}`, "a 0")
	f(`{"date_detection":false}`, `{"a":"2024-01-02"}|{"a":"n/a"}`)
	f(`{}`, `{"a":{"b":1}}|{"a":1}|{"a":2}`, "a 1")
	f(`{}`, `{"a":[{"b":1},{"b":"x"}]}`, "a.b 0")
	f(`{"dynamic":"strict","properties":{"a":{"type":"long"}}}`, `{"a":1,"b":2}`, "b 1")
	f(`{"dynamic":false}`, `{"a":1}|{"a":{"b":1}}`)
	f(`{"properties":{"a":{"properties":{"b":{"type":"long"}}}}}`, `{"a":{"b":"x"}}|{"a":1}`, "a 1", "a.b 1")
	f(`{"properties":{"a":{"type":"flattened"}}}`, `{"a":{"b":1}}|{"a":{"b":{"c":1}}}`)
	f(`{"properties":{"a":{"type":"object","enabled":false}}}`, `{"a":{"b":1}}|{"a":{"b":{"c":1}}}|{"a":7}`)
	f(`{"properties":{"a":{"type":"date"}}}`, `{"a":"2024-01-02"}|{"a":1700000000000}|{"a":"soon"}`, "a 1")
	f(`{"properties":{"a":{"type":"long","ignore_malformed":true}}}`, `{"a":"x"}|{"a":1}`)
	f(`{"properties":{"a":{"type":"boolean"}}}`, `{"a":"true"}|{"a":1}`, "a 1")
	f(`{"properties":{"a":{"type":"keyword"}}}`, `{"a":1}|{"a":{"b":1}}`, "a 1")
	f(`{"properties":{"a.b":{"type":"long"}}}`, `{"a.b":"x"}`, "a.b 1")
}

func TestCountsFields(t *testing.T) {
	root, err := parseMapping(`{"properties":{"a":{"type":"text","fields":{"keyword":{"type":"keyword"}}},"b":{"properties":{"c":{"type":"long"}}}}}`)
	if err != nil || root.count() != 4 {
		t.Fatalf("%d, %v", root.count(), err)
	}
	s, _ := shapeOf([][]byte{[]byte(`{"a":"x","b":{"c":1,"d":"y"},"e":2}`)})
	if n := root.newFields(s); n != 3 { // b.d with its keyword, and e
		t.Errorf("%d new fields", n)
	}
}

// TestVisitRightsCleansUp: what is made is removed, also when nothing else works.
func TestVisitRightsCleansUp(t *testing.T) {
	var mu sync.Mutex
	var made, removed []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		name, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		switch {
		case name == "":
			_, _ = io.WriteString(w, openSearchRoot)
		case r.Method == http.MethodDelete:
			removed = append(removed, name)
			_, _ = io.WriteString(w, "{}")
		case r.Method == http.MethodPut && rest == "":
			made = append(made, name)
			_, _ = io.WriteString(w, "{}")
		default:
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"error":{"type":"security_exception","reason":"no permissions for [indices:data/write/bulk]"},"status":403}`)
		}
	}))
	defer srv.Close()
	c, err := Open(t.Context(), Options{URLs: []string{srv.URL}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	found := c.VisitOwn(t.Context(), "orders")
	if len(made) != 1 || !strings.HasPrefix(made[0], "orders-doctor-") || len(removed) != 2 || removed[1] != made[0] {
		t.Errorf("made %v, removed %v", made, removed)
	}
	if found.Sound() || !strings.Contains(found[0].Cure, "indices:data/write/bulk") {
		t.Errorf("%+v", found)
	}
}

// TestVisitAdd: an engine that makes no index by itself is told apart.
func TestVisitAdd(t *testing.T) {
	f := func(status int, answer, want string) {
		t.Helper()
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/":
				_, _ = io.WriteString(w, openSearchRoot)
			case r.Method == http.MethodDelete:
				_, _ = io.WriteString(w, "{}")
			case r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/stats-doctor-") && strings.HasSuffix(r.URL.Path, "/_doc"):
				w.WriteHeader(status)
				_, _ = io.WriteString(w, answer)
			default:
				t.Errorf("%s %s", r.Method, r.URL.Path)
			}
		}))
		defer srv.Close()
		c, err := Open(t.Context(), Options{URLs: []string{srv.URL}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		found := c.VisitAdd(t.Context(), "stats")
		if len(found) != 1 || found.Sound() != (status < 300) || !strings.Contains(found[0].What+found[0].Cure, want) {
			t.Errorf("%d: %+v, want %s", status, found, want)
		}
	}
	f(201, `{"result":"created"}`, "can be added")
	f(404, `{"error":{"type":"index_not_found_exception","reason":"no such index [stats] and [action.auto_create_index] is [false]"},"status":404}`, "action.auto_create_index")
	f(403, `{"error":{"type":"security_exception","reason":"no permissions for [indices:data/write/index]"},"status":403}`, "indices:data/write/index")
}

func parseMapping(text string) (*mapped, error) {
	root := &mapped{}
	return root, json.Unmarshal([]byte(text), root)
}
