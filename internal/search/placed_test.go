package search

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/transcode"
)

// scattered places documents by the fields m (the index) and r (the routing).
func scattered() *Placement {
	return &Placement{
		Text: "t",
		Of: func(_ flow.Namespace, id bson.RawValue, doc bson.Raw) (Place, error) {
			m, ok := doc.Lookup("m").StringValueOK()
			if !ok {
				return Place{}, errors.New("no m")
			}
			r, _ := doc.Lookup("r").StringValueOK()
			return Place{Index: "orders-" + m, ID: string(transcode.AppendID(nil, id)), Routing: r}, nil
		},
		Prefix: func(flow.Namespace) string { return "orders-" },
	}
}

// on opens a sink on an engine.
func (e *engine) on(p *Placement, r Route) *Sink {
	if r.Drop == "" {
		r.Drop = DropDocuments
	}
	o := testOptions(e.t, "http://engine:9200", r)
	o.Transport, o.Places = e, p
	s := openTest(e.t, o).Sink()
	s.earlier.grace = 0
	return s
}

func (e *engine) write(s *Sink, want string, b flow.Batch) {
	e.t.Helper()
	vs, err := s.Write(e.t.Context(), b)
	if err != nil {
		e.t.Fatal(err)
	}
	if got := outcomes(vs); got != want {
		e.t.Fatalf("%s, want %s: %v", got, want, vs)
	}
}

func (e *engine) want(places ...string) {
	e.t.Helper()
	if got := e.places(); !slices.Equal(got, places) {
		e.t.Fatalf("%q, want %q", got, places)
	}
}

func in(t testing.TB, id any, version int64, month, routing string) flow.Change {
	return write(t, id, version, bson.E{Key: "m", Value: month}, bson.E{Key: "r", Value: routing})
}

// was says that the change knows what was before it.
func was(c flow.Change, docs ...flow.Change) flow.Change {
	c.Before = &flow.Before{}
	for _, d := range docs {
		c.Before.Docs = append(c.Before.Docs, d.Doc)
	}
	return c
}

// TestS14MoveWithinAShard: where the old routing leads to the shard of the new one, an
// id is there once, and its delete may not take what was just written.
func TestS14MoveWithinAShard(t *testing.T) {
	e := newEngine(t)
	e.oneShard = true
	s := e.on(scattered(), Route{})
	e.write(s, "done", batch(in(t, "a", 5, "01", "x")))
	e.write(s, "done", batch(in(t, "a", 6, "01", "y")))
	e.want("orders-01 a y")
	e.write(s, "done", batch(was(in(t, "a", 7, "01", "z"), in(t, "a", 6, "01", "y"))))
	e.want("orders-01 a z")
	e.write(s, "done", batch(was(in(t, "a", 7, "01", "z"), in(t, "a", 6, "01", "y")))) // a replay
	e.want("orders-01 a z")
}

// A document that moves is written to its new place, then removed from the old
// one, which is found by a search after a refresh.
func TestS14MoveWritesTheNewPlaceThenRemovesTheOld(t *testing.T) {
	e := newEngine(t)
	s := e.on(scattered(), Route{})
	e.write(s, "done done", batch(in(t, "a", 5, "01", "x"), in(t, "b", 5, "01", "x")))
	e.want("orders-01 a x", "orders-01 b x")
	var order []string
	e.bulk = func(actions []fakeAction) (int, string) {
		for _, a := range actions {
			order = append(order, a.op)
		}
		return 0, ""
	}
	e.write(s, "done done done", batch(in(t, "a", 7, "02", "x"), in(t, "b", 7, "01", "y"), in(t, "c", 7, "02", "")))
	e.want("orders-01 b y", "orders-02 a x", "orders-02 c ")
	if got := strings.Join(order, " "); got != "index index index delete delete" {
		t.Error(got)
	}
	e.bulk = nil
	for version := range int64(4) { // there and back, with nothing new about the indexes
		e.write(s, "done", batch(in(t, "d", 10+version, []string{"01", "02"}[version%2], "x")))
	}
	e.want("orders-01 b y", "orders-02 a x", "orders-02 c ", "orders-02 d x")
	e.write(s, "done", batch(remove(t, "d", 20)))
	e.write(e.on(scattered(), Route{}), "done", batch(remove(t, "a", 8))) // another process
	e.want("orders-01 b y", "orders-02 c ")
}

