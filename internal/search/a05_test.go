package search

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

const archivedMark = `"archived":{"at":"2026-05-04T03:02:01.000Z","rule":"old \"orders\"","object":"s3://cold/1.bson.zst"}}`

// archived is an archive's delete.
func archived(t testing.TB, id any, version int64) flow.Change {
	c := remove(t, id, version)
	c.Archived = &flow.Archived{At: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), Rule: `old "orders"`, Object: "s3://cold/1.bson.zst"}
	return c
}

// lines are what a bulk body does: the actions, and the documents behind them.
func lines(index, id string, version, doc string) string {
	out := `{"` + index + `":{"_id":"` + id + `","version":` + version + `,"version_type":"external_gte"}}` + "\n"
	if doc != "" {
		out += doc + "\n"
	}
	return out
}

// TestA5Policies: an archive's delete follows on.archive, a user's on.delete.
func TestA5Policies(t *testing.T) {
	f := func(r Route, want string, changes ...flow.Change) {
		t.Helper()
		s := newScript(t)
		s.do("POST /_mget", func(c call) (int, string) {
			n := strings.Count(c.body, `"_id"`)
			return 200, `{"docs":[` + strings.TrimSuffix(strings.Repeat(`{"found":true,"_source":{"n":1}},`, n), ",") + `]}`
		})
		s.do(bulkOrders, bulkDone)
		vs, err := s.sink(r).Write(t.Context(), batch(changes...))
		if err != nil || strings.Trim(outcomes(vs), "done ") != "" {
			t.Fatal(outcomes(vs), err)
		}
		got := ""
		for _, c := range s.seen(bulkOrders) {
			got += c.body
		}
		if got != want {
			t.Errorf("%+v:\n%s\nwant\n%s", r, got, want)
		}
	}
	a, u := archived(t, "a", 8), remove(t, "u", 9)
	const deleted = `{"n":1,"deleted":{"at":"2023-11-14T22:13:20.000Z"}}`
	f(Route{}, lines("delete", "a", "8", "")+lines("delete", "u", "9", ""), a, u)
	f(Route{Archive: ArchiveRemove}, lines("delete", "a", "8", "")+lines("delete", "u", "9", ""), a, u)
	f(Route{Archive: ArchiveKeep}, lines("delete", "u", "9", ""), a, u)
	f(Route{Archive: ArchiveMark}, lines("index", "a", "8", `{"n":1,`+archivedMark)+lines("delete", "u", "9", ""), a, u)
	f(Route{Delete: DeleteKeep}, lines("delete", "a", "8", ""), a, u)
	f(Route{Delete: DeleteMark}, lines("delete", "a", "8", "")+lines("index", "u", "9", deleted), a, u)
	f(Route{Delete: DeleteMark, Archive: ArchiveMark}, lines("index", "a", "8", `{"n":1,`+archivedMark)+lines("index", "u", "9", deleted), a, u)

	// Merged with a write: its document stays, whatever the index holds.
	a.Doc, u.Doc = rawDoc(t, bson.D{{Key: "_id", Value: "a"}, {Key: "n", Value: "new"}}), rawDoc(t, bson.D{{Key: "_id", Value: "u"}})
	a.MissingIsDelete = true
	f(Route{}, lines("delete", "a", "8", "")+lines("delete", "u", "9", ""), a, u)
	f(Route{Archive: ArchiveKeep}, lines("index", "a", "8", `{"n":"new"}`)+lines("delete", "u", "9", ""), a, u)
	f(Route{Archive: ArchiveMark}, lines("index", "a", "8", `{"n":"new",`+archivedMark)+lines("delete", "u", "9", ""), a, u)
	f(Route{Delete: DeleteKeep}, lines("delete", "a", "8", "")+lines("index", "u", "9", "{}"), a, u)

	// What the index holds is not what was archived.
	a.Doc = nil
	f(Route{Archive: ArchiveKeep}, lines("delete", "a", "8", ""), a)
	f(Route{Archive: ArchiveMark}, lines("delete", "a", "8", ""), a)
	f(Route{Archive: ArchiveMark, Delete: DeleteKeep}, "", a)
	f(Route{Archive: ArchiveRemove, Delete: DeleteKeep}, lines("delete", "a", "8", ""), a)
}

