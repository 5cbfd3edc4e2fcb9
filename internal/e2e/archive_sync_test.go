//go:build integration

package e2e

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/testkit"
)

// marked is a flow that leaves what was archived in the index, and the archive's
// rule for the same collection.
type marked struct {
	*vault
	search, index string
	// sync is a configuration of the flow alone, cold one of the rule alone.
	sync, cold string
	// archived are documents that only the archive has deleted, as they were indexed.
	archived map[string]any
}

func newMarked(t *testing.T) *marked {
	t.Helper()
	s := testkit.SharedSearch(t)
	flows := fmt.Sprintf("search: {urls: [%q]}\nflows: [{name: DB, namespaces: [DB.old], on: {archive: mark}}]\n", s.URL())
	v := newVault(t, vaultOptions{Top: flows, Rule: ", schedule: {every: 1s}"})
	v.index(t)
	flows = strings.ReplaceAll(flows, "DB", v.db.Name())
	return &marked{
		vault: v, search: s.URL(), index: v.ns(), archived: map[string]any{}, cold: v.variant(t, flows, ""),
		sync: configFile(t, fmt.Sprintf("mongodb: {uri: %q}\nstate: {path: %q}\n%s", v.uri, v.dir+"/state", flows)),
	}
}

// indexed waits until the index holds all that is live, and what was archived
// with its mark, and nothing else.
func (m *marked) indexed(t *testing.T, p *process) {
	t.Helper()
	p.eventually(t, 40*time.Second, func() error { return m.compare(t.Context()) })
}

func (m *marked) compare(ctx context.Context) error {
	want, err := collectionDocs(ctx, m.coll())
	if err != nil {
		return err
	}
	have, err := indexDocs(ctx, m.search, m.index)
	if err != nil {
		return err
	}
	for id, doc := range m.archived {
		if _, live := want[id]; live {
			continue
		}
		got, ok := have[id].(map[string]any)
		if !ok {
			return fmt.Errorf("%s was archived, and the index has %v", id, have[id])
		}
		mark, _ := got["archived"].(map[string]any)
		at, _ := mark["at"].(string)
		object, _ := mark["object"].(string)
		if _, err := time.Parse(time.RFC3339, at); err != nil || mark["rule"] != m.rule || len(mark) != 3 || !strings.HasPrefix(object, "s3://"+m.s3.Bucket()+"/"+m.prefix+"/") {
			return fmt.Errorf("%s has the mark %v", id, got["archived"])
		}
		rest := maps.Clone(got)
		delete(rest, "archived")
		if !reflect.DeepEqual(rest, doc) {
			return fmt.Errorf("%s is %v, and was %v", id, rest, doc)
		}
		delete(have, id)
	}
	if len(have) != len(want) {
		return fmt.Errorf("%d documents are live, and the index has %d besides those with a mark", len(want), len(have))
	}
	for id, doc := range want {
		if !reflect.DeepEqual(have[id], doc) {
			return fmt.Errorf("%s is %v, and the index has %v", id, doc, have[id])
		}
	}
	return nil
}

// users delete some of the documents from a to b-1 while archive goes on with
// the rest, until no old one is left.
func (m *marked) users(t *testing.T, a, b int, archive func()) {
	t.Helper()
	before, err := collectionDocs(t.Context(), m.coll())
	if err != nil {
		t.Fatal(err)
	}
	type deleted struct {
		ids map[string]bool
		err error
	}
	done := make(chan deleted, 1)
	go func() {
		d := deleted{ids: map[string]bool{}}
		for id := a; id < b && d.err == nil; id += 3 {
			res, err := m.coll().DeleteOne(t.Context(), bson.D{{Key: "_id", Value: id}})
			if d.err = err; err == nil && res.DeletedCount == 1 {
				d.ids[fmt.Sprint(id)] = true
			}
		}
		done <- d
	}()
	archive()
	testkit.Eventually(t, 40*time.Second, func() error {
		old := bson.D{{Key: "at", Value: bson.D{{Key: "$lt", Value: time.Date(2022, 1, 1, 0, 0, 0, 0, time.UTC)}}}, {Key: "_id", Value: bson.D{{Key: "$gte", Value: a}, {Key: "$lt", Value: b}}}}
		n, err := m.coll().CountDocuments(t.Context(), old)
		if err == nil && n > 0 {
			err = fmt.Errorf("%d old documents are live", n)
		}
		return err
	})
	d := <-done
	if d.err != nil {
		t.Fatal(d.err)
	}
	live, err := collectionDocs(t.Context(), m.coll())
	if err != nil {
		t.Fatal(err)
	}
	archived := 0
	for id, doc := range before {
		if _, is := live[id]; !is && !d.ids[id] {
			m.archived[id] = doc
			archived++
		}
	}
	if archived == 0 || len(d.ids) == 0 {
		t.Errorf("%d were archived and %d deleted by users: nothing is proven", archived, len(d.ids))
	}
}

// TestA5ArchiveMarks: the documents that the archive deletes stay in the index
// with a mark, those that users delete at the same time go: when the flow and
// the rule run in one process, in two, and while the flow is down. What is
// restored is live in the index again, and a user's to delete.
func TestA5ArchiveMarks(t *testing.T) {
	t.Parallel()
	m := newMarked(t)
	old := time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC)
	m.add(t, 100_000, 100_200, 0, time.Now())

	// One process. It pauses until everything is in the index.
	p := start(t, "run", "-c", m.file)
	p.eventually(t, time.Minute, func() error { return p.copied(t.Context()) })
	tell := func(what string) {
		if r := verb(t, nil, "archive", what, "--url", "http://"+p.addr); r.code != 0 {
			t.Fatalf("archive %s: exit code %d\n%s%s", what, r.code, r.out, r.errOut)
		}
	}
	tell("pause")
	m.add(t, 0, 1500, 50, old)
	m.indexed(t, p)
	m.users(t, 0, 1500, func() { tell("resume") })
	m.indexed(t, p)
	p.wantDrain(t)

	// Two processes.
	p = following(t, "run", "-c", m.sync)
	m.add(t, 2000, 3500, 50, old)
	m.indexed(t, p)
	m.users(t, 2000, 3500, func() { m.archive(t) })
	m.indexed(t, p)

	// The flow is down.
	m.add(t, 4000, 5500, 50, old)
	m.indexed(t, p)
	p.kill()
	m.users(t, 4000, 5500, func() { m.archive(t) })
	p = following(t, "run", "-c", m.sync)
	m.indexed(t, p)

	// Back, and deleted by a user.
	m.must(t, "restore", "--query", `{"_id": {"$lt": 300}}`, "--rule", m.rule)
	m.indexed(t, p)
	res, err := m.coll().DeleteMany(t.Context(), bson.D{{Key: "_id", Value: bson.D{{Key: "$lt", Value: 100}}}})
	if err != nil || res.DeletedCount == 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	for id := range 100 {
		delete(m.archived, fmt.Sprint(id))
	}
	m.indexed(t, p)
	// Inserted anew by a user over a mark.
	insert(t, m.coll(), bson.D{{Key: "_id", Value: 2001}, {Key: "at", Value: time.Now()}, {Key: "new", Value: true}})
	m.indexed(t, p)
	p.wantDrain(t)
}

// archive runs the rule in a process of its own.
func (m *marked) archive(t *testing.T) {
	t.Helper()
	if r := verb(t, nil, "archive", "run", "--once", "-c", m.cold); r.code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
}
