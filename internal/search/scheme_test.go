package search

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"

	"sluice/internal/flow"
	"sluice/internal/transcode"
)

// plainOrders is an index as Monstache leaves it.
const plainOrders = `{"orders":{"aliases":{},"mappings":{"properties":{"n":{"type":"text"}}},"settings":{"index.uuid":"u1"}}}`

// monstacheOrders is one that we have written since.
const monstacheOrders = `{"orders":{"aliases":{},"mappings":{"_meta":{"sluice":{"format":1,"scheme":"monstache","flow":"f","namespaces":["shop.orders"]}}},"settings":{"index.uuid":"u1"}}}`

func (s *script) monstache(r Route) Options {
	o := s.options(r)
	o.Profile = ProfileMonstache
	plan, err := transcode.Compile(transcode.Options{Style: transcode.StyleMonstache}, transcode.Fields{})
	if err != nil {
		s.t.Fatal(err)
	}
	o.Route = func(ns flow.Namespace) (Route, error) {
		own := r
		own.Index, own.Plan = ns.Coll, plan
		return own, nil
	}
	return o
}

func nativeOf(t interface{ Fatal(...any) }, at bson.Timestamp) int64 {
	v, err := flow.VersionOf(at)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestS1MonstacheVersions: ours are those of Monstache and two.
func TestS1MonstacheVersions(t *testing.T) {
	of := func(t interface{ Fatal(...any) }, at bson.Timestamp) int64 {
		return nativeOf(t, at) + schemeOf(ProfileMonstache).offset
	}
	if got, want := of(t, bson.Timestamp{T: 1_700_000_000, I: 5}), int64(1_700_000_000)<<32+7; got != want {
		t.Errorf("got %d, want %d", got, want)
	}
	if of(t, bson.Timestamp{T: math.MaxInt32, I: math.MaxInt32}) <= 0 { // 2038
		t.Error("overflow")
	}
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) bson.Timestamp {
			return bson.Timestamp{
				T: rapid.Uint32Range(flow.VersionEpoch, math.MaxInt32).Draw(t, name+" seconds"),
				I: rapid.OneOf(rapid.Uint32Range(0, 5), rapid.Uint32Range(0, 1<<31)).Draw(t, name+" increment"),
			}
		}
		a, b := draw("a"), draw("b")
		if rapid.Bool().Draw(t, "same second") {
			b.T = a.T
		}
		if (nativeOf(t, a) < nativeOf(t, b)) != (of(t, a) < of(t, b)) || (a == b) != (of(t, a) == of(t, b)) {
			t.Fatalf("%v %v: %d %d", a, b, of(t, a), of(t, b))
		}
		for more := range int64(3) { // insert, update, delete
			theirs := int64(b.T)<<32 + int64(b.I) + more
			switch {
			case !a.Before(b) && of(t, a) < theirs: // also for the same event
				t.Fatalf("%v gets %d, and Monstache wrote %d for %v", a, of(t, a), theirs, b)
			case b.Before(a) && of(t, a) <= theirs:
				t.Fatalf("%v gets %d, and Monstache wrote %d for the earlier %v", a, of(t, a), theirs, b)
			}
		}
	})
}

func TestS1MonstacheBody(t *testing.T) {
	s := newScript(t)
	s.say("GET /orders", 200, plainOrders)
	s.say("PUT /orders/_mapping", 200, `{}`)
	s.do(bulkOrders, bulkDone)
	sink := openTest(t, s.monstache(Route{})).Sink()
	version := nativeOf(t, bson.Timestamp{T: 1_700_000_000, I: 1})
	vs, err := sink.Write(t.Context(), batch(
		write(t, int32(1), version, bson.E{Key: "z", Value: "<b>"}, bson.E{Key: "a", Value: 5.0}, bson.E{Key: "", Value: nil}),
		remove(t, bson.D{{Key: "b", Value: "x"}, {Key: "a", Value: 1}}, version+1),
		write(t, strings.Repeat("x", 600), version),
		write(t, "", version),
		write(t, "nan", version, bson.E{Key: "n", Value: math.NaN()}),
	))
	if err != nil || outcomes(vs) != "done done dead_letter:key dead_letter:key dead_letter:transcode" {
		t.Fatal(outcomes(vs), err)
	}
	want := `{"index":{"_id":"1","version":7301444403200000003,"version_type":"external_gte"}}` + "\n" +
		`{"":null,"a":5,"z":"\u003cb\u003e"}` + "\n" +
		`{"delete":{"_id":"map[a:1 b:x]","version":7301444403200000004,"version_type":"external_gte"}}` + "\n"
	c := s.seen(bulkOrders)[0]
	if c.body != want {
		t.Errorf("body\n%s\nwant\n%s", c.body, want)
	}
	if strings.Contains(c.query, "require_alias") {
		t.Error(c.query)
	}
	if got := s.seen("PUT /orders/_mapping")[0].body; !strings.Contains(got, `"scheme":"monstache"`) || strings.Contains(got, "properties") {
		t.Error(got)
	}
}

