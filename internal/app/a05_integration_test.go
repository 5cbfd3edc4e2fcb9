//go:build integration

package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"sluice/internal/cold"
	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/mongo/archivedb"
	"sluice/internal/testkit"
)

const coldObject = "s3://cold/old/1.bson.zst"

var coldAt = time.Date(2024, 5, 4, 3, 2, 1, 0, time.UTC)

// idsFrom are the numbers from a to before b.
func idsFrom(a, b int) bson.A {
	var ids bson.A
	for i := a; i < b; i++ {
		ids = append(ids, i)
	}
	return ids
}

func among(ids bson.A) bson.D {
	return bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}
}

// ledgerRow is written with majority, as an archive does before it deletes.
func (s stage) ledgerRow(t *testing.T, coll string, r cold.LedgerRow) {
	t.Helper()
	r.NS, r.Rule, r.Pack, r.Object, r.At = s.db.Name()+"."+coll, "old", "1", coldObject, coldAt
	ledger := s.db.Client().Database(archivedb.DefaultDatabase).
		Collection("archive_ledger", options.Collection().SetWriteConcern(writeconcern.Majority()))
	_, err := ledger.ReplaceOne(t.Context(), bson.D{{Key: "_id", Value: r.ID}}, r, options.Replace().SetUpsert(true))
	if err != nil {
		t.Fatal(err)
	}
}

// session starts one that is not given back while the test runs.
func (s stage) session(t *testing.T) (*driver.Session, bson.Binary) {
	t.Helper()
	session, err := s.db.Client().StartSession()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.EndSession(context.Background()) })
	subtype, id := session.ID().Lookup("id").Binary()
	return session, bson.Binary{Subtype: subtype, Data: id}
}

// deleteIn deletes in transactions of some documents each.
func (s stage) deleteIn(t *testing.T, session *driver.Session, coll string, ids bson.A) {
	t.Helper()
	for len(ids) > 0 {
		n := min(len(ids), 20)
		_, err := session.WithTransaction(t.Context(), func(ctx context.Context) (any, error) {
			return s.db.Collection(coll).DeleteMany(ctx, among(ids[:n]))
		})
		if err != nil {
			t.Fatal(err)
		}
		ids = ids[n:]
	}
}

// archive deletes as the archive does: a session of its own, the ledger first.
func (s stage) archive(t *testing.T, coll string, ids bson.A) {
	t.Helper()
	session, id := s.session(t)
	s.ledgerRow(t, coll, cold.LedgerRow{ID: id})
	s.deleteIn(t, session, coll, ids)
}

// remove deletes as a user does, some of it in a transaction.
func (s stage) remove(t *testing.T, coll string, ids bson.A) {
	t.Helper()
	session, _ := s.session(t)
	half := len(ids) / 2
	s.deleteIn(t, session, coll, ids[:half])
	for _, id := range ids[half:] {
		if _, err := s.db.Collection(coll).DeleteOne(t.Context(), bson.D{{Key: "_id", Value: id}}); err != nil {
			t.Fatal(err)
		}
	}
}

// put inserts or replaces documents as a user does.
func (s stage) put(t *testing.T, coll string, from, to int, name string) {
	t.Helper()
	for i := from; i < to; i++ {
		_, err := s.db.Collection(coll).ReplaceOne(t.Context(), bson.D{{Key: "_id", Value: i}},
			bson.D{{Key: "_id", Value: i}, {Key: "n", Value: i}, {Key: "name", Value: name}}, options.Replace().SetUpsert(true))
		if err != nil {
			t.Fatal(err)
		}
	}
}

// found is the index as "live", "archived" or "deleted" by id, with the name of the document.
func (s stage) found(ctx context.Context, coll string) (map[string]string, error) {
	base := s.cfg.Search.URLs[0] + "/" + s.db.Name() + "." + coll
	if err := ask(ctx, http.MethodPost, base+"/_refresh", "", nil); err != nil {
		return nil, err
	}
	var out struct {
		Hits struct {
			Hits []struct {
				ID     string `json:"_id"`
				Source struct {
					N        *int            `json:"n"`
					Name     string          `json:"name"`
					Deleted  json.RawMessage `json:"deleted"`
					Archived *struct {
						At, Rule, Object string
					} `json:"archived"`
				} `json:"_source"`
			} `json:"hits"`
		} `json:"hits"`
	}
	if err := ask(ctx, http.MethodPost, base+"/_search", `{"size":5000}`, &out); err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, h := range out.Hits.Hits {
		state := "live"
		if h.Source.Deleted != nil {
			state = "deleted"
		}
		if a := h.Source.Archived; a != nil {
			state = "archived"
			if at, err := time.Parse(time.RFC3339, a.At); err != nil || at.Before(coldAt) || a.Rule != "old" || a.Object != coldObject && !strings.HasPrefix(a.Object, "file://") {
				return nil, fmt.Errorf("%s: mark %+v", h.ID, *a)
			}
		}
		if h.Source.N == nil || fmt.Sprint(*h.Source.N) != h.ID {
			return nil, fmt.Errorf("%s lost its content", h.ID)
		}
		all[h.ID] = strings.TrimSpace(state + " " + h.Source.Name)
	}
	return all, nil
}

