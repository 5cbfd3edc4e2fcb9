package search

import (
	"encoding/json"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/transcode"
)

// joined is a placement that gives documents a join field.
func joined() *Placement {
	return &Placement{
		Text: "t", Shared: true, Field: "relation", Mapping: json.RawMessage(`{"type":"join","relations":{"order":["line"]}}`),
		Of: func(_ flow.Namespace, id bson.RawValue, _ bson.Raw) (Place, error) {
			return Place{ID: string(transcode.AppendID(nil, id)), Routing: "p", Field: `{"name":"line","parent":"p"}`}, nil
		},
	}
}

// TestJoinFieldIsWritten: a new index maps the field, and each document gets it, in the
// place of one that it has.
func TestJoinFieldIsWritten(t *testing.T) {
	e := newEngine(t)
	s := e.on(joined(), Route{})
	mapped := false
	e.bulk = func(actions []fakeAction) (int, string) {
		const want = `{"n":1,"relation":{"name":"line","parent":"p"},"sluice_ns":"shop.orders","sluice_id":"a"}`
		if actions[0].source != want || actions[0].routing != "p" {
			t.Errorf("%+v", actions[0])
		}
		mapped = strings.Contains(string(e.indexes["orders-000001"].Mappings["properties"]), `"relation":{"type":"join","relations":{"order":["line"]}}`)
		return 0, ""
	}
	e.write(s, "done", batch(write(t, "a", 5, bson.E{Key: "relation", Value: "mine"}, bson.E{Key: "n", Value: 1})))
	if !mapped {
		t.Error("the field is not mapped")
	}
}

// TestJoinFieldOfAnIndex: the field of an index that is there is added, or gets the
// relations that it lacks, or is refused.
func TestJoinFieldOfAnIndex(t *testing.T) {
	f := func(mapping, put, bad string) {
		t.Helper()
		s := newScript(t)
		s.say("GET /orders-000001/_mapping/field/relation", 200, `{"orders-000001":{"mappings":{`+mapping+`}}}`)
		s.say("PUT /orders-000001/_mapping", 200, `{"acknowledged":true}`)
		o := s.options(Route{})
		o.Places = joined()
		err := openTest(t, o).Sink().ensureField(t.Context(), &indexInfo{name: "orders-000001"})
		if (err == nil) != (bad == "") || err != nil && !strings.Contains(err.Error(), bad) {
			t.Error(err)
		}
		got := ""
		if puts := s.seen("PUT /orders-000001/_mapping"); len(puts) > 0 {
			got = puts[0].body
		}
		if got != put {
			t.Errorf("%s, want %s", got, put)
		}
	}
	field := func(m string) string { return `"relation":{"full_name":"relation","mapping":{"relation":` + m + `}}` }
	f(``, `{"properties":{"relation":{"relations":{"order":["line"]},"type":"join"}}}`, "")
	f(field(`{"type":"join","relations":{"order":"line"}}`), "", "")
	f(field(`{"type":"join","relations":{"order":["note","line"]}}`), "", "")
	f(field(`{"type":"join","eager_global_ordinals":false,"relations":{"order":"note"}}`),
		`{"properties":{"relation":{"eager_global_ordinals":false,"relations":{"order":["note","line"]},"type":"join"}}}`, "")
	f(field(`{"type":"text"}`), "", "no join field")
}