// A profile's index is none for the other.
func TestS12ProfilesDontMix(t *testing.T) {
	s := newScript(t)
	s.say("GET /orders", 200, monstacheOrders)
	if err := s.sink(Route{}).Prepare(t.Context(), orders); flow.ClassOf(err) != flow.Config || !strings.Contains(err.Error(), "profile") {
		t.Error(err)
	}
	s = newScript(t)
	if err := openTest(t, s.monstache(Route{})).Sink().Prepare(t.Context(), orders); flow.ClassOf(err) != flow.Config {
		t.Error(err)
	}
}

func TestMonstacheCreatesPlainIndexes(t *testing.T) {
	s := newScript(t)
	s.inTurn("GET /orders", 200, "", monstacheOrders)
	s.say("PUT /orders", 200, `{}`)
	if err := openTest(t, s.monstache(Route{})).Sink().Prepare(t.Context(), orders); err != nil {
		t.Fatal(err)
	}
	want := `{"mappings":{"_meta":{"sluice":{"format":1,"scheme":"monstache","flow":"f","namespaces":["shop.orders"],"created":true}}},"settings":{"index.gc_deletes":"300s"}}`
	if got := s.seen("PUT /orders")[0].body; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}

	s = newScript(t)
	s.inTurn("GET /orders", 200, "", plainOrders)
	s.say("PUT /orders", 400, `{"error":{"type":"resource_already_exists_exception","reason":"index [orders/x] already exists"},"status":400}`)
	s.say("PUT /orders/_mapping", 403, `{"error":{"type":"security_exception","reason":"no permissions for [indices:admin/mapping/put]"},"status":403}`)
	if err := openTest(t, s.monstache(Route{})).Sink().Prepare(t.Context(), orders); err != nil {
		t.Fatal(err)
	}
}

func TestS15MonstacheDrops(t *testing.T) {
	f := func(found string, want int) {
		t.Helper()
		s := newScript(t)
		s.say("GET /orders", 200, found)
		s.say("DELETE /orders", 200, `{}`)
		if err := openTest(t, s.monstache(Route{Drop: DropIndex})).Sink().Apply(t.Context(), control(flow.ControlDropped)); err != nil {
			t.Fatal(err)
		}
		if got := len(s.seen("DELETE /orders")); got != want {
			t.Errorf("%s: %d", found, got)
		}
	}
	f(monstacheOrders, 1)
	f(plainOrders, 0) // nothing of it was ever ours
	f(strings.Replace(monstacheOrders, `["shop.orders"]`, `["shop.orders","shop.old"]`, 1), 0)
}

// Monstache makes some versions of its own clock: one that is a little ahead is
// no foreign tool's.
func TestS1MonstacheVersionsOfAClock(t *testing.T) {
	f := func(ahead int64, want string) {
		t.Helper()
		now := nativeOf(t, bson.Timestamp{T: 1_700_000_000})
		s := newScript(t)
		s.say("GET /orders", 200, monstacheOrders)
		s.do(bulkOrders, func(c call) (int, string) {
			return 200, bulkAnswer(c, func(int, string) string {
				return itemError("index", 409, versionConflict, fmt.Sprintf("[a]: version conflict, current version [%d] is higher than the one provided [7]", (1_700_000_000+ahead)<<32))
			})
		})
		o := s.monstache(Route{})
		o.MaxVersion = func() int64 { return now }
		vs, err := openTest(t, o).Sink().Write(t.Context(), batch(write(t, "a", now)))
		if err != nil || outcomes(vs) != want {
			t.Error(ahead, outcomes(vs), err)
		}
	}
	f(0, "superseded")
	f(3600, "superseded")
	f(3602, "halt:foreign_version")
}

func (s *script) updates(r Route) *Sink {
	o := s.options(r)
	o.Write = WriteUpdate
	sink := openTest(s.t, o).Sink()
	sink.earlier.grace = 0
	return sink
}

func TestWriteUpdates(t *testing.T) {
	s := newScript(t)
	s.say("GET /_tasks", 200, `{"nodes":{}}`)
	s.do(bulkOrders, func(c call) (int, string) {
		return 200, bulkAnswer(c, func(i int, _ string) string {
			switch i {
			case 1:
				return itemError("update", 409, versionConflict, "[b]: version conflict, required seqNo [5], primary term [1]. current document has seqNo [6] and primary term [1]")
			case 2:
				return `{"delete":{"_index":"orders-000001","status":404}}`
			}
			return ""
		})
	})
	sink := s.updates(Route{})
	long := strings.Repeat("k", 600)
	vs, err := sink.Write(t.Context(), batch(
		write(t, "a", 7, bson.E{Key: "n", Value: 1}), write(t, "b", 7), remove(t, "c", 8), write(t, long, 9)))
	if err != nil || outcomes(vs) != "done retry:conflict done done" {
		t.Fatal(outcomes(vs), err)
	}
	lines := strings.Split(s.seen(bulkOrders)[0].body, "\n")
	for i, want := range []string{
		`{"update":{"_id":"a","retry_on_conflict":3}}`, `{"doc":{"n":1},"doc_as_upsert":true}`,
		`{"update":{"_id":"b","retry_on_conflict":3}}`, `{"doc":{},"doc_as_upsert":true}`,
		`{"delete":{"_id":"c"}}`,
	} {
		if lines[i] != want {
			t.Errorf("line %d is %s, want %s", i, lines[i], want)
		}
	}
	if !strings.HasPrefix(lines[6], `{"doc":{"sluice_key":`) || !strings.HasSuffix(lines[6], `,"doc_as_upsert":true}`) {
		t.Error(lines[6])
	}
}