// Where the stream tells what a document was, nothing is searched for; a change
// that does not know it is searched for even then.
func TestS14PreImageNeedsNoSearch(t *testing.T) {
	e := newEngine(t)
	s := e.on(scattered(), Route{})
	if err := s.Trust(t.Context(), orders, true); err != nil {
		t.Fatal(err)
	}
	one, two, three := in(t, "a", 5, "01", "x"), in(t, "a", 6, "02", "x"), in(t, "a", 7, "03", "y")
	e.write(s, "done", batch(was(one)))
	e.write(s, "done", batch(was(two, one)))
	e.want("orders-02 a x")
	e.write(s, "done", batch(was(three, one, two))) // merged
	e.want("orders-03 a y")
	skip := was(in(t, "a", 8, "", ""), three)
	skip.Op, skip.Doc = flow.OpSkip, nil
	e.write(s, "done", batch(skip)) // its delete will know only what came after
	e.want()
	e.write(s, "done", batch(was(in(t, "a", 9, "01", "x"))))
	e.write(s, "done", batch(was(remove(t, "a", 10), in(t, "a", 9, "01", "x"))))
	e.want()
	if n := e.called("_search"); n != 0 {
		t.Errorf("%d searches", n)
	}
	e.write(s, "done", batch(in(t, "a", 11, "01", "x")))
	e.write(s, "done", batch(in(t, "a", 12, "02", "x")))
	e.want("orders-02 a x")
}

// A change that a script wants nothing done for leaves the document where it is.
func TestS14SkippedDocumentStays(t *testing.T) {
	e := newEngine(t)
	s := e.on(scattered(), Route{})
	e.write(s, "done", batch(in(t, "a", 5, "01", "x")))
	skip := in(t, "a", 6, "02", "x")
	skip.Op = flow.OpSkip
	e.write(s, "done", batch(skip))
	e.want("orders-01 a x")
}

// What the stream tells is not enough while it is doubtful where documents lie:
// during a copy, after other templates, or where deleted ones stay.
func TestS14DoubtIsSearched(t *testing.T) {
	e := newEngine(t)
	f := func(s *Sink, version int64) {
		t.Helper()
		e.write(s, "done", batch(in(t, "a", version, "01", "x")))
		e.write(s, "done", batch(was(in(t, "a", version+1, "02", "x"))))
		e.want("orders-02 a x")
	}
	s := e.on(scattered(), Route{})
	f(s, 1)
	if err := s.Trust(t.Context(), orders, false); err != nil || s.places.trustOf(orders) != known {
		t.Fatal(err, s.places.trustOf(orders))
	}
	if err := s.Apply(t.Context(), flow.Control{Kind: flow.ControlSnapshotBegin, NS: orders}); err != nil {
		t.Fatal(err)
	}
	f(s, 3)
	other := scattered()
	other.Text = "u"
	s = e.on(other, Route{})
	if err := s.Trust(t.Context(), orders, false); err != nil {
		t.Fatal(err)
	}
	f(s, 5)
	if err := s.Trust(t.Context(), orders, true); err != nil || s.places.trustOf(orders) != known {
		t.Fatal(err, "a copy puts everything in order")
	}
	for _, r := range []Route{{Delete: DeleteKeep}, {Archive: ArchiveMark}, {Drop: DropIgnore}} {
		s = e.on(other, r)
		if err := s.Trust(t.Context(), orders, true); err != nil || s.places.trustOf(orders) == known {
			t.Fatal(err, r)
		}
	}
}

// A copy into what was empty asks nothing; any other one looks for each document.
func TestS14FirstCopyAsksNothing(t *testing.T) {
	e := newEngine(t)
	s := e.on(scattered(), Route{})
	begin := flow.Control{Kind: flow.ControlSnapshotBegin, NS: orders}
	if err := s.Apply(t.Context(), begin); err != nil {
		t.Fatal(err)
	}
	page := batch(in(t, "a", 5, "01", "x"))
	page.Snapshot = true
	e.write(s, "done", page)
	if n := e.called("_search"); n != 0 {
		t.Errorf("%d searches", n)
	}
	if err := s.Apply(t.Context(), begin); err != nil {
		t.Fatal(err)
	}
	page = batch(in(t, "a", 6, "02", "x"))
	page.Snapshot = true
	e.write(s, "done", page)
	e.want("orders-02 a x")
}

