//go:build integration

package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/cold"
	"sluice/internal/config"
	"sluice/internal/testkit"
)

// coldStage is a database with old documents, and rules that archive them.
type coldStage struct {
	db *driver.Database
	o  ArchiveOptions
}

// newColdStage writes a configuration with these rules; DB and DIR stand for
// the database and the directory of the archive.
func newColdStage(t *testing.T, rules string) coldStage {
	t.Helper()
	m := testkit.SharedMongo(t)
	client, err := driver.Connect(options.Client().ApplyURI(m.URI()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	name, dir := testkit.UniqueName(t), t.TempDir()
	text := strings.NewReplacer("DB", name, "DIR", filepath.Join(dir, "archive"), "RULE", strings.ReplaceAll(strings.ToLower(name), ".", "-")).Replace(rules)
	file := filepath.Join(dir, "sluice.yaml")
	text = fmt.Sprintf("mongodb: {uri: %q}\nstate: {path: %s}\ngovernor: {max_dirty: 1}\n", m.URI(), dir) + text
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file, config.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	return coldStage{client.Database(name), ArchiveOptions{Config: cfg, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}}
}

// fill inserts old documents with the numbers from 0 on, and as many young ones.
func (s coldStage) fill(t *testing.T, coll string, n int) {
	t.Helper()
	docs := make([]any, 0, 2*n)
	for i := range 2 * n {
		at := time.Date(2020, 1, 1, 0, i, 0, 0, time.UTC)
		if i >= n {
			at = time.Now()
		}
		docs = append(docs, bson.D{{Key: "_id", Value: i}, {Key: "at", Value: at}, {Key: "n", Value: float64(i)}, {Key: "who", Value: fmt.Sprintf("user-%d", i%7)}})
	}
	if _, err := s.db.Collection(coll).InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.Collection(coll).Indexes().CreateOne(t.Context(), driver.IndexModel{Keys: bson.D{{Key: "at", Value: 1}, {Key: "_id", Value: 1}}}); err != nil {
		t.Fatal(err)
	}
}

func (s coldStage) count(t *testing.T, coll string) int64 {
	t.Helper()
	n, err := s.db.Collection(coll).CountDocuments(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// raw returns all documents by _id, byte for byte.
func (s coldStage) raw(t *testing.T, coll string) []byte {
	t.Helper()
	cur, err := s.db.Collection(coll).Find(t.Context(), bson.D{}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for cur.Next(t.Context()) {
		all = append(all, cur.Current...)
	}
	if err := cur.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func (s coldStage) runOnce(t *testing.T) []ArchiveReport {
	t.Helper()
	reports, err := ArchiveRunRules(t.Context(), s.o, make(chan struct{}), true)
	if err != nil {
		t.Fatal(err)
	}
	return reports
}

func (s coldStage) find(t *testing.T, f ArchiveFindOptions) []ArchiveFound {
	t.Helper()
	var all []ArchiveFound
	for d, err := range ArchiveFind(t.Context(), s.o, f) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	return all
}

const oneRule = "archive:\n  - {name: RULE, namespace: DB.orders, field: at, older_than: 1y, timezone: UTC, to: 'file://DIR'}\n"

// TestArchiveVerbs walks through all verbs on one collection.
func TestArchiveVerbs(t *testing.T) {
	s := newColdStage(t, oneRule)
	s.fill(t, "orders", 500)
	before := s.raw(t, "orders")

	plans, err := ArchivePlan(t.Context(), s.o)
	if err != nil || len(plans) != 1 || plans[0].Refused() || plans[0].Count != 500 || plans[0].Survey.Total != 1000 {
		t.Fatalf("%+v, %v", plans, err)
	}
	reports := s.runOnce(t)
	if len(reports) != 1 || reports[0].Deleted != 500 || reports[0].Run == nil || reports[0].Run.State != cold.RunClosed {
		t.Fatalf("%+v", reports)
	}
	if n := s.count(t, "orders"); n != 500 {
		t.Fatalf("%d documents are left", n)
	}

	runs, err := ArchiveList(t.Context(), s.o, ArchiveListOptions{Packs: true, Limit: 10, Namespace: s.db.Name() + ".orders"})
	if err != nil || len(runs) != 1 || len(runs[0].Packs) != 1 || runs[0].Packs[0].Docs != 500 {
		t.Fatalf("%+v, %v", runs, err)
	}
	pack := runs[0].Packs[0].ID
	for _, id := range []string{runs[0].Run.ID, pack} {
		if d, err := ArchiveShow(t.Context(), s.o, id); err != nil || d.Run.ID != runs[0].Run.ID || len(d.Packs) != 1 {
			t.Errorf("%s: %+v, %v", id, d, err)
		}
	}
	for c, err := range ArchiveVerify(t.Context(), s.o, ArchiveVerifyOptions{Deep: true}) {
		if err != nil || c.Problem != "" || !c.Deep || c.Docs != 500 {
			t.Errorf("%+v, %v", c, err)
		}
	}

	id, err := ParseKey("7")
	if err != nil {
		t.Fatal(err)
	}
	query, err := ParseQuery(`{"who": "user-3", "n": {"$lt": 100}}`)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.find(t, ArchiveFindOptions{ArchiveWhich: ArchiveWhich{IDs: []bson.RawValue{id}}}); len(got) != 1 || got[0].Doc.Lookup("n").Double() != 7 || got[0].Outcome != "deleted" {
		t.Errorf("%+v", got)
	}
	if got := s.find(t, ArchiveFindOptions{ArchiveWhich: ArchiveWhich{Query: query}}); len(got) != 14 {
		t.Errorf("%d found by query", len(got))
	}
	if got := s.find(t, ArchiveFindOptions{Limit: 3}); len(got) != 3 {
		t.Errorf("%d found with a limit", len(got))
	}
	var cat bytes.Buffer
	if err := ArchiveCat(t.Context(), s.o, pack, &cat); err != nil || !bytes.Equal(cat.Bytes(), before[:cat.Len()]) {
		t.Errorf("%d bytes of BSON, %v", cat.Len(), err)
	}
	if err := ArchiveCat(t.Context(), s.o, "none", io.Discard); err == nil {
		t.Error("there is a pack named none")
	}

	dry, err := Restore(t.Context(), s.o, RestoreOptions{DryRun: true})
	if err != nil || dry.Found != 500 || dry.Inserted != 500 || s.count(t, "orders") != 500 {
		t.Errorf("%+v, %v", dry, err)
	}
	done, err := Restore(t.Context(), s.o, RestoreOptions{})
	if err != nil || done.Inserted != 500 || done.Unreturned() != 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	if dry, err = Restore(t.Context(), s.o, RestoreOptions{DryRun: true}); err != nil || dry.Equal != 500 {
		t.Errorf("%+v, %v", dry, err)
	}
	if !bytes.Equal(s.raw(t, "orders"), before) {
		t.Error("what came back is not what it was")
	}
	// What came back is on hold.
	if again := s.runOnce(t); again[0].Deleted != 0 || s.count(t, "orders") != 1000 {
		t.Errorf("%+v", again)
	}
}

// TestArchiveForgetGCRebuild: erase a document, clean up, and write a lost
// journal anew.
func TestArchiveForgetGCRebuild(t *testing.T) {
	s := newColdStage(t, oneRule)
	s.fill(t, "orders", 200)
	s.runOnce(t)
	id, err := ParseKey("7")
	if err != nil {
		t.Fatal(err)
	}
	which := ArchiveWhich{IDs: []bson.RawValue{id}}
	f, err := ArchiveForget(t.Context(), s.o, ArchiveForgetOptions{ArchiveWhich: which, DryRun: true})
	if err != nil || f.Documents != 1 || len(s.find(t, ArchiveFindOptions{ArchiveWhich: which})) != 1 {
		t.Fatalf("%+v, %v", f, err)
	}
	f, err = ArchiveForget(t.Context(), s.o, ArchiveForgetOptions{ArchiveWhich: which, Reason: "asked for"})
	if err != nil || f.Documents != 1 || len(f.Rewritten) != 1 || len(f.Unreached) != 0 || len(s.find(t, ArchiveFindOptions{ArchiveWhich: which})) != 0 {
		t.Fatalf("%+v, %v", f, err)
	}
	for c, err := range ArchiveVerify(t.Context(), s.o, ArchiveVerifyOptions{Deep: true}) {
		if err != nil || c.Problem != "" || c.Docs != 199 {
			t.Errorf("%+v, %v", c, err)
		}
	}
	stray := filepath.Join(strings.TrimPrefix(s.o.Config.Archive[0].To, "file://"), s.o.Config.Archive[0].Name, s.db.Name()+".orders", "2020-01-01", "stray.bson.zst")
	if err := os.MkdirAll(filepath.Dir(stray), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stray, []byte("half a pack"), 0o600); err != nil {
		t.Fatal(err)
	}
	ledger := s.db.Client().Database("sluice").Collection("archive_ledger")
	for i, at := range []time.Time{time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), time.Now()} {
		row := cold.LedgerRow{ID: bson.Binary{Subtype: 4, Data: []byte(fmt.Sprintf("%-15.15s%d", s.db.Name(), i))}, NS: s.db.Name() + ".gc", At: at}
		if _, err := ledger.InsertOne(t.Context(), row); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := ArchiveGC(t.Context(), s.o, 0, true); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	if all, err := ArchiveGC(t.Context(), s.o, 0, false); err != nil || len(all) != 1 || all[0].Why == "" {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := os.Stat(stray); !os.IsNotExist(err) {
		t.Error("the stray object is still there")
	}
	if n, err := ledger.CountDocuments(t.Context(), bson.D{{Key: "ns", Value: s.db.Name() + ".gc"}}); err != nil || n != 1 {
		t.Errorf("%d rows of the ledger, %v", n, err)
	}

	rule := s.o.Config.Archive[0].Name
	own := s.db.Client().Database("sluice")
	for _, coll := range []string{"archive_runs", "archive_packs", "archive_exceptions"} {
		if _, err := own.Collection(coll).DeleteMany(t.Context(), bson.D{{Key: "rule", Value: rule}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int{1, 0} {
		done, err := ArchiveRebuild(t.Context(), s.o)
		if err != nil || done.Packs != 1 || done.Runs != 1 || done.New != want {
			t.Fatalf("%+v, %v", done, err)
		}
	}
	back, err := Restore(t.Context(), s.o, RestoreOptions{Into: s.db.Name() + ".back"})
	if err != nil || back.Inserted != 199 || s.count(t, "back") != 199 {
		t.Errorf("%+v, %v", back, err)
	}
}

// TestArchiveRefusesPlan: a plan that can't run says so, and leaves the others alone.
func TestArchiveRefusesPlan(t *testing.T) {
	s := newColdStage(t, "archive:\n"+
		"  - {name: RULE-a, namespace: DB.none, field: at, older_than: 92d, to: 'file://DIR'}\n"+
		"  - {name: RULE-b, namespace: /DB\\.ord$/, field: at, older_than: 92d, to: 'file://DIR'}\n"+
		"  - {name: RULE-c, namespace: DB.orders, field: at, older_than: 92d, to: 'file://DIR'}\n")
	s.fill(t, "orders", 100)
	plans, err := ArchivePlan(t.Context(), s.o)
	if err != nil || len(plans) != 2 || !plans[0].Refused() || plans[1].Refused() {
		t.Fatalf("%+v, %v", plans, err)
	}
	reports, err := ArchiveRunRules(t.Context(), s.o, make(chan struct{}), true)
	if !ArchiveRefused(err) || len(reports) != 2 || reports[0].Error == "" || reports[1].Deleted != 100 {
		t.Errorf("%+v, %v", reports, err)
	}
	s.o.Rules = []string{"nobody"}
	if _, err := ArchivePlan(t.Context(), s.o); err == nil {
		t.Error("there is a rule named nobody")
	}
}

// TestArchiveServes: rules run by their schedules until they are told to stop;
// while they pause, nothing is archived.
func TestArchiveServes(t *testing.T) {
	s := newColdStage(t, strings.Replace(oneRule, "to:", "schedule: {every: 1s}, to:", 1))
	s.fill(t, "orders", 100)
	a, err := newArchiver(t.Context(), s.o, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.pause("", ""); err != nil {
		t.Fatal(err)
	}
	drain, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- a.serve(t.Context(), drain) }()
	testkit.Eventually(t, time.Minute, func() error {
		for _, p := range a.progress() {
			if p.Wait == "paused by a user" {
				return nil
			}
		}
		return fmt.Errorf("it does not wait: %+v", a.progress())
	})
	if n := s.count(t, "orders"); n != 200 {
		t.Errorf("%d documents are left while it pauses", n)
	}
	if err := a.resume(s.o.Config.Archive[0].Name); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, time.Minute, func() error {
		if n := s.count(t, "orders"); n != 100 {
			return fmt.Errorf("%d documents are left", n)
		}
		return nil
	})
	if err := a.pause("nobody", ""); err == nil {
		t.Error("there is a rule named nobody")
	}
	close(drain)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := a.close(t.Context()); err != nil {
		t.Error(err)
	}
}
