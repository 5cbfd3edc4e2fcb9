package search

import (
	"fmt"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

func TestDeleteKeep(t *testing.T) {
	s := newScript(t)
	vs, err := s.sink(Route{Delete: DeleteKeep}).Write(t.Context(), batch(remove(t, "a", 7), remove(t, "b", 8)))
	if err != nil || outcomes(vs) != "done done" {
		t.Fatal(outcomes(vs), err)
	}
}

func TestDeleteMark(t *testing.T) {
	s := newScript(t)
	s.say("POST /_mget", 200, `{"docs":[`+
		`{"_index":"orders-000001","_id":"a","_version":3,"found":true,"_source":{"n":1,"x":{"deleted":true},
	"l":[1,
	2]}},`+
		`{"_index":"orders-000001","_id":"b","found":false},`+
		`{"_index":"orders-000001","_id":"c","_version":3,"found":true,"_source":{}},`+
		`{"_index":"orders-000001","_id":"d","_version":3,"found":true,"_source":{"deleted":{"at":"2001"},"n":2}}]}`)
	s.do(bulkOrders, bulkDone)
	vs, err := s.sink(Route{Delete: DeleteMark}).Write(t.Context(), batch(
		write(t, "w", 7, bson.E{Key: "n", Value: "1"}), remove(t, "a", 8), remove(t, "b", 8), remove(t, "c", 8), remove(t, "d", 8)))
	if err != nil || outcomes(vs) != "done done done done done" {
		t.Fatal(outcomes(vs), err)
	}
	const at = `"deleted":{"at":"2023-11-14T22:13:20.000Z"}}`
	want := `{"index":{"_id":"w","version":7,"version_type":"external_gte"}}` + "\n" + `{"n":"1"}` + "\n" +
		`{"index":{"_id":"a","version":8,"version_type":"external_gte"}}` + "\n" + `{"n":1,"x":{"deleted":true},"l":[1,2],` + at + "\n" +
		`{"delete":{"_id":"b","version":8,"version_type":"external_gte"}}` + "\n" +
		`{"index":{"_id":"c","version":8,"version_type":"external_gte"}}` + "\n" + `{` + at + "\n" +
		`{"index":{"_id":"d","version":8,"version_type":"external_gte"}}` + "\n" + `{"n":2,` + at + "\n"
	if got := s.seen(bulkOrders)[0].body; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := s.seen("POST /_mget")[0].body; !strings.HasPrefix(got, `{"docs":[{"_index":"orders-000001","_id":"a"},{`) {
		t.Error(got)
	}
}

func TestDeleteMarkInPages(t *testing.T) {
	s := newScript(t)
	s.do("POST /_mget", func(c call) (int, string) {
		n := strings.Count(c.body, `"_id"`)
		if n > markedPage {
			t.Errorf("%d documents at one time", n)
		}
		return 200, `{"docs":[` + strings.TrimSuffix(strings.Repeat(`{"found":true,"_source":{}},`, n), ",") + `]}`
	})
	s.do(bulkOrders, bulkDone)
	b := flow.Batch{}
	for i := range 3*markedPage + 1 {
		b.Changes = append(b.Changes, remove(t, fmt.Sprint(i), 8))
	}
	vs, err := s.sink(Route{Delete: DeleteMark}).Write(t.Context(), b)
	if err != nil || strings.Trim(outcomes(vs), "done ") != "" {
		t.Fatal(outcomes(vs), err)
	}
	if got := strings.Count(s.seen(bulkOrders)[0].body, `"deleted"`); got != len(b.Changes) {
		t.Error(got)
	}
}

func TestDeleteMarkErrors(t *testing.T) {
	f := func(status int, body, want string) {
		t.Helper()
		s := newScript(t)
		s.say("POST /_mget", status, body)
		s.do(bulkOrders, bulkDone)
		vs, err := s.sink(Route{Delete: DeleteMark}).Write(t.Context(), batch(remove(t, "a", 8), write(t, "w", 7)))
		got := outcomes(vs)
		if err != nil {
			got = flow.ClassOf(err).String()
		}
		if got != want {
			t.Errorf("%s: %s %v, want %s", body, got, err, want)
		}
	}
	item := func(typ string) string { return `{"docs":[{"_id":"a","error":{"type":"` + typ + `","reason":"?"}}]}` }
	f(200, item("index_not_found_exception"), "halt:index_missing done")
	f(200, item("index_closed_exception"), "retry:index_closed done")
	f(200, item("no_shard_available_action_exception"), "retry:unavailable done")
	f(200, item("security_exception"), "halt:rights done")
	f(200, `{"docs":[{"_id":"a","found":true}]}`, "halt:index_configuration done")
	f(200, `{"docs":[]}`, "transient")
	f(503, `{}`, "transient")
}
