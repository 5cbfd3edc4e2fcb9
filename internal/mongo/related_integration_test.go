//go:build integration

package mongo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/flow"
	"sluice/internal/relate"
	"sluice/internal/testkit"
)

// shown collects what is written again.
type shown struct {
	mu    sync.Mutex
	ids   map[string]int
	pages int
}

func (s *shown) add(b flow.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages++
	for _, c := range b.Changes {
		s.ids[c.ID.String()]++
	}
}

// missing returns which documents of coll were not written again, and how many were.
func (s *shown) missing(ctx context.Context, coll *mongo.Collection) (missing []string, n int, err error) {
	cur, err := coll.Find(ctx, bson.D{})
	if err != nil {
		return nil, 0, err
	}
	var docs []bson.Raw
	if err := cur.All(ctx, &docs); err != nil {
		return nil, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range docs {
		if id := d.Lookup("_id").String(); s.ids[id] == 0 {
			missing = append(missing, id)
		}
	}
	for _, times := range s.ids {
		n += times
	}
	return missing, n, nil
}

// readBoth reads both sources of s until the test ends.
func readBoth(t *testing.T, s *Source) *shown {
	t.Helper()
	got := &shown{ids: map[string]int{}}
	var wg sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for i, src := range []flow.Source{s.Stream(), s.Snapshot()} {
		wg.Go(func() {
			for {
				b, ack, err := src.Read(ctx)
				if err != nil {
					return
				}
				if i == 1 {
					got.add(b)
				}
				_ = ack(ctx, nil)
			}
		})
	}
	t.Cleanup(func() {
		stop()
		_ = s.Close(context.WithoutCancel(ctx))
		wg.Wait()
	})
	return got
}

// relatedPair makes two collections and a source by which the second shows the first.
func relatedPair(t *testing.T, index bson.D, docs []any) (people, coll *mongo.Collection, s *Source) {
	t.Helper()
	uri := testkit.SharedMongo(t).URI()
	db := newDB(t, uri)
	people, coll = db.Collection("people"), db.Collection("shows")
	_, err := coll.InsertMany(t.Context(), docs)
	must(t, err)
	_, err = coll.Indexes().CreateOne(t.Context(), mongo.IndexModel{Keys: index})
	must(t, err)
	o := small(uri, coll)
	o.Snapshot.Disabled, o.Snapshot.Rate = true, 40 // 10 documents a page
	o.Related = []Relation{{When: nsOf(people), Rewrite: nsOf(coll), Field: "who.id"}}
	s, err = Open(t.Context(), o)
	must(t, err)
	must(t, s.Start(t.Context(), "", nil))
	return people, coll, s
}

// Documents of every kind of key are found, and walked in pages whatever the mix
// of their types, by the best index and by a lesser one, and inside arrays.
func TestRelatedOfEveryKindOfKey(t *testing.T) {
	best := bson.D{{Key: "who.id", Value: 1}, {Key: "_id", Value: 1}}
	lesser := bson.D{{Key: "who.id", Value: -1}}
	one := func(who any) any { return bson.D{{Key: "id", Value: who}} }
	list := func(who any) any {
		return bson.A{bson.D{{Key: "id", Value: "else"}}, bson.D{{Key: "id", Value: who}}}
	}
	f := func(name string, index bson.D, hot bool, who func(any) any) {
		t.Run(name, func(t *testing.T) {
			var docs, keys []any
			for _, id := range allIDs() {
				key := id
				if hot {
					key = "hot"
				}
				keys = append(keys, key)
				docs = append(docs, bson.D{{Key: "_id", Value: id}, {Key: "who", Value: who(key)}})
			}
			if hot {
				keys = keys[:1]
			}
			people, coll, s := relatedPair(t, index, docs)
			got := readBoth(t, s)
			for _, k := range keys {
				_, err := people.InsertOne(t.Context(), bson.D{{Key: "_id", Value: k}})
				must(t, err)
			}
			testkit.Eventually(t, 30*time.Second, func() error {
				missing, _, err := got.missing(t.Context(), coll)
				if err == nil && len(missing) > 0 {
					err = fmt.Errorf("missing: %v", missing)
				}
				return err
			})
			if _, n, _ := got.missing(t.Context(), coll); hot && (n != len(docs) || got.pages != 4) {
				t.Errorf("%d writes of %d documents, in %d pages", n, len(docs), got.pages)
			}
		})
	}
	f("each, best", best, false, one)
	f("each, lesser", lesser, false, one)
	f("each, in lists", best, false, list)
	f("hot, best", best, true, one)
	f("hot, lesser", lesser, true, one)
	f("hot, in lists", best, true, list)
}

// A page reads no more of the collection than the documents that it brings, give
// or take one for each key.
func TestRelatedReadsByTheIndex(t *testing.T) {
	var docs []any
	for i := range 2000 {
		docs = append(docs, bson.D{{Key: "_id", Value: i}, {Key: "who", Value: bson.D{{Key: "id", Value: i % 4}}}})
	}
	_, coll, s := relatedPair(t, bson.D{{Key: "who.id", Value: 1}, {Key: "_id", Value: 1}}, docs)
	r := s.related.all[0]
	q := relate.New(1 << 20) // not that of the source, which is at work
	for _, id := range []bson.RawValue{rawID(t, 1), rawID(t, 2)} {
		q.Add(appendKey(nil, id.Type, id.Value), id)
	}
	q.Take(10)
	laps := q.Laps()
	last := rawID(t, 1500)
	laps[0].Last = &last
	c := s.copies.newCopy(nsOf(coll), false)
	defer c.cancel()
	cmd := s.related.command(r, &laps[0], c, 10, bson.D{{Key: "level", Value: "majority"}})
	cmd = slices.DeleteFunc(cmd, func(e bson.E) bool { return e.Key == "readConcern" })
	raw, err := s.client.Database(coll.Database().Name()).RunCommand(t.Context(),
		bson.D{{Key: "explain", Value: cmd}, {Key: "verbosity", Value: "executionStats"}}).Raw()
	must(t, err)
	read := raw.Lookup("executionStats", "totalDocsExamined").AsInt64()
	if read > 20 || strings.Contains(raw.Lookup("queryPlanner").String(), "COLLSCAN") {
		t.Errorf("%d documents are read for 10: %s", read, raw.Lookup("queryPlanner", "winningPlan"))
	}
	_ = s.Close(t.Context())
}

// An index that goes while the source runs ends it with the cure; a collection
// that is not there yet needs none.
func TestRelatedIndexGoes(t *testing.T) {
	docs := []any{bson.D{{Key: "_id", Value: 1}, {Key: "who", Value: bson.D{{Key: "id", Value: 1}}}}}
	people, coll, s := relatedPair(t, bson.D{{Key: "who.id", Value: 1}}, docs)
	defer func() { _ = s.Close(context.WithoutCancel(t.Context())) }()
	must(t, coll.Indexes().DropAll(t.Context()))
	must(t, func() error { _, err := people.InsertOne(t.Context(), bson.D{{Key: "_id", Value: 1}}); return err }())
	go func() {
		for {
			_, ack, err := s.Stream().Read(t.Context())
			if err != nil {
				return
			}
			_ = ack(t.Context(), nil)
		}
	}()
	_, _, err := readOne(t, s.Snapshot())
	if flow.ClassOf(err) != flow.Config || !strings.Contains(err.Error(), "createIndex") {
		t.Error(err)
	}
	o := s.opts
	o.Related = []Relation{{When: nsOf(people), Rewrite: flow.Namespace{DB: people.Database().Name(), Coll: "later"}, Field: "x"}}
	o.Namespaces = []string{o.Related[0].Rewrite.String()}
	later, err := Open(t.Context(), o)
	must(t, err)
	must(t, later.Close(t.Context()))
	must(t, people.Database().CreateView(t.Context(), "later", "shows", bson.A{}))
	openFails(t, o, flow.Config, "view")
}

// Documents that are written again while they change, are deleted and copied: the
// newest always wins; and after the last change of what they show, each was read
// later than that.
func TestS1RelatedAmongChanges(t *testing.T) {
	uri := testkit.SharedMongo(t).URI()
	db := newDB(t, uri)
	coll, people := db.Collection("docs"), db.Collection("people")
	seed(t, coll, 5000)
	var all []any
	for i := range 1200 { // a body's n, and what is added to it
		all = append(all, bson.D{{Key: "_id", Value: i}, {Key: "n", Value: 0}})
	}
	_, err := people.InsertMany(t.Context(), all)
	must(t, err)
	_, err = coll.Indexes().CreateOne(t.Context(), mongo.IndexModel{Keys: bson.D{{Key: "n", Value: 1}, {Key: "_id", Value: 1}}})
	must(t, err)
	o := small(uri, coll)
	o.RelatedBytes = 100 * 80
	o.Related = []Relation{{When: nsOf(people), Rewrite: nsOf(coll), Field: "n"}}
	w, others := startWriters(t, coll, 6000, 2), startWriters(t, people, 900, 1)
	p := startPump(t, o, "", newModel())
	testkit.Eventually(t, time.Minute, func() error {
		if r := p.s.Progress().Related[0]; p.m.kinds(nsOf(coll)) != "<>" || r.Rewritten < 20_000 {
			return fmt.Errorf("%+v", r)
		}
		return p.failure()
	})
	w.end()
	others.end()
	p.waitEqual(coll)
	now, err := p.s.Now(t.Context())
	must(t, err)
	_, err = people.DeleteMany(t.Context(), bson.D{})
	must(t, err)
	for i := range 1200 { // some were gone already
		_, err := people.InsertOne(t.Context(), bson.D{{Key: "_id", Value: i}})
		must(t, err)
	}
	least, err := flow.VersionOf(now)
	must(t, err)
	testkit.Eventually(t, time.Minute, func() error { return p.m.older(nsOf(coll), least) })
	p.waitEqual(coll)
	if r := p.s.Progress().Related[0]; r.Peak > r.Budget || r.Peak < r.Budget/2 {
		t.Errorf("%+v", r)
	}
}

// older tells of documents with n below 1200 whose version is lower than least.
func (m *model) older(ns flow.Namespace, least int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, d := range m.docs[ns] {
		if d.doc != nil && d.version < least && d.doc.Lookup("n").AsInt64() < 1200 {
			n++
		}
	}
	if n > 0 {
		return fmt.Errorf("%d documents of %d are older", n, len(m.docs[ns]))
	}
	return nil
}