// A document of the copy that the stream has overtaken becomes no second one, and
// takes away what is older than it.
func TestS14LateSnapshotDocument(t *testing.T) {
	e := newEngine(t)
	s := e.on(scattered(), Route{})
	e.write(s, "done", batch(in(t, "a", 1, "03", "x")))
	if err := s.Trust(t.Context(), orders, true); err != nil {
		t.Fatal(err)
	}
	e.write(s, "done", batch(was(in(t, "a", 9, "02", "x")))) // from before a gap in the history
	e.want("orders-02 a x", "orders-03 a x")
	page := batch(in(t, "a", 5, "01", "x"))
	page.Snapshot = true
	e.write(s, "superseded", page)
	e.want("orders-02 a x")
	e.write(s, "done", batch(was(in(t, "b", 1, "03", "x"))))
	e.write(s, "done", batch(was(in(t, "b", 9, "02", "x"))))
	late := remove(t, "b", 5)
	late.Left = true
	page = batch(late)
	page.Snapshot = true
	e.write(s, "done", page)
	e.want("orders-02 a x", "orders-02 b x")
}

// A document that has no place any more, or is refused in the new one, is a
// dead letter and leaves the old one; one that is to be sent again does not yet.
func TestS14FaultsOfTheNewPlace(t *testing.T) {
	e := newEngine(t)
	s := e.on(scattered(), Route{})
	nowhere := write(t, "a", 6)
	e.write(s, "done", batch(in(t, "a", 5, "01", "x")))
	e.write(s, "dead_letter:place", batch(nowhere))
	e.want()
	for i, one := range []struct{ status, verdict, left string }{
		{`400,"error":{"type":"mapper_parsing_exception","reason":"no"}`, "dead_letter:mapping", ""},
		{`429,"error":{"type":"es_rejected_execution_exception","reason":"no"}`, "retry:rejected", "orders-01 a x"},
	} {
		e.bulk = nil
		e.write(s, "done", batch(in(t, "a", 7+int64(2*i), "01", "x")))
		e.bulk = func(actions []fakeAction) (int, string) {
			if actions[0].op == "index" {
				return 200, `{"errors":true,"items":[{"index":{"status":` + one.status + `}}]}`
			}
			return 0, ""
		}
		e.write(s, one.verdict, batch(in(t, "a", 8+int64(2*i), "02", "x")))
		if one.left == "" {
			e.want()
		} else {
			e.want(one.left)
		}
	}
}

// Marks go to where the document lies.
func TestS14MarkInItsPlace(t *testing.T) {
	e := newEngine(t)
	s := e.on(scattered(), Route{Delete: DeleteMark})
	e.write(s, "done", batch(in(t, "a", 5, "01", "x")))
	e.write(s, "done done", batch(remove(t, "a", 6), remove(t, "b", 6)))
	e.want("orders-01 a x")
	if d := e.live[fakeKey{"orders-01-000001", "a", "x"}]; !strings.Contains(d.source, `"deleted":{"at"`) || d.version != 6 || !strings.Contains(d.source, idField) {
		t.Errorf("%+v", d)
	}
	e.write(s, "done", batch(in(t, "a", 7, "02", "x"))) // it lives again, elsewhere
	e.want("orders-02 a x")
	moved := remove(t, "a", 8)
	moved.Doc = in(t, "a", 8, "03", "y").Doc // merged: it moved and was deleted
	e.write(s, "done", batch(moved))
	e.want("orders-03 a y")
}

// Two namespaces share an index only if their ids can't be equal.
func TestS10SharedIndex(t *testing.T) {
	e := newEngine(t)
	other := in(t, "a", 5, "01", "x")
	other.NS.Coll = "users"
	s := e.on(scattered(), Route{})
	e.write(s, "done", batch(in(t, "a", 5, "01", "x")))
	if _, err := s.Write(t.Context(), batch(other)); flow.ClassOf(err) != flow.Config || !strings.Contains(err.Error(), "shop.orders and shop.users would share it") {
		t.Fatal(err)
	}
	p := scattered()
	p.Shared = true
	of := p.Of
	p.Of = func(ns flow.Namespace, id bson.RawValue, doc bson.Raw) (Place, error) {
		at, err := of(ns, id, doc)
		at.ID = ns.String() + ":" + at.ID
		return at, err
	}
	e = newEngine(t)
	s = e.on(p, Route{Drop: DropIndex})
	e.write(s, "done done", batch(in(t, "a", 5, "01", "x"), other))
	e.want("orders-01 shop.orders:a x", "orders-01 shop.users:a x")
	// Nor does the drop of one touch the other (rule S15).
	if err := s.Apply(t.Context(), flow.Control{Kind: flow.ControlDropped, NS: orders, Version: 9}); err != nil {
		t.Fatal(err)
	}
	e.want("orders-01 shop.users:a x")
}