// Without versions a bulk that nobody waits for any more could undo what is newer.
func TestS2UpdatesWaitForWhatMayRun(t *testing.T) {
	s := newScript(t)
	s.say("GET /_tasks", 200, `{"nodes":{}}`)
	bulks := 0
	s.do(bulkOrders, func(c call) (int, string) {
		if bulks++; bulks == 2 {
			return 504, `{"message":"gateway timeout"}`
		}
		return bulkDone(c)
	})
	sink := s.updates(Route{})
	for i, want := range []int{1, 1, 2, 2} {
		_, err := sink.Write(t.Context(), batch(write(t, "a", int64(i))))
		if (err != nil) != (i == 1) {
			t.Fatal(i, err)
		}
		if got := len(s.seen("GET /_tasks")); got != want {
			t.Errorf("write %d: the tasks were asked for %d times, want %d", i, got, want)
		}
	}
}

// An index that Monstache has filled keeps its settings while it is copied into.
func TestMonstacheIndexIsTakenAsItIs(t *testing.T) {
	s := newScript(t)
	s.say("GET /orders", 200, monstacheOrders)
	if err := openTest(t, s.monstache(Route{})).Sink().Apply(t.Context(), control(flow.ControlSnapshotBegin)); err != nil {
		t.Fatal(err)
	}
	if got := s.puts(); got != "" {
		t.Error(got)
	}
}

// Marks find the document under the profile's id.
func TestMonstacheMarks(t *testing.T) {
	s := newScript(t)
	s.say("GET /orders", 200, monstacheOrders)
	s.say("POST /_mget", 200, `{"docs":[{"found":true,"_source":{"n":1}}]}`)
	s.do(bulkOrders, bulkDone)
	vs, err := openTest(t, s.monstache(Route{Delete: DeleteMark})).Sink().Write(t.Context(), batch(remove(t, 1.0, 5)))
	if err != nil || outcomes(vs) != "done" {
		t.Fatal(outcomes(vs), err)
	}
	if got := s.seen("POST /_mget")[0].body; got != `{"docs":[{"_index":"orders","_id":"1"}]}` {
		t.Error(got)
	}
	if got := s.seen(bulkOrders)[0].body; !strings.HasPrefix(got, fmt.Sprintf(`{"index":{"_id":"1","version":%d,`, 5+monstacheOffset)+`"version_type":"external_gte"}}`+"\n"+`{"n":1,"deleted":`) {
		t.Error(got)
	}
}

// TestS13GhostsWithoutVersions: what has changed since it was scanned stays.
func TestS13GhostsWithoutVersions(t *testing.T) {
	s := newScript(t)
	s.say("GET /_tasks", 200, `{"nodes":{}}`)
	s.say("POST /orders-000001/_refresh", 200, `{}`)
	s.say("POST /orders-000001/_search", 200, `{"_scroll_id":"s1","_shards":{"failed":0},"hits":{"hits":[{"_id":"a","_seq_no":5,"_primary_term":2},{"_id":"b","_seq_no":6,"_primary_term":2}]}}`)
	s.say("POST /_search/scroll", 200, `{"_scroll_id":"s1","_shards":{"failed":0}}`)
	s.say("DELETE /_search/scroll", 200, `{}`)
	s.do(bulkOrders, func(c call) (int, string) {
		return 200, bulkAnswer(c, func(i int, _ string) string {
			if i == 1 {
				return itemError("delete", 409, versionConflict, "[b]: version conflict, required seqNo [6], primary term [2]. current document has seqNo [9] and primary term [2]")
			}
			return ""
		})
	})
	g := s.updates(Route{}).Ghosts()
	err := g.Scan(t.Context(), orders, func(ids []string) error {
		vs, err := g.Write(t.Context(), batch(remove(t, "a", 7), remove(t, "b", 7), remove(t, "never seen", 7)))
		if err != nil || outcomes(vs) != "done superseded superseded" || len(ids) != 2 {
			t.Error(ids, outcomes(vs), err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"delete":{"_id":"a","if_seq_no":5,"if_primary_term":2}}` + "\n" + `{"delete":{"_id":"b","if_seq_no":6,"if_primary_term":2}}` + "\n"
	if got := s.seen(bulkOrders)[0].body; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := s.seen("POST /orders-000001/_search")[0].body; !strings.Contains(got, `"seq_no_primary_term":true`) {
		t.Error(got)
	}
}
