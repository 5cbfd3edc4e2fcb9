//go:build integration

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/testkit"
	"sluice/internal/testkit/scriptsearch"
)

// families are the metrics that tell what part 9 of the plan promises.
var families = []string{
	"sluice_changes_total", "sluice_change_bytes_total", // documents and bytes by namespace and verdict
	"sluice_snapshot_documents", "sluice_snapshot_chunks", "sluice_mongodb_snapshot_documents_total",
	"sluice_lag_seconds", "sluice_oplog_head_room_seconds",
	"sluice_queue_bytes", "sluice_search_bulk_seconds", "sluice_search_bulk_requests_total",
	"sluice_dead_letters_total", "sluice_dead_letters_open",
	"sluice_checkpoint_saves_total", "go_goroutines", "process_resident_memory_bytes",
}

// TestHTTP: a flow from a configuration file with a token: what /status,
// /metrics, /healthz and `sluice status` tell of it.
func TestHTTP(t *testing.T) {
	const token = "t0ken-of-the-test"
	b := newBed(t)
	orders, users := b.db.Collection("orders"), b.db.Collection("users")
	seedDocs(t, orders, 700)
	seedDocs(t, b.db.Collection("slow"), 2000)
	insert(t, users, bson.D{{Key: "_id", Value: 1}, {Key: "n", Value: 1}})
	name := testkit.UniqueName(t)
	p := start(t, "run", "-c", configFile(t, fmt.Sprintf(`
mongodb: {uri: %q}
search: {urls: [%q]}
state: {path: %q}
http: {token: %q, ready_lag: 1h}
flows:
  - {name: %s, namespaces: [%q]}
  - {name: %s-2, namespaces: [%q]}
  - {name: %s-3, namespaces: [%q], snapshot: {rate: 20}}
`, b.uri, b.search, b.state, token, name, b.db.Name()+".orders", name, b.db.Name()+".users", name, b.db.Name()+".slow")))
	get := func(path, token string) (int, string) {
		t.Helper()
		code, body, err := fetch(t.Context(), "http://"+p.addr+path, token)
		if err != nil {
			t.Fatal(err)
		}
		return code, body
	}
	p.eventually(t, time.Minute, func() error {
		code, body, err := fetch(t.Context(), "http://"+p.addr+"/readyz", token)
		if err != nil || code != http.StatusOK || body != "ready\n" {
			return fmt.Errorf("/readyz: %d %s %w", code, body, err)
		}
		return nil
	})
	p.eventually(t, time.Minute, func() error { return has(get("/status", token))(`"done": 1,`) })
	insert(t, users, bson.D{{Key: "_id", Value: 2}, {Key: "n", Value: "no number"}}) // a dead letter
	p.eventually(t, time.Minute, func() error {
		return errors.Join(equal(t.Context(), orders, b.search, b.index("orders")), has(get("/status", token))(`"dead_letters": 1`),
			has(get("/metrics", token))(`sluice_checkpoint_saves_total{flow="`+name+`"`))
	})

	for path, want := range map[string]int{"/healthz": 200, "/status": 401, "/metrics": 401, "/readyz": 401} {
		if code, body := get(path, ""); code != want {
			t.Errorf("%s without a token: %d %s, want %d", path, code, body, want)
		}
	}
	t.Run("status", func(t *testing.T) {
		_, body := get("/status", token)
		var st struct {
			Version string
			Started time.Time
			Flows   []struct {
				Name, State string
				Source      struct {
					Lag *float64 `json:"lag_seconds"`
				}
				Saved time.Time `json:"position_saved"`
				Pump  struct {
					State      string
					Namespaces map[string]struct{ Done int64 }
				}
			}
		}
		if err := json.Unmarshal([]byte(body), &st); err != nil {
			t.Fatal(err)
		}
		if len(st.Flows) != 3 || st.Flows[0].Name != name || st.Flows[0].State != "running" || st.Flows[0].Source.Lag == nil {
			t.Errorf("the status is %s", body)
		}
		if st.Flows[0].Saved.IsZero() || st.Started.IsZero() || st.Version == "" {
			t.Errorf("the status is %s", body)
		}
		if n := st.Flows[0].Pump.Namespaces[b.db.Name()+".orders"].Done; n < 700 {
			t.Errorf("%d documents done, want 700", n)
		}
	})
	t.Run("metrics", func(t *testing.T) {
		_, body := get("/metrics", token)
		for _, f := range families {
			if !strings.Contains(body, "\n# TYPE "+f+" ") {
				t.Errorf("/metrics lacks the family %s", f)
			}
		}
		ns := b.db.Name() + ".orders"
		wantMetric(t, body, "sluice_changes_total", 700, 700, ns, `verdict="done"`)
		wantMetric(t, body, "sluice_change_bytes_total", 700*50, 700*500, ns, `verdict="done"`)
		wantMetric(t, body, "sluice_changes_total", 1, 1, b.db.Name()+".users", `verdict="dead_letter"`)
		wantMetric(t, body, "sluice_dead_letters_open", 1, 1, name+"-2")
		wantMetric(t, body, "sluice_dead_letters_open", 0, 0, `"`+name+`"`)
		slow := b.db.Name() + ".slow"
		wantMetric(t, body, "sluice_snapshot_documents", 1900, 2100, slow, "estimated")
		wantMetric(t, body, "sluice_snapshot_documents", 0, 1999, slow, "settled")
		wantMetric(t, body, "sluice_snapshot_chunks", 1, 100, slow, "open")
		wantMetric(t, body, "sluice_flow_running", 3, 3)
		wantMetric(t, body, "sluice_lag_seconds", 0, 60, `"`+name+`"`)
		wantMetric(t, body, "sluice_oplog_head_room_seconds", 1, 1e9, `"`+name+`"`)
		wantMetric(t, body, "sluice_queue_bytes", 0, 0, "stream")
		wantMetric(t, body, "sluice_search_bulk_seconds_count", 2, 1000)
	})
	t.Run("verb", func(t *testing.T) {
		url := "http://" + p.addr
		r := verb(t, nil, "status", "--url", url)
		if r.code != 1 {
			t.Errorf("without a token: exit code %d", r.code)
		}
		wantWords(t, r.errOut, "401", "--token", "http.token")
		r = verb(t, []string{"SLUICE_HTTP_TOKEN=" + token}, "status", "--url", url+"/")
		if r.code != 0 {
			t.Errorf("exit code %d: %s", r.code, r.errOut)
		}
		wantWords(t, r.out, "flow "+name+": running", b.db.Name()+".orders", "1 dead letters now open")
		r = verb(t, []string{"SLUICE_HTTP_TOKEN=" + token}, "status", "--url", url, "--json")
		if r.code != 0 || !json.Valid([]byte(r.out)) {
			t.Errorf("exit code %d: %s%s", r.code, r.out, r.errOut)
		}
		wantNone(t, r.out+r.errOut, token)
	})
	p.wantDrain(t)
	wantNone(t, p.output(), token)
}