// An index that goes as a whole is this namespace's alone; what was written
// after the drop stays.
func TestS15DropOfPlaces(t *testing.T) {
	for _, policy := range []DropPolicy{DropIgnore, DropDocuments, DropIndex} {
		e := newEngine(t)
		s := e.on(scattered(), Route{Drop: policy})
		e.write(s, "done done", batch(in(t, "a", 5, "01", "x"), in(t, "b", 7, "02", "x")))
		if err := s.Apply(t.Context(), flow.Control{Kind: flow.ControlDropped, NS: orders, Version: 6}); err != nil {
			t.Fatal(err)
		}
		switch policy {
		case DropIgnore:
			e.want("orders-01 a x", "orders-02 b x")
		case DropDocuments:
			e.want("orders-02 b x")
		default:
			if len(e.indexes) != 0 {
				t.Error(e.indexes)
			}
		}
		e.bulk = nil
	}
}

// Ghosts are named by their keys, whatever their ids are.
func TestS13ScanOfPlacesTellsKeys(t *testing.T) {
	e := newEngine(t)
	p := scattered()
	of := p.Of
	p.Of = func(ns flow.Namespace, id bson.RawValue, doc bson.Raw) (Place, error) {
		at, err := of(ns, id, doc)
		at.ID = "x" + at.ID
		return at, err
	}
	s := e.on(p, Route{})
	e.write(s, "done done", batch(in(t, 1, 5, "01", "x"), in(t, "b", 7, "02", "x")))
	var keys []string
	if err := s.ScanIDs(t.Context(), orders, func(ids []string) error { keys = append(keys, ids...); return nil }); err != nil {
		t.Fatal(err)
	}
	slices.Sort(keys)
	if !slices.Equal(keys, []string{"1", "b"}) {
		t.Error(keys)
	}
}

// What a killed process has still on its way is waited for, once.
func TestS14WaitsForBulksOfAnEarlierProcess(t *testing.T) {
	e := newEngine(t)
	e.tasks = []string{"n:1", "n:2", "n:3"}
	s := e.on(scattered(), Route{})
	e.write(s, "done", batch(in(t, "a", 5, "01", "x")))
	e.write(s, "done", batch(in(t, "a", 6, "02", "x")))
	if n := e.called("_tasks"); n != 4 {
		t.Errorf("asked %d times", n)
	}
}

// An index that was deleted is made anew by the next document for it; indexes of
// others, and ours from before there were templates, are refused.
func TestS12IndexesOfPlaces(t *testing.T) {
	e := newEngine(t)
	s := e.on(scattered(), Route{})
	e.write(s, "done", batch(in(t, "a", 5, "01", "x")))
	x, err := s.Inspect(t.Context(), orders)
	if err != nil || x.UUID != ScatteredUUID || x.Docs != 1 || !x.Scattered {
		t.Fatal(x, err)
	}
	refused := func(name, meta string) {
		t.Helper()
		e := newEngine(t)
		e.indexes[name+"-000001"] = &fakeIndex{
			Aliases:  map[string]json.RawMessage{name: json.RawMessage(`{}`)},
			Mappings: map[string]json.RawMessage{"_meta": json.RawMessage(meta)}, Settings: map[string]any{"index.uuid": "u"},
		}
		_, err := e.on(scattered(), Route{}).Write(t.Context(), batch(in(t, "a", 5, "01", "x")))
		if flow.ClassOf(err) != flow.Config {
			t.Errorf("%s %s: %v", name, meta, err)
		}
	}
	refused("orders-01", `{}`)
	refused("orders-01", `{"sluice":{"format":1,"scheme":"native","flow":"other","namespaces":["shop.orders"],"created":true,"places":"t"}}`)
	refused("orders-01", `{"sluice":{"format":1,"scheme":"native","flow":"f","namespaces":["shop.orders"],"created":true}}`)
	refused("orders-02", `{"sluice":{"format":1,"scheme":"native","flow":"f","namespaces":["shop.orders"],"created":true}}`)
}

// A key that is only a hash in the index is kept whole.
func TestS10PlacesKeepTheKey(t *testing.T) {
	e := newEngine(t)
	s := e.on(scattered(), Route{})
	long := strings.Repeat("k", 600)
	e.write(s, "done", batch(in(t, long, 5, "01", "x")))
	for _, d := range e.live {
		if !strings.Contains(d.source, `"sluice_key":"{\"_id\":\"`+long) || !strings.Contains(d.source, `"sluice_ns":"shop.orders","sluice_id":"$sha256:`) {
			t.Error(d.source)
		}
	}
}
