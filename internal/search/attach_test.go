package search

import (
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// TestAttach: what is attached is in the document under its field, in the place
// of one of that name, and goes through its own pipeline.
func TestAttach(t *testing.T) {
	s := newScript(t)
	s.do(bulkOrders, bulkDone)
	o := s.options(Route{Delete: DeleteKeep})
	o.Pipeline = "enrich"
	sink := openTest(t, o).Sink()
	file := func(text string) *flow.Attachment {
		return &flow.Attachment{Field: "file", Pipeline: "attachment", Text: []byte(text)}
	}
	a, b, c := write(t, "a", 1, bson.E{Key: "n", Value: 1}), write(t, "b", 1), write(t, strings.Repeat("c", 600), 1)
	d := write(t, "d", 1, bson.E{Key: "x", Value: bson.D{{Key: "file", Value: 1}}}, bson.E{Key: "file", Value: bson.A{"]", 2}}, bson.E{Key: "y", Value: "\"file\":,"})
	e := write(t, "e", 1, bson.E{Key: "file", Value: 1})
	a.Attach, b.Attach, c.Attach, d.Attach, e.Attach = file("QUI="), file(""), file("QQ=="), file("RA=="), file("")
	kept := remove(t, "k", 3)
	kept.Doc = rawDoc(t, bson.D{{Key: "n", Value: 2}})
	vs, err := sink.Write(t.Context(), batch(a, b, c, d, e, write(t, "f", 1), kept))
	if err != nil || outcomes(vs) != "done done done done done done done" {
		t.Fatal(outcomes(vs), err)
	}
	lines := strings.Split(s.seen(bulkOrders)[0].body, "\n")
	for i, want := range []string{
		`{"n":1,"file":"QUI="}`,
		`{"file":""}`,
		`"file":"QQ=="}`,
		`{"x":{"file":1},"y":"\"file\":,","file":"RA=="}`,
		`{"file":""}`,
		`{}`,
		`{"n":2}`,
	} {
		action, doc := lines[2*i], lines[2*i+1]
		if doc != want && (i != 2 || !strings.HasSuffix(doc, want)) {
			t.Errorf("document %d is %s, want %s", i, doc, want)
		}
		if strings.HasPrefix(action, `{"index":{"pipeline":"attachment","_id"`) != (i < 5) {
			t.Errorf("document %d: %s", i, action)
		}
	}
}

const attachmentPath = "/_ingest/pipeline/attachment"

// TestPutAttachmentPipeline: it is made where there is none, and never changed.
func TestPutAttachmentPipeline(t *testing.T) {
	s := newScript(t)
	c := openTest(t, s.options(Route{}))
	put := func(field string) error { return c.PutAttachmentPipeline(t.Context(), "attachment", field) }

	s.say("GET "+attachmentPath, 404, `{}`)
	s.say("PUT "+attachmentPath, 200, `{"acknowledged":true}`)
	if err := put("file"); err != nil {
		t.Fatal(err)
	}
	want := `{"description":"Extract file information","processors":[{"attachment":{"field":"file"}}]}`
	if got := s.seen("PUT " + attachmentPath); len(got) != 1 || got[0].body != want {
		t.Fatalf("%v", got)
	}
	s.say("GET "+attachmentPath, 200, `{"attachment":{"version":1,"processors":[ {"attachment" : {"field":"file"} } ]}}`)
	for _, field := range []string{"file", "data"} {
		if err := put(field); err != nil || len(s.seen("PUT "+attachmentPath)) != 1 {
			t.Fatal("one that is there was changed", err)
		}
	}
	s.say("GET "+attachmentPath, 404, `{}`)
	s.say("PUT "+attachmentPath, 400, `{"error":{"root_cause":[],"type":"parse_exception","reason":"No processor type exists with name [attachment]"},"status":400}`)
	if err := put("file"); flow.ClassOf(err) != flow.Config || !strings.Contains(err.Error(), "install ingest-attachment") || !strings.Contains(err.Error(), "put_pipeline: false") {
		t.Error(err)
	}
	s.say("PUT "+attachmentPath, 403, `{"error":{"type":"security_exception","reason":"no permissions for [cluster:admin/ingest/pipeline/put]"},"status":403}`)
	if err := put("file"); flow.ClassOf(err) != flow.Auth {
		t.Error(err)
	}
}

func TestMaxContent(t *testing.T) {
	s := newScript(t)
	c := openTest(t, s.options(Route{}))
	s.say("GET /_nodes/http", 200, `{"nodes":{"a":{"http":{"max_content_length_in_bytes":104857600}},"b":{"http":{"max_content_length_in_bytes":1048576}}}}`)
	s.say("GET /_nodes/data:true,ingest:true,coordinating_only:true/stats/indexing_pressure", 200, `{"nodes":{"a":{"indexing_pressure":{"memory":{"limit_in_bytes":53687091}}}}}`)
	if got := c.MaxContent(t.Context()); got != 1<<20 {
		t.Error(got)
	}
	s.say("GET /_nodes/http", 200, `{"nodes":{"a":{"http":{"max_content_length_in_bytes":104857600}}}}`)
	if got := c.MaxContent(t.Context()); got != 53687091 {
		t.Error(got)
	}
	s.say("GET /_nodes/data:true,ingest:true,coordinating_only:true/stats/indexing_pressure", 400, `{}`)
	s.say("GET /_nodes/http", 403, `{"error":{"type":"security_exception","reason":"no"},"status":403}`)
	if got := c.MaxContent(t.Context()); got != 0 {
		t.Error(got)
	}
}

func TestVisitAttachments(t *testing.T) {
	s := newScript(t)
	c := openTest(t, s.options(Route{}))
	f := func(field string, makes bool, severity flow.Severity, cure string) {
		t.Helper()
		got := c.VisitAttachments(t.Context(), "attachment", field, makes)
		if len(got) != 1 || got[0].Severity != severity || !strings.Contains(got[0].Cure, cure) {
			t.Errorf("%+v, want %s", got, severity)
		}
	}
	s.say("GET "+attachmentPath, 200, `{"attachment":{"processors":[{"attachment":{"field":"file"}}]}}`)
	f("file", true, flow.FindingOK, "")
	f("data", true, flow.FindingInfo, "put_pipeline: false")
	f("data", false, flow.FindingOK, "")
	s.say("GET "+attachmentPath, 404, `{}`)
	f("file", false, flow.FindingError, "put_pipeline: true")
	s.say("GET /_nodes/ingest", 200, `{"nodes":{"a":{"name":"n1","ingest":{"processors":[{"type":"set"},{"type":"attachment"}]}}}}`)
	f("file", true, flow.FindingOK, "")
	s.say("GET /_nodes/ingest", 200, `{"nodes":{"a":{"name":"n1","ingest":{"processors":[{"type":"set"}]}}}}`)
	f("file", true, flow.FindingError, "install ingest-attachment")
	s.say("GET "+attachmentPath, 500, `{"error":{"type":"x","reason":"y"},"status":500}`)
	f("file", true, flow.FindingError, "")
}

// TestMarkWithoutContent: what is marked is fetched without the content of its file.
func TestMarkWithoutContent(t *testing.T) {
	s := newScript(t)
	s.do(bulkOrders, bulkDone)
	s.say("POST /_mget", 200, `{"docs":[{"_index":"orders-000001","_id":"b","_version":3,"found":true,"_source":{"attachment":{"content":"text"}}}]}`)
	sink := openTest(t, s.options(Route{Delete: DeleteMark, Content: "file"})).Sink()
	if vs, err := sink.Write(t.Context(), batch(remove(t, "b", 8))); err != nil || outcomes(vs) != "done" {
		t.Fatal(outcomes(vs), err)
	}
	want := `{"docs":[{"_index":"orders-000001","_id":"b","_source":{"excludes":["file"]}}]}`
	if got := s.seen("POST /_mget")[0].body; got != want {
		t.Errorf("fetched by %s, want %s", got, want)
	}
}

// TestAttachIsNoUpdate: updates pass by all pipelines, so what has something
// attached is written whole.
func TestAttachIsNoUpdate(t *testing.T) {
	s := newScript(t)
	s.say("GET /_tasks", 200, `{"nodes":{}}`)
	s.do(bulkOrders, bulkDone)
	a := write(t, "a", 7, bson.E{Key: "n", Value: 1})
	a.Attach = &flow.Attachment{Field: "file", Pipeline: "attachment", Text: []byte("QQ==")}
	if vs, err := s.updates(Route{}).Write(t.Context(), batch(a, write(t, "b", 7))); err != nil || outcomes(vs) != "done done" {
		t.Fatal(outcomes(vs), err)
	}
	want := `{"index":{"pipeline":"attachment","_id":"a"}}` + "\n" + `{"n":1,"file":"QQ=="}` + "\n" +
		`{"update":{"_id":"b","retry_on_conflict":3}}` + "\n" + `{"doc":{},"doc_as_upsert":true}` + "\n"
	if got := s.seen(bulkOrders)[0].body; got != want {
		t.Errorf("body\n%s\nwant\n%s", got, want)
	}
}
