package mongo

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/relate"
	"sluice/internal/testkit/scriptmongo"
)

var whoNS = flow.Namespace{DB: "a", Coll: "who"}

// showing is a document of a.c that shows one of a.who.
func showing(id, who any) bson.D {
	return bson.D{{Key: "_id", Value: id}, {Key: "who", Value: who}}
}

// relatedServer plays a server whose a.c has docs and an index on who.
func relatedServer(t *testing.T, docs ...any) *scriptmongo.Server {
	t.Helper()
	srv := newScripted(t, docs...)
	srv.Handle("listIndexes", func(scriptmongo.Command) (bson.D, error) {
		return cursorOf(
			bson.D{{Key: "name", Value: "_id_"}, {Key: "key", Value: bson.D{{Key: "_id", Value: 1}}}},
			bson.D{{Key: "name", Value: "who_1__id_1"}, {Key: "key", Value: bson.D{{Key: "who", Value: 1}, {Key: "_id", Value: 1}}}},
		), nil
	})
	srv.Handle("find", relatedFind(t, docs))
	return srv
}

// relatedFind answers finds of dependants, with faults for the first of them.
func relatedFind(t *testing.T, docs []any, faults ...error) func(scriptmongo.Command) (bson.D, error) {
	var mu sync.Mutex
	return func(c scriptmongo.Command) (bson.D, error) {
		if hint, _ := c.Doc.Lookup("hint").StringValueOK(); hint != "who_1__id_1" {
			return nil, nil
		}
		mu.Lock()
		defer mu.Unlock()
		if len(faults) > 0 {
			fault := faults[0]
			faults = faults[1:]
			return nil, fault
		}
		limit, _ := c.Doc.Lookup("limit").AsInt64OK()
		var found []any
		for _, d := range docs {
			if raw := rawOf(t, d.(bson.D)); shows(raw, c.Doc) && len(found) < int(limit) {
				found = append(found, d)
			}
		}
		return cursorOf(found...), nil
	}
}

func cursorOf(docs ...any) bson.D {
	return bson.D{{Key: "cursor", Value: bson.D{{Key: "firstBatch", Value: append(bson.A{}, docs...)}, {Key: "id", Value: int64(0)}, {Key: "ns", Value: "a.c"}}}}
}

// shows answers a query for dependants: their keys, and behind which _id.
func shows(doc, cmd bson.Raw) bool {
	conds, _ := cmd.Lookup("filter", "$and").Array().Values()
	keys, _ := conds[0].Document().Lookup("who", "$in").Array().Values()
	if !slices.ContainsFunc(keys, func(k bson.RawValue) bool { return sameKey(k, doc.Lookup("who")) }) {
		return false
	}
	for _, c := range conds[1:] {
		if after := c.Document().Lookup("$expr", "$gt", "1", "$literal"); after.Type != 0 && doc.Lookup("_id").AsInt64() <= after.AsInt64() {
			return false
		}
	}
	return true
}

func relatedOptions(bytes int) Options {
	return Options{
		Snapshot: SnapshotOptions{Disabled: true}, RelatedBytes: bytes,
		Related: []Relation{{When: whoNS, Rewrite: scriptedNS, Field: "who"}},
	}
}

// startRelated opens and starts a source in which documents of a.c show those of a.who.
func startRelated(t *testing.T, srv *scriptmongo.Server, o Options, pos flow.Position) *Source {
	t.Helper()
	s := openScripted(t, srv, o)
	if err := s.Start(t.Context(), pos, nil); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *Source) owed(t *testing.T) (format, keys int) {
	t.Helper()
	var p position
	if err := json.Unmarshal([]byte(s.Position()), &p); err != nil {
		t.Fatal(err)
	}
	for _, r := range p.Related {
		keys += len(r.Keys)
	}
	return p.Format, keys
}

