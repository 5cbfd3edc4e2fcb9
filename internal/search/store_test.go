package search

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"sluice/internal/checkpoint"
	"sluice/internal/checkpoint/storetest"
	"sluice/internal/flow"
)

// keepDocument makes a script hold one document with sequence numbers.
func keepDocument(s *script, path string) {
	var source string
	seq := -1
	s.do("GET "+path, func(call) (int, string) {
		if seq < 0 {
			return 404, `{"_index":"state","found":false}`
		}
		return 200, fmt.Sprintf(`{"found":true,"_seq_no":%d,"_primary_term":1,"_source":%s}`, seq, source)
	})
	s.do("PUT "+path, func(c call) (int, string) {
		free := c.query == "op_type=create" && seq < 0
		if !free && c.query != fmt.Sprintf("if_seq_no=%d&if_primary_term=1", seq) {
			return 409, `{"error":{"type":"version_conflict_engine_exception","reason":"[f]: version conflict"},"status":409}`
		}
		seq++
		source = c.body
		return 200, fmt.Sprintf(`{"result":"updated","_seq_no":%d,"_primary_term":1}`, seq)
	})
}

func TestStoreContract(t *testing.T) {
	clients := map[string]*Client{}
	storetest.TestStore(t, func(t testing.TB) checkpoint.Store {
		c := clients[t.Name()]
		if c == nil {
			s := newScript(t)
			s.say("PUT /state", 200, `{}`)
			keepDocument(s, "/state/_doc/f")
			c = openTest(t, s.options(Route{}))
			clients[t.Name()] = c
		}
		return c.Store("state", "f")
	})
}

func TestStoreOutcomes(t *testing.T) {
	s := newScript(t)
	s.say("PUT /state", 400, `{"error":{"type":"resource_already_exists_exception","reason":"there"},"status":400}`)
	c := openTest(t, s.options(Route{}))
	store := c.Store("state", "f")
	save := func(status int, body string, class flow.Class) {
		t.Helper()
		s.say("PUT /state/_doc/f", status, body)
		if _, err := store.Save(t.Context(), checkpoint.Record{Data: []byte("x")}); flow.ClassOf(err) != class {
			t.Errorf("%d %s: %s %v", status, body, flow.ClassOf(err), err)
		}
	}
	save(503, `{}`, flow.Transient)
	save(429, `{}`, flow.Transient)
	save(0, ``, flow.Transient)
	save(201, `{"_seq_`, flow.Transient)
	save(201, `{}`, flow.Transient)
	save(409, `{"error":{"type":"version_conflict_engine_exception","reason":"?"},"status":409}`, flow.Conflict)
	save(403, `{"error":{"type":"security_exception","reason":"no permissions for [indices:data/write/index]"},"status":403}`, flow.Auth)
	s.say("GET /state/_doc/f", 200, `{"found":true,"_seq_no":1,"_primary_term":1}`)
	if _, err := store.Load(t.Context()); flow.ClassOf(err) != flow.Fatal {
		t.Error(err)
	}
	s.say("GET /state/_doc/f", 404, `{"error":{"type":"index_not_found_exception","reason":"no such index [state]"},"status":404}`)
	if r, err := store.Load(t.Context()); err != nil || r.Rev != "" {
		t.Error(r, err)
	}
	made := s.seen("PUT /state")[0].body
	var body struct {
		Settings map[string]any `json:"settings"`
		Mappings map[string]any `json:"mappings"`
	}
	if json.Unmarshal([]byte(made), &body) != nil || body.Mappings["enabled"] != false || body.Settings["index.number_of_shards"] != 1.0 {
		t.Error(made)
	}
}

func TestDeadLetterIndex(t *testing.T) {
	s := newScript(t)
	s.say("PUT /dead", 200, `{}`)
	s.say("PUT /dead/_doc/a", 201, `{}`)
	d := openTest(t, s.options(Route{})).DeadLetters("dead")
	for range 2 {
		if err := d.Put(t.Context(), "a", []byte(`{"x":1}`)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.seen("PUT /dead")); n != 1 {
		t.Errorf("made %d times", n)
	}

	s.say("POST /dead/_bulk", 200, `{"errors":false,"items":[{"delete":{"status":200}},{"delete":{"status":404}}]}`)
	if err := d.Remove(t.Context(), []string{"a", `b"`}); err != nil {
		t.Fatal(err)
	}
	if got := s.seen("POST /dead/_bulk")[0].body; got != `{"delete":{"_id":"a"}}`+"\n"+`{"delete":{"_id":"b\""}}`+"\n" {
		t.Error(got)
	}
	s.say("POST /dead/_bulk", 200, `{"errors":true,"items":[{"delete":{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"?"}}}]}`)
	if err := d.Remove(t.Context(), []string{"a"}); flow.ClassOf(err) != flow.Transient {
		t.Error(err)
	}

	s.say("POST /dead/_refresh", 200, `{}`)
	s.say("POST /dead/_search", 200, `{"_scroll_id":"s1","_shards":{"failed":0},"hits":{"hits":[{"_id":"a","_source":{"x":1}}]}}`)
	s.say("POST /_search/scroll", 200, `{"_scroll_id":"s1","_shards":{"failed":0}}`)
	s.say("DELETE /_search/scroll", 200, `{}`)
	var got []string
	err := d.Scan(t.Context(), func(id string, body []byte) error {
		got = append(got, id+string(body))
		return nil
	})
	if err != nil || strings.Join(got, " ") != `a{"x":1}` {
		t.Error(got, err)
	}
	s.say("POST /dead/_refresh", 404, `{"error":{"type":"index_not_found_exception","reason":"?"},"status":404}`)
	s.say("POST /dead/_search", 404, `{"error":{"type":"index_not_found_exception","reason":"?"},"status":404}`)
	if err := d.Scan(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func TestDiscard(t *testing.T) {
	d := &Discard{}
	o := testOptions(t, "http://engine.test", Route{})
	o.Transport = d
	sink := openTest(t, o).Sink()
	for range 3 {
		vs, err := sink.Write(t.Context(), batch(write(t, "a", 1), remove(t, "b", 1), write(t, "c", 1)))
		if err != nil || outcomes(vs) != "done done done" {
			t.Fatal(outcomes(vs), err)
		}
	}
	if d.Docs() != 9 || d.Bytes() == 0 {
		t.Error(d.Docs(), d.Bytes())
	}
	for _, k := range []flow.ControlKind{flow.ControlCreated, flow.ControlSnapshotBegin, flow.ControlSnapshotDone, flow.ControlDropped} {
		if err := sink.Apply(t.Context(), control(k)); err != nil {
			t.Error(k, err)
		}
	}
	if target, err := sink.Inspect(t.Context(), orders); err != nil || target.UUID != "discard" {
		t.Error(target, err)
	}
}