// has checks that an answer holds a text.
func has(code int, body string) func(string) error {
	return func(text string) error {
		if code != http.StatusOK || !strings.Contains(body, text) {
			return fmt.Errorf("no %s: %d %s", text, code, body)
		}
		return nil
	}
}

// wantMetric finds the sample of a family whose labels hold all texts, sums up
// if there are several, and checks the bounds.
func wantMetric(t *testing.T, metrics, family string, least, most float64, texts ...string) {
	t.Helper()
	sum, found := 0.0, false
next:
	for line := range strings.Lines(metrics) {
		rest, ok := strings.CutPrefix(line, family)
		if !ok || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		at := strings.LastIndexByte(rest, ' ')
		for _, text := range texts {
			if !strings.Contains(rest[:at], text) {
				continue next
			}
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(rest[at:]), 64)
		if err != nil {
			t.Fatal(err)
		}
		sum, found = sum+v, true
	}
	if !found || sum < least || sum > most {
		t.Errorf("%s %v is %g (found: %t), want %g to %g", family, texts, sum, found, least, most)
	}
}

// TestReady: /readyz says why not, while a server does not answer, and says yes
// again when it does; /healthz stays as it is.
func TestReady(t *testing.T) {
	b := newBed(t)
	seedDocs(t, b.db.Collection("orders"), 10)
	s := scriptsearch.New(t, scriptsearch.Options{})
	b.search = s.URL()
	p := start(t, b.args("orders")...)
	p.eventually(t, time.Minute, func() error { return ready(t.Context(), p, http.StatusOK) })
	s.Handle(func(*http.Request, []byte) *scriptsearch.Answer {
		return &scriptsearch.Answer{Status: http.StatusServiceUnavailable, Body: `{"error":{"type":"master_not_discovered_exception","reason":"no master"},"status":503}`}
	})
	p.eventually(t, 10*time.Second, func() error {
		return ready(t.Context(), p, http.StatusServiceUnavailable, "not ready", "flow sync", "503", "no master")
	})
	if code, body, err := fetch(t.Context(), "http://"+p.addr+"/healthz", ""); err != nil || code != http.StatusOK {
		t.Errorf("/healthz: %d %s %v", code, body, err)
	}
	s.Handle(nil)
	p.eventually(t, 10*time.Second, func() error { return ready(t.Context(), p, http.StatusOK) })
	p.wantDrain(t)
}

// TestStarting: while it still connects, it is alive, not ready, and says so.
func TestStarting(t *testing.T) {
	b := newBed(t)
	s := scriptsearch.New(t, scriptsearch.Options{})
	b.search = s.URL()
	hold := make(chan struct{})
	s.Handle(func(r *http.Request, _ []byte) *scriptsearch.Answer {
		select {
		case <-hold:
		case <-r.Context().Done():
		}
		return nil
	})
	p := start(t, b.args("orders")...)
	p.eventually(t, 30*time.Second, func() error {
		return ready(t.Context(), p, http.StatusServiceUnavailable, "not ready", "it is starting")
	})
	st, err := p.status(t.Context())
	if err != nil || len(st.Flows) != 1 || st.Flows[0].State != "starting" {
		t.Errorf("%+v %v", st, err)
	}
	wantWords(t, st.Text(), "flow sync: starting")
	close(hold)
	p.eventually(t, 30*time.Second, func() error { return ready(t.Context(), p, http.StatusOK) })
	p.wantDrain(t)
}
