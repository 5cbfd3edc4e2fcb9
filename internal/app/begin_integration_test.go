//go:build integration

package app

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/testkit"
)

// has waits until the index of coll holds so many documents.
func (s formerStage) has(t *testing.T, coll string, want int) {
	t.Helper()
	base := s.cfg.Search.URLs[0] + "/" + s.db.Name() + "." + coll
	testkit.Eventually(t, time.Minute, func() error {
		var out struct{ Count int }
		if err := ask(t.Context(), "POST", base+"/_refresh", "", nil); err != nil {
			return err
		}
		if err := ask(t.Context(), "GET", base+"/_count", "", &out); err != nil || out.Count != want {
			return fmt.Errorf("%s: %d documents, want %d (%w)", coll, out.Count, want, err)
		}
		return nil
	})
}

func emptyStage(t *testing.T) formerStage {
	t.Helper()
	s := formerStage{watchStage: newWatchStage(t)}
	s.own = s.db.Client().Database(s.db.Name() + "_m")
	return s
}

// TestStartAt: changes of the past are followed from a time on, and from the
// first entry of the oplog; a drop of then is carried out in its turn. One in the
// future is refused.
func TestStartAt(t *testing.T) {
	s := emptyStage(t)
	s.insert(t, "a", 10)
	s.insert(t, "b", 5)
	must(t, s.db.Collection("b").Drop(t.Context()))
	_, err := s.db.Collection("b").InsertOne(t.Context(), bson.D{{Key: "_id", Value: 100}})
	must(t, err)
	at := s.now(t)
	_, err = s.db.Collection("a").UpdateOne(t.Context(), bson.D{{Key: "_id", Value: 3}}, bson.D{{Key: "$set", Value: bson.D{{Key: "n", Value: 33}}}})
	must(t, err)
	next := bson.Timestamp{T: at.T, I: at.I + 1}
	f := func(begin string, a, b int) {
		t.Helper()
		prefix := strings.NewReplacer(":", "-", "{", "", "}", "", " ", "", ",", "").Replace(strings.ToLower(begin))[:3] + "-"
		app, stop := s.takeOver(t, fmt.Sprintf("flows: [{name: sync, namespaces: [DB.*], index_prefix: %q, snapshot: {enabled: false}, stream: {start_at: %s}}]\n", prefix, begin))
		s.settled(t, app)
		must(t, stop())
		s.indexed(t, prefix, "a", a)
		s.indexed(t, prefix, "b", b)
		if n := app.Status().SnapshotRead(); n != 0 {
			t.Errorf("%s: %d documents were copied", begin, n)
		}
	}
	f(fmt.Sprintf("{t: %d, i: %d}", next.T, next.I), 1, 0)
	f("earliest", 10, 1)
	// Beside a copy, the past changes nothing.
	app, stop := s.takeOver(t, "flows: [{name: sync, namespaces: [DB.*], stream: {start_at: earliest}}]\n")
	testkit.Eventually(t, time.Minute, copied(app))
	s.settled(t, app)
	must(t, stop())
	s.has(t, "a", 10)
	s.has(t, "b", 1)
	if n := app.Status().SnapshotRead(); n != 11 {
		t.Errorf("%d documents were copied", n)
	}
	s.anew(t, "flows: [{name: sync, namespaces: [DB.*], stream: {start_at: {t: 4294967295, i: 1}}}]\n")
	if err := New(s.options(t, 0)).Run(t.Context(), nil); flow.ClassOf(err) != flow.Config || !strings.Contains(err.Error(), "stream.start_at is 4294967295.1") {
		t.Errorf("far in the future: %v", err)
	}
}

// indexed wants so many documents under a prefix; an index that is not there has none.
func (s formerStage) indexed(t *testing.T, prefix, coll string, want int) {
	t.Helper()
	base := s.cfg.Search.URLs[0] + "/" + prefix + s.db.Name() + "." + coll
	testkit.Eventually(t, time.Minute, func() error {
		var out struct{ Count int }
		_ = ask(t.Context(), "POST", base+"/_refresh", "", nil)
		_ = ask(t.Context(), "GET", base+"/_count", "", &out)
		if out.Count != want {
			return fmt.Errorf("%s%s: %d documents, want %d", prefix, coll, out.Count, want)
		}
		return nil
	})
}

