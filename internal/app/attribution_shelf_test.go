package app

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/archive/catalogue"
	"sluice/internal/cold"
	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/objstore"
	"sluice/internal/pack"
)

// shelfTime is when the test's packs were settled.
var shelfTime = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

// putPack archives documents with these ids in a pack that was read at a time.
// Without outcomes it stays unsettled.
func putPack(t *testing.T, sh *catalogue.Shelf, id string, ns flow.Namespace, at int, deletes bool, ids []any, outcomes map[int]cold.Outcome) {
	t.Helper()
	var raw bytes.Buffer
	w, err := pack.NewWriter(&raw, pack.WriterOptions{})
	must(t, err)
	for _, id := range ids {
		doc, err := bson.Marshal(bson.D{{Key: "_id", Value: id}})
		must(t, err)
		must(t, w.Append(doc, cold.Entry{Age: 1000}))
	}
	body, err := w.Close()
	must(t, err)
	p := cold.Pack{ID: id, Rule: "old", NS: ns.String(), Docs: len(ids), Created: shelfTime, Updated: shelfTime}
	p.SHA256, p.Bytes, p.RawBytes = hex.EncodeToString(body.SHA256[:]), body.Bytes, body.RawBytes
	sh.Place(&p)
	must(t, sh.Upload(t.Context(), &p, objstore.BytesBody(raw.Bytes())))
	m := pack.NewManifest(pack.Header{ID: id, Rule: p.Rule, NS: p.NS, ReadFrom: tick(at), ReadTo: tick(at), Delete: deletes, Object: p.Object}, body)
	must(t, sh.Commit(t.Context(), m))
	if outcomes == nil {
		return
	}
	var ex []cold.Exception
	for i := range ids {
		if o := outcomes[i]; o != "" {
			ex = append(ex, cold.Exception{Pack: id, Entry: i, Outcome: o, ID: keyOf(t, ids[i])})
		}
	}
	must(t, sh.Settle(t.Context(), &p, ex))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestA5ShelfKnowsWhatItTook: the newest version of a key decides, over all
// places: archived is what the archive deleted, not what it copied or found gone.
func TestA5ShelfKnowsWhatItTook(t *testing.T) {
	first, second := "file://"+t.TempDir(), "file://"+t.TempDir()
	cfg := &config.Config{Archive: []config.Archive{
		{Name: "old", Namespace: "shop.orders", To: first},
		{Name: "older", Namespace: "shop.*", To: second},
		{Name: "again", Namespace: "shop.orders", To: first},
		{Name: "other", Namespace: "else.*", To: "file:///nowhere/at/all"},
	}}
	s := newShelves(cfg)
	t.Cleanup(func() { must(t, s.close(t.Context())) })
	all, err := s.of(t.Context(), oldOrders)
	must(t, err)
	if len(all) != 2 || !s.Covers(oldOrders) || s.Covers(flow.Namespace{DB: "mine", Coll: "orders"}) {
		t.Fatalf("%d places", len(all))
	}
	none := map[int]cold.Outcome{}
	putPack(t, all[0], "p1", oldOrders, 10, true, []any{1, "gone later", "changed", "restored", int64(7)}, none)
	putPack(t, all[1], "p2", oldOrders, 20, true, []any{"gone later", "changed", "unknown", "restored"},
		map[int]cold.Outcome{0: cold.Gone, 1: cold.Changed, 2: cold.Unknown})
	putPack(t, all[1], "p3", oldOrders, 30, true, []any{"pending"}, nil)
	putPack(t, all[1], "p4", oldOrders, 30, false, []any{"copied"}, nil)
	f := func(id any, want string) {
		t.Helper()
		got, err := s.ArchivedIDs(t.Context(), oldOrders, []bson.RawValue{keyOf(t, "nobody's"), keyOf(t, id), keyOf(t, id)})
		must(t, err)
		if len(got) != 3 || got[0] != nil || got[1] != got[2] || (got[1] != nil) != (want != "") {
			t.Fatalf("%v: %+v, want %q", id, got, want)
		}
		if want == "" {
			return
		}
		p := cold.Pack{ID: want, Rule: "old", NS: oldOrders.String(), Created: shelfTime}
		sh := all[0]
		if want != "p1" {
			sh = all[1]
		}
		sh.Place(&p)
		if got[1].Rule != "old" || got[1].Object != p.Store+"/"+p.Object || want != "p3" && !got[1].At.Equal(shelfTime) {
			t.Errorf("%v: %+v, want %s/%s", id, got[1], p.Store, p.Object)
		}
	}
	f(1, "p1")
	f(1.0, "p1")
	f(7, "p1")
	f("1", "")
	f("gone later", "")
	f("changed", "")
	f("unknown", "p2")
	f("restored", "p2")
	f("pending", "p3")
	f("copied", "")
	if got, err := s.ArchivedIDs(t.Context(), flow.Namespace{DB: "shop", Coll: "people"}, []bson.RawValue{keyOf(t, 1)}); err != nil || got[0] != nil {
		t.Error(got, err)
	}
}