func settleNow(t *testing.T, ack flow.Ack) {
	t.Helper()
	if err := ack(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}

// What a change owes is in every position that has passed it, until what shows it
// is settled; so a kill at any moment loses nothing.
func TestS3PositionKeepsWhatIsOwed(t *testing.T) {
	srv := relatedServer(t, showing(1, 7), showing(2, 8), showing(3, 7))
	s := startRelated(t, srv, relatedOptions(0), "")
	srv.Stream(scriptmongo.Reply{Events: []scriptmongo.Event{
		scriptmongo.Update("a.who", tick(3), 7, withID(7)[:0]), scriptmongo.Delete("a.who", tick(3), 7), scriptmongo.Insert("a.c", tick(4), withID(9)),
	}, HighWater: tick(5)})
	_, ack := nextChanges(t, s.Stream())
	settleNow(t, ack)
	before := s.Position()
	if format, keys := s.owed(t); format != relatedFormat || keys != 1 {
		t.Fatalf("a position of format %d owes %d keys", format, keys)
	}
	b, ack, err := readOne(t, s.Snapshot())
	if err != nil || len(b.Changes) != 2 {
		t.Fatal(b, err)
	}
	if _, keys := s.owed(t); keys != 1 {
		t.Error("it is forgotten before it is settled")
	}
	settleNow(t, ack)
	srv.Stream(scriptmongo.Reply{HighWater: tick(6)})
	await(t, func() bool { format, keys := s.owed(t); return format == positionFormat && keys == 0 })

	again := startRelated(t, srv, relatedOptions(0), before)
	if b, _, err := readOne(t, again.Snapshot()); err != nil || len(b.Changes) != 2 || !sameKey(b.Changes[1].ID, rawID(t, 3)) {
		t.Fatal(b, err)
	}
}

// await waits for what another goroutine does next.
func await(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatal("it does not come")
		}
	}
}

// Dependants are read at a server time that is not before the change, and written
// just below that time's own events, never by a clock.
func TestS1RelatedAreReadAtAServerTime(t *testing.T) {
	srv := relatedServer(t, showing(1, 7))
	s := startRelated(t, srv, relatedOptions(0), "")
	srv.Stream(scriptmongo.Reply{Events: []scriptmongo.Event{scriptmongo.Replace("a.who", tick(30), withID(7.0)), scriptmongo.Insert("a.c", tick(31), withID(9))}})
	nextChanges(t, s.Stream())
	b, _, err := readOne(t, s.Snapshot())
	if err != nil || len(b.Changes) != 1 {
		t.Fatal(b, err)
	}
	at, err := flow.VersionOf(b.Low)
	if c := b.Changes[0]; err != nil || c.Version != at-1 || c.Op != flow.OpWrite || b.Low.Before(tick(30)) {
		t.Errorf("%s at %d; read at %v", c.Op, c.Version, b.Low)
	}
	finds := srv.Commands("find")
	var read bson.Timestamp
	read.T, read.I, _ = finds[len(finds)-1].Doc.Lookup("readConcern", "atClusterTime").TimestampOK()
	if read != b.Low {
		t.Errorf("read at %v, told as of %v", read, b.Low)
	}
	if low, open := s.OldestOpen(); !open || low != b.Low {
		t.Error("the read is not among the open ones (S5)")
	}
}

// A full queue holds the stream back; nothing is dropped, and the budget holds.
func TestS9FullQueueHoldsTheStream(t *testing.T) {
	docs, events := []any{}, []scriptmongo.Event{}
	for i := range 40 {
		docs = append(docs, showing(i, i))
		events = append(events, scriptmongo.Delete("a.who", tick(uint32(3+i)), i))
	}
	srv := relatedServer(t, docs...)
	const budget = 3 * (64 + 4)
	s := startRelated(t, srv, relatedOptions(budget), "")
	srv.Stream(scriptmongo.Reply{Events: append(events, scriptmongo.Insert("a.c", tick(90), withID(99)))})
	read := make(chan error, 1)
	go func() {
		for {
			b, ack, err := s.Stream().Read(t.Context())
			if err != nil || b.Control == nil {
				read <- err
				return
			}
			_ = ack(t.Context(), nil)
		}
	}()
	seen := map[int64]bool{}
	for len(seen) < len(docs) {
		b, ack, err := readOne(t, s.Snapshot())
		if err != nil {
			t.Fatal(err)
		}
		if len(seen) == 0 {
			select {
			case err := <-read:
				t.Error("the stream is read on while there is no room:", err)
			default:
			}
		}
		for _, c := range b.Changes {
			seen[c.ID.AsInt64()] = true
		}
		settleNow(t, ack)
	}
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	if p := s.Progress().Related[0]; p.Peak > budget || p.Peak == 0 || p.Budget != budget {
		t.Errorf("%+v", p)
	}
}