// TestOnlyTheCopy: without a stream a run with Once ends, a view that a pattern
// finds is copied, and what changed later is made good for when changes count.
func TestOnlyTheCopy(t *testing.T) {
	s := emptyStage(t)
	s.insert(t, "a", 10)
	s.insert(t, "log", 10)
	must(t, s.db.CreateView(t.Context(), "few", "a", bson.A{bson.D{{Key: "$match", Value: bson.D{{Key: "n", Value: bson.D{{Key: "$lt", Value: 4}}}}}}}))
	text := "flows: [{name: sync, namespaces: [DB.*], snapshot: {include: [/./], exclude: [DB.log]}, stream: {enabled: %v}}]\n"
	s.anew(t, fmt.Sprintf(text, false))
	o := s.options(t, 0)
	o.Once, o.Watch = true, nil
	must(t, New(o).Run(t.Context(), nil))
	s.has(t, "a", 10)
	s.has(t, "few", 4)
	s.indexed(t, "", "log", 0)
	_, err := s.db.Collection("a").DeleteMany(t.Context(), bson.D{{Key: "n", Value: bson.D{{Key: "$gt", Value: 6}}}})
	must(t, err)
	s.write(t, fmt.Sprintf(text, true))
	a, stop := s.start(t, 0)
	s.has(t, "a", 7)
	testkit.Eventually(t, time.Minute, copied(a))
	if n := a.Status().SnapshotRead(); n != 7 {
		t.Errorf("%d documents were copied", n)
	}
	_, err = s.db.Collection("log").InsertOne(t.Context(), bson.D{{Key: "_id", Value: 99}})
	must(t, err)
	s.has(t, "log", 1)
	must(t, stop())
}

// TestRepeat: each start of the process copies again, a reload does not; the
// documents of a namespace whose changes do not count stay as they were copied.
func TestRepeat(t *testing.T) {
	s := emptyStage(t)
	s.insert(t, "a", 10)
	s.insert(t, "b", 10)
	text := "flows: [{name: sync, namespaces: [DB.*], snapshot: {repeat: always, rate: %d}, stream: {include: [DB.a]}}]\n"
	s.anew(t, fmt.Sprintf(text, 5000))
	a, stop := s.start(t, 50*time.Millisecond)
	s.has(t, "a", 10)
	s.has(t, "b", 10)
	testkit.Eventually(t, time.Minute, copied(a))
	s.write(t, fmt.Sprintf(text, 6000))
	generation(t, a, 2)
	if n := a.Status().SnapshotRead(); n != 0 {
		t.Errorf("the reload copied %d documents", n)
	}
	for _, coll := range []string{"a", "b"} {
		_, err := s.db.Collection(coll).DeleteOne(t.Context(), bson.D{{Key: "_id", Value: 1}})
		must(t, err)
		_, err = s.db.Collection(coll).InsertOne(t.Context(), bson.D{{Key: "_id", Value: 50}})
		must(t, err)
	}
	_, err := s.db.Collection("b").InsertOne(t.Context(), bson.D{{Key: "_id", Value: 51}})
	must(t, err)
	s.settled(t, a)
	s.has(t, "a", 10)
	s.has(t, "b", 10)
	must(t, stop())
	a, stop = s.start(t, 0)
	testkit.Eventually(t, time.Minute, func() error {
		if n := a.Status().SnapshotRead(); n != 21 {
			return fmt.Errorf("%d documents were copied", n)
		}
		return copied(a)()
	})
	s.has(t, "a", 10)
	s.has(t, "b", 12) // nothing is removed
	must(t, stop())
}

// TestDropsThatDoNotCount: the index stays as it is, and a collection of that name
// that comes later is followed.
func TestDropsThatDoNotCount(t *testing.T) {
	s := emptyStage(t)
	s.insert(t, "a", 10)
	s.insert(t, "keep", 10)
	a, stop := s.takeOver(t, "flows: [{name: sync, namespaces: [DB.*], stream: {drops_exclude: [/keep$/]}}]\n")
	testkit.Eventually(t, time.Minute, copied(a))
	s.has(t, "a", 10)
	must(t, s.db.Drop(t.Context()))
	s.settled(t, a)
	s.indexed(t, "", "a", 0)
	s.has(t, "keep", 10)
	_, err := s.db.Collection("keep").InsertOne(t.Context(), bson.D{{Key: "_id", Value: 50}})
	must(t, err)
	s.has(t, "keep", 11)
	must(t, stop())
}