// TestA5Mark: the mark takes the place of an older one, leaves all else as it
// is, and is not made of nothing.
func TestA5Mark(t *testing.T) {
	s := newScript(t)
	s.say("POST /_mget", 200, `{"docs":[`+
		`{"_id":"a","found":true,"_source":{"n":1,"archived":{"at":"2001","rule":"x","object":"y"},"deleted":true}},`+
		`{"_id":"b","found":false},`+
		`{"_id":"c","found":true,"_source":{}},`+
		`{"_id":"u","found":true,"_source":{"x":{"archived":1},"archived":{"rule":"x","object":"y","at":"2001"}}}]}`)
	s.do(bulkOrders, bulkDone)
	u := remove(t, "u", 9) // it was archived, came back, and is deleted by a user
	vs, err := s.sink(Route{Delete: DeleteMark, Archive: ArchiveMark}).Write(t.Context(), batch(archived(t, "a", 8), archived(t, "b", 8), archived(t, "c", 8), u))
	if err != nil || outcomes(vs) != "done done done done" {
		t.Fatal(outcomes(vs), err)
	}
	want := lines("index", "a", "8", `{"n":1,`+archivedMark) + lines("delete", "b", "8", "") + lines("index", "c", "8", "{"+archivedMark) +
		lines("index", "u", "9", `{"x":{"archived":1},"deleted":{"at":"2023-11-14T22:13:20.000Z"}}`)
	if got := s.seen(bulkOrders)[0].body; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// TestA5MarkSpareUsersField: a field archived of the user's own is not written
// over; the document is a dead letter that names the cure.
func TestA5MarkSparesUsersField(t *testing.T) {
	f := func(r Route, c flow.Change, source, want string) {
		t.Helper()
		s := newScript(t)
		s.say("POST /_mget", 200, `{"docs":[{"_id":"a","found":true,"_source":`+source+`}]}`)
		s.do(bulkOrders, bulkDone)
		vs, err := s.sink(r).Write(t.Context(), batch(c))
		if err != nil || outcomes(vs) != want {
			t.Fatal(source, outcomes(vs), err)
		}
		var fault *flow.Error
		if want != "done" && (!errors.As(vs[0].Err, &fault) || !strings.Contains(fault.Hint, "fields.rename") || fault.Class != flow.Document) {
			t.Error(vs[0].Err)
		}
	}
	r := Route{Archive: ArchiveMark}
	f(r, archived(t, "a", 8), `{"archived":true}`, "dead_letter:mapping")
	f(r, archived(t, "a", 8), `{"archived":{"at":"x"}}`, "dead_letter:mapping")
	f(r, archived(t, "a", 8), `{"archived":{"at":1,"rule":"x","object":"y"}}`, "dead_letter:mapping")
	f(r, archived(t, "a", 8), `{"n":{"archived":true}}`, "done")
	whole := archived(t, "a", 8)
	whole.Doc = rawDoc(t, bson.D{{Key: "_id", Value: "a"}, {Key: "archived", Value: false}})
	f(r, whole, `{}`, "dead_letter:mapping")
	f(Route{Archive: ArchiveKeep}, whole, `{}`, "done")
	f(Route{Delete: DeleteMark}, remove(t, "a", 8), `{"archived":true}`, "done")
}

// TestA5MappingConflict: where the engine refuses the mark, or a user's field in
// its place, the cure is named.
func TestA5MappingConflict(t *testing.T) {
	f := func(r Route, reason string, want bool) {
		t.Helper()
		s := newScript(t)
		s.say(bulkOrders, 200, `{"errors":true,"items":[{"index":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"`+reason+`"}}}]}`)
		vs, err := s.sink(r).Write(t.Context(), batch(write(t, "a", 7, bson.E{Key: "archived", Value: true})))
		var fault *flow.Error
		if err != nil || outcomes(vs) != "dead_letter:mapping" || !errors.As(vs[0].Err, &fault) || strings.Contains(fault.Hint, "fields.rename") != want {
			t.Errorf("%s: %s %v %v", reason, outcomes(vs), vs, err)
		}
	}
	mark := Route{Archive: ArchiveMark}
	f(mark, "object mapping for [archived] tried to parse field [archived] as object, but found a concrete value", true)
	f(mark, "Could not dynamically add mapping for field [archived.at]. Existing mapping for [archived] must be of type object but found [boolean].", true)
	f(mark, "failed to parse field [n] of type [long]", false)
	f(Route{}, "object mapping for [archived] tried to parse field [archived] as object, but found a concrete value", false)
}

// TestA5MappingOfTheMark: an index that is made declares the field; a mapping
// that would refuse it is refused before.
func TestA5MappingOfTheMark(t *testing.T) {
	f := func(r Route, want string, fails bool) {
		t.Helper()
		all, err := newScript(t).sink(r).createMappings(orders, &r)
		if fails {
			if err == nil || !strings.Contains(err.Error(), "fields.rename") {
				t.Errorf("%s: %v", r.Mappings, err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		var properties map[string]json.RawMessage
		if err := json.Unmarshal(all["properties"], &properties); err != nil || string(properties["archived"]) != want {
			t.Errorf("%s, want %s: %v", properties["archived"], want, err)
		}
	}
	f(Route{}, "", false)
	f(Route{Archive: ArchiveKeep}, "", false)
	f(Route{Archive: ArchiveMark}, `{"properties":{"at":{"type":"date"},"rule":{"type":"keyword"},"object":{"type":"keyword"}}}`, false)
	own := func(field string) json.RawMessage {
		return json.RawMessage(`{"properties":{"archived":` + field + `}}`)
	}
	f(Route{Archive: ArchiveMark, Mappings: own(`{"properties":{"at":{"type":"date"}}}`)}, `{"properties":{"at":{"type":"date"}}}`, false)
	f(Route{Archive: ArchiveMark, Mappings: own(`{"type":"object"}`)}, `{"type":"object"}`, false)
	f(Route{Archive: ArchiveMark, Mappings: own(`{"type":"boolean"}`)}, "", true)
	f(Route{Mappings: own(`{"type":"boolean"}`)}, `{"type":"boolean"}`, false)
}

// TestA5MarkedAreNoGhosts: what carries a mark is left out of the scan.
func TestA5MarkedAreNoGhosts(t *testing.T) {
	f := func(r Route, want string) {
		t.Helper()
		s := newScript(t)
		s.say("POST /orders-000001/_refresh", 200, `{}`)
		s.say("POST /orders-000001/_search", 200, `{"_shards":{"failed":0}}`)
		if err := s.sink(r).ScanIDs(t.Context(), orders, nil); err != nil {
			t.Fatal(err)
		}
		if got := s.seen("POST /orders-000001/_search")[0].body; !strings.Contains(got, `"query":`+want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	f(Route{Archive: ArchiveMark}, `{"bool":{"must_not":[{"exists":{"field":"archived.at"}}]}}`)
	f(Route{Archive: ArchiveMark, Delete: DeleteMark}, `{"bool":{"must_not":[{"exists":{"field":"deleted.at"}},{"exists":{"field":"archived.at"}}]}}`)
	f(Route{Archive: ArchiveKeep}, `{"match_all":{}}`)
}