// Many dependants are walked in pages, each behind the last _id of the one before.
func TestS9ManyDependantsComeInPages(t *testing.T) {
	docs := []any{}
	for i := range 25 {
		docs = append(docs, showing(i, 7))
	}
	srv := relatedServer(t, docs...)
	o := relatedOptions(0)
	o.Snapshot.Rate = 40 // 10 documents a page
	s := startRelated(t, srv, o, "")
	srv.Stream(scriptmongo.Reply{Events: []scriptmongo.Event{scriptmongo.Delete("a.who", tick(3), 7), scriptmongo.Insert("a.c", tick(4), withID(99))}})
	nextChanges(t, s.Stream())
	next := int64(0)
	for _, n := range []int{10, 10, 5} {
		b, ack, err := readOne(t, s.Snapshot())
		if err != nil || len(b.Changes) != n {
			t.Fatal(b, err)
		}
		for _, c := range b.Changes {
			if c.ID.AsInt64() != next {
				t.Fatalf("%s, want %d", c.ID, next)
			}
			next++
		}
		settleNow(t, ack)
	}
	await(t, func() bool { return s.Progress().Related[0].Keys == 0 })
	if n := s.Progress().Related[0].Rewritten; n != 25 {
		t.Errorf("%d are counted", n)
	}
}

// What passes (an election, a time that is too old, an index that was made anew)
// is tried again, and nothing that is owed is lost by it.
func TestS3RelatedReadIsTriedAgain(t *testing.T) {
	docs := []any{showing(1, 7)}
	srv := relatedServer(t, docs...)
	s := startRelated(t, srv, relatedOptions(0), "")
	srv.Handle("find", relatedFind(t, docs, scriptmongo.Fault(189), scriptmongo.Fault(239), scriptmongo.Fault(2), scriptmongo.Fault(11602)))
	srv.Stream(scriptmongo.Reply{Events: []scriptmongo.Event{scriptmongo.Delete("a.who", tick(3), 7), scriptmongo.Insert("a.c", tick(4), withID(99))}})
	nextChanges(t, s.Stream())
	b, ack, err := readOne(t, s.Snapshot())
	if err != nil || len(b.Changes) != 1 {
		t.Fatal(b, err)
	}
	// A page that is given up is owed still.
	if err := ack(t.Context(), errUndelivered); err != nil {
		t.Fatal(err)
	}
	b, ack, err = readOne(t, s.Snapshot())
	if err != nil || len(b.Changes) != 1 {
		t.Fatal(b, err)
	}
	settleNow(t, ack)
	await(t, func() bool { return s.Progress().Related[0].Keys == 0 })
}

// While the drop of a collection is on its way nothing of it is read; afterwards
// there is nothing to write.
func TestS15RelatedWaitForTheDrop(t *testing.T) {
	srv := relatedServer(t, showing(1, 7))
	s := startRelated(t, srv, relatedOptions(0), "")
	srv.Stream(scriptmongo.Reply{Events: []scriptmongo.Event{
		scriptmongo.Insert("a.c", tick(2), withID(9)), scriptmongo.Drop("a.c", tick(3)), scriptmongo.Delete("a.who", tick(4), 7), scriptmongo.Insert("a.c", tick(5), withID(10)),
	}})
	nextChanges(t, s.Stream())
	b, ack, err := readOne(t, s.Stream())
	if err != nil || b.Control == nil || b.Control.Kind != flow.ControlDropped {
		t.Fatal(b, err)
	}
	reads := func() (n int) {
		for _, c := range srv.Commands("find") {
			if c.Doc.Lookup("hint").Type == bson.TypeString {
				n++
			}
		}
		return n
	}
	before := reads()
	if err := s.related.admit([]owing{{s.related.all[0], rawID(t, 7)}})(t.Context()); err != nil {
		t.Fatal(err)
	}
	if lap, _, _, _ := s.related.next(s.related.all[0]); lap != nil {
		t.Error("it is read while the drop is on its way")
	}
	settleNow(t, ack)
	await(t, func() bool { return s.Progress().Related[0].Keys == 0 })
	if n := reads(); n != before {
		t.Errorf("%d reads of a collection that is gone", n-before)
	}
}