func ask(ctx context.Context, method, url, body string, out any) error {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode/100 != 2 {
		return errors.Join(err, fmt.Errorf("%s: %s", res.Status, raw))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(raw, out)
}

// want is what the index should hold: what in ids, for each pair.
type want struct {
	from, to int
	state    string
}

// wantIndex waits until the index holds exactly that.
func (s stage) wantIndex(t *testing.T, coll string, wants ...want) {
	t.Helper()
	testkit.Eventually(t, time.Minute, func() error {
		have, err := s.found(t.Context(), coll)
		if err != nil {
			return err
		}
		n := 0
		for _, w := range wants {
			for i := w.from; i < w.to; i++ {
				n++
				if got := have[fmt.Sprint(i)]; got != w.state {
					return fmt.Errorf("%d is %q, want %q", i, got, w.state)
				}
			}
		}
		if len(have) != n {
			return fmt.Errorf("the index has %d documents, want %d", len(have), n)
		}
		return nil
	})
}

// ghost puts a document into the index that MongoDB does not have.
func (s stage) ghost(t *testing.T, coll string, id int) {
	t.Helper()
	url := fmt.Sprintf("%s/%s.%s/_doc/%d?version=1&version_type=external_gte&refresh=true", s.cfg.Search.URLs[0], s.db.Name(), coll, id)
	if err := ask(t.Context(), http.MethodPut, url, fmt.Sprintf(`{"n":%d}`, id), nil); err != nil {
		t.Fatal(err)
	}
}

// TestA5Marked: what the archive deletes stays, marked, what users delete at
// the same time goes; also what happened while sync was down; documents that
// come back are live, and a user's delete of them is a user's; a new copy
// leaves the marked ones and removes ghosts.
func TestA5Marked(t *testing.T) {
	s := newStage(t)
	s.cfg.Flows[0].On.Archive = config.ArchiveMark
	s.insert(t, "a", 300)
	a, stop := run(t, Options{Config: s.cfg})
	testkit.Eventually(t, time.Minute, copied(a))

	users := make(chan struct{})
	go func() { defer close(users); s.remove(t, "a", idsFrom(200, 300)) }()
	s.archive(t, "a", idsFrom(0, 60))
	s.archive(t, "a", idsFrom(60, 100))
	<-users
	s.wantIndex(t, "a", want{0, 100, "archived"}, want{100, 200, "live"})

	s.put(t, "a", 0, 30, "back")
	s.remove(t, "a", idsFrom(0, 10))
	s.archive(t, "a", idsFrom(20, 30))
	s.wantIndex(t, "a", want{10, 20, "live back"}, want{20, 30, "archived back"}, want{30, 100, "archived"}, want{100, 200, "live"})
	must(t, stop())

	// Sync is down.
	s.archive(t, "a", idsFrom(100, 120))
	s.remove(t, "a", idsFrom(120, 140))
	s.put(t, "a", 30, 50, "again")
	s.remove(t, "a", idsFrom(30, 40))
	s.put(t, "a", 400, 410, "new")
	s.archive(t, "a", idsFrom(400, 410)) // never seen alive
	a, stop = run(t, Options{Config: s.cfg})
	testkit.Eventually(t, time.Minute, copied(a))
	after := []want{
		{10, 20, "live back"},
		{20, 30, "archived back"},
		{40, 50, "live again"},
		{50, 100, "archived"},
		{100, 120, "archived"},
		{140, 200, "live"},
		{400, 410, "archived new"},
	}
	s.wantIndex(t, "a", after...)
	must(t, stop())

	s.ghost(t, "a", 999)
	a, stop = run(t, Options{Config: s.cfg, Resync: []string{"all"}})
	testkit.Eventually(t, time.Minute, copied(a))
	s.wantIndex(t, "a", after...)
	must(t, stop())
}

// TestA5Kept: on.archive: keep leaves documents as they are, also in a new
// copy, which then removes nothing; users' deletes are marked as on.delete says.
func TestA5Kept(t *testing.T) {
	s := newStage(t)
	s.cfg.Flows[0].On.Archive, s.cfg.Flows[0].On.Delete = config.ArchiveKeep, config.DeleteMark
	s.insert(t, "a", 60)
	a, stop := run(t, Options{Config: s.cfg})
	testkit.Eventually(t, time.Minute, copied(a))
	s.archive(t, "a", idsFrom(0, 20))
	s.remove(t, "a", idsFrom(20, 40))
	s.put(t, "a", 0, 5, "back")
	s.archive(t, "a", idsFrom(0, 5))
	after := []want{{0, 5, "live back"}, {5, 20, "live"}, {20, 40, "deleted"}, {40, 60, "live"}}
	s.wantIndex(t, "a", after...)
	must(t, stop())
	a, stop = run(t, Options{Config: s.cfg, Resync: []string{"all"}})
	testkit.Eventually(t, time.Minute, copied(a))
	s.wantIndex(t, "a", after...)
	must(t, stop())
}

// TestA5WithoutTransactions: keys and a time in the ledger tell the same of
// deletes that have no session.
func TestA5WithoutTransactions(t *testing.T) {
	s := newStage(t)
	s.cfg.Flows[0].On.Archive = config.ArchiveMark
	s.insert(t, "a", 60)
	a, stop := run(t, Options{Config: s.cfg})
	testkit.Eventually(t, time.Minute, copied(a))
	session, id := s.session(t)
	ctx := driver.NewSessionContext(t.Context(), session)
	now := func() bson.Timestamp {
		must(t, s.db.Client().Ping(ctx, nil))
		return *session.OperationTime()
	}
	row := cold.LedgerRow{ID: bson.Binary{Subtype: 4, Data: append([]byte("keys"), id.Data[4:]...)}, From: now()}
	for _, k := range idsFrom(0, 20) {
		row.Keys = append(row.Keys, keyOf(t, k))
	}
	s.ledgerRow(t, "a", row)
	for _, k := range idsFrom(0, 20) {
		_, err := s.db.Collection("a").DeleteOne(ctx, bson.D{{Key: "_id", Value: k}})
		must(t, err)
	}
	s.remove(t, "a", idsFrom(20, 40))
	row.To = now()
	s.ledgerRow(t, "a", row)
	s.wantIndex(t, "a", want{0, 20, "archived"}, want{40, 60, "live"})
	s.put(t, "a", 0, 10, "back")
	s.wantIndex(t, "a", want{0, 10, "live back"}, want{10, 20, "archived"}, want{40, 60, "live"})
	s.remove(t, "a", idsFrom(0, 5))
	s.wantIndex(t, "a", want{5, 10, "live back"}, want{10, 20, "archived"}, want{40, 60, "live"})
	must(t, stop())
}

// TestA5RightsOnTheLedger: who may not read the ledger is told so at the start,
// with the cure; who does not need it, needs no right.
func TestA5RightsOnTheLedger(t *testing.T) {
	m, err := testkit.StartMongo(t.Context(), testkit.MongoOptions{Auth: true})
	must(t, err)
	t.Cleanup(func() { _ = m.Stop() })
	client, err := driver.Connect(options.Client().ApplyURI(m.URI()))
	must(t, err)
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	s := newStage(t)
	s.db = client.Database(s.db.Name())
	must(t, client.Database("admin").RunCommand(t.Context(), bson.D{
		{Key: "createUser", Value: "sync"},
		{Key: "pwd", Value: "secret"},
		{Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: "read"}, {Key: "db", Value: s.db.Name()}}}},
	}).Err())
	cfg, err := config.FromFlags(config.Overrides{
		MongoDB: strings.Replace(m.URI(), "root:sluice-test@", "sync:secret@", 1),
		Search:  s.cfg.Search.URLs, Namespaces: []string{s.db.Name() + ".*"}, State: t.TempDir(), Listen: "off",
	})
	must(t, err)
	s.cfg = cfg
	s.insert(t, "a", 10)
	a, stop := run(t, Options{Config: cfg})
	testkit.Eventually(t, time.Minute, copied(a))
	s.archive(t, "a", idsFrom(0, 5))
	s.wantIndex(t, "a", want{5, 10, "live"})
	must(t, stop())

	cfg.Flows[0].On.Archive = config.ArchiveMark
	err = New(Options{Config: cfg}).Run(t.Context(), nil)
	if flow.ClassOf(err) != flow.Auth || !strings.Contains(err.Error(), "sluice.archive_ledger") || !strings.Contains(err.Error(), "createRole") || strings.Contains(err.Error(), "secret") {
		t.Fatal(err)
	}
}