// A collection whose documents are shown is gone as a whole: what shows them is
// copied again, and what shows these.
func TestS13DroppedRelatedCollection(t *testing.T) {
	other := flow.Namespace{DB: "a", Coll: "other"}
	f := func(e scriptmongo.Event, want ...flow.Namespace) {
		t.Helper()
		s := bareSource(t, Options{Related: []Relation{
			{When: whoNS, Rewrite: scriptedNS, Field: "who"}, {When: scriptedNS, Rewrite: other, Field: "c"},
		}})
		s.bound[scriptedNS], s.bound[other] = "u", "v"
		for _, it := range sortEvents(t, s, e) {
			if it.onAck != nil && it.batch.Control == nil {
				it.onAck()
			}
		}
		var got []flow.Namespace
		for _, c := range s.copies.order {
			got = append(got, c.ns)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s %s: copies of %v, want %v", e.Op, e.NS, got, want)
		}
	}
	f(scriptmongo.Drop("a.who", tick(3)), scriptedNS, other)
	f(scriptmongo.Rename("a.tmp", "a.who", tick(3)), scriptedNS, other)
	f(scriptmongo.Rename("a.who", "a.old", tick(3)), scriptedNS, other)
	f(scriptmongo.Drop("a.nobody", tick(3)))
}

// What was written again owes to what shows it, before its own lap is over.
func TestS3RelatedOfRelated(t *testing.T) {
	srv := relatedServer(t, showing(1, 7), showing(5, 1))
	o := relatedOptions(0)
	next := flow.Namespace{DB: "a", Coll: "next"}
	o.Namespaces = []string{"a.next"}
	o.Related = append(o.Related, Relation{When: scriptedNS, Rewrite: next, Field: "who"})
	s := startRelated(t, srv, o, "")
	s.mu.Lock()
	s.bound[next] = "n"
	s.mu.Unlock()
	srv.Stream(scriptmongo.Reply{Events: []scriptmongo.Event{scriptmongo.Delete("a.who", tick(3), 7), scriptmongo.Insert("a.c", tick(4), withID(99))}})
	nextChanges(t, s.Stream())
	var got []string
	for len(got) < 2 {
		b, ack, err := readOne(t, s.Snapshot())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range b.Changes {
			got = append(got, c.NS.String()+" "+c.ID.String())
		}
		settleNow(t, ack)
	}
	if want := `a.c {"$numberInt":"1"}, a.next {"$numberInt":"5"}`; strings.Join(got, ", ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}

// A copy that is still to begin reads everything later than any change so far.
func TestS13CopyMakesGoodForRelated(t *testing.T) {
	s := bareSource(t, Options{Related: []Relation{{When: whoNS, Rewrite: scriptedNS, Field: "who"}}})
	s.bound[scriptedNS] = "u"
	r := s.related.all[0]
	owe := func() {
		if err := s.related.admit([]owing{{r, rawID(t, 7)}})(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.copies.schedule(scriptedNS, false)
	owe()
	if lap, _, _, _ := s.related.next(r); lap != nil || r.queue.Keys() != 0 {
		t.Error("it is read twice")
	}
	s.copies.find(scriptedNS).begun = true
	owe()
	lap, _, end, _ := s.related.next(r)
	if lap == nil {
		t.Fatal("a copy under way may have read it before")
	}
	end()
}

// Only an index that finds documents by the field will do.
func TestRelatedIndex(t *testing.T) {
	key := func(fields ...any) (d bson.D) {
		for i := 0; i < len(fields); i += 2 {
			d = append(d, bson.E{Key: fields[i].(string), Value: fields[i+1]})
		}
		return d
	}
	id := relatedIndex{Name: "_id_", Key: key("_id", 1)}
	f := func(want string, all ...relatedIndex) {
		t.Helper()
		got := ""
		if x := bestIndex(append([]relatedIndex{id}, all...), "who"); x != nil {
			got = x.Name
		}
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	other := relatedIndex{Name: "collated", Key: key("who", 1)}
	other.Collation.Locale = "de"
	f("")
	f("", relatedIndex{Name: "x", Key: key("x", 1, "who", 1)}, relatedIndex{Name: "hashed", Key: key("who", "hashed")},
		relatedIndex{Name: "partial", Key: key("who", 1), Partial: bson.Raw{5, 0, 0, 0, 0}}, relatedIndex{Name: "hidden", Key: key("who", 1), Hidden: true}, other)
	f("down", relatedIndex{Name: "down", Key: key("who", -1)})
	f("both", relatedIndex{Name: "one", Key: key("who", 1)}, relatedIndex{Name: "both", Key: key("who", 1, "_id", -1)}, relatedIndex{Name: "last", Key: key("who", 1, "x", 1)})
}

// Without an index the source does not open, and the error has the command.
func TestRelatedWithoutIndex(t *testing.T) {
	srv := newScripted(t, showing(1, 7))
	srv.Handle("listIndexes", func(scriptmongo.Command) (bson.D, error) {
		return cursorOf(bson.D{{Key: "name", Value: "_id_"}, {Key: "key", Value: bson.D{{Key: "_id", Value: 1}}}}), nil
	})
	o := relatedOptions(0)
	o.URI, o.Namespaces = srv.URI(), []string{"a.c"}
	s, err := Open(t.Context(), o)
	if err == nil {
		_ = s.Close(context.WithoutCancel(t.Context()))
	}
	if flow.ClassOf(err) != flow.Config || !strings.Contains(err.Error(), `getCollection("c").createIndex({"who": 1, _id: 1})`) {
		t.Error(err)
	}
}

// A collection that is only related has its events sent, and no more.
func TestRelatedIsWatchedOnly(t *testing.T) {
	f := func(exclude []string, words string, include ...string) {
		t.Helper()
		sel, err := newSelection(Options{Namespaces: include, Exclude: exclude, Related: []Relation{{When: whoNS, Rewrite: scriptedNS}}})
		if err != nil {
			t.Fatal(err)
		}
		got := rawOf(t, sel.scope(true).match).String()
		if !strings.Contains(got, words) || strings.Contains(got, `"$nin": ["who"`) {
			t.Errorf("%v: %s", include, got)
		}
		if follows := sel.follows(whoNS); follows != (len(exclude) == 0 && include[0] == "a.*") {
			t.Errorf("%v: followed %v", include, follows)
		}
	}
	f(nil, `["c","who"]`, "a.c")
	f([]string{"a.who", "a.x"}, `{"$nin": ["x"]}`, "a.*")
	f(nil, `{"ns.db": "a","ns.coll": {"$in": ["who"]}}`, "b.c")
}

// Null is a key like any other: documents without the field don't show it.
func TestRelatedNullKey(t *testing.T) {
	r := relation{Relation: Relation{Field: "who"}}
	f := func(want string, ids ...any) {
		t.Helper()
		var keys []relate.Key
		for _, id := range ids {
			v := bson.RawValue{Type: bson.TypeNull}
			if id != nil {
				v = rawID(t, id)
			}
			keys = append(keys, relate.Key{Value: v})
		}
		if got := rawOf(t, r.match(keys)).String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	f(`{"who": {"$in": ["x"]}}`, "x")
	f(`{"$or": [{"who": {"$in": ["x"]}},{"who": {"$type": "null"}}]}`, nil, "x")
}
