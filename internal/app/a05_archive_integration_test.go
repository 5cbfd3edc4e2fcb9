//go:build integration

package app

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/cold"
	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/lease"
	"sluice/internal/mongo/archivedb"
	"sluice/internal/testkit"
)

// archiveDeletion lets the archive's own code delete documents as those of a pack.
func (s stage) archiveDeletion(t *testing.T, coll string, transactions bool, ids bson.A) {
	t.Helper()
	db, err := archivedb.Open(t.Context(), archivedb.Options{URI: s.cfg.MongoDB.URI.Reveal()})
	must(t, err)
	defer func() { must(t, db.Close(context.Background())) }()
	name := fmt.Sprintf("%s-%v", s.db.Name(), transactions)
	ns := flow.Namespace{DB: s.db.Name(), Coll: coll}
	guard := cold.Guard{
		Fence:        cold.Fence{Lease: name, Owner: "me", Number: 1},
		Selection:    cold.Selection{NS: ns, Field: "n", Kind: cold.AgeSeconds, Before: time.Now()},
		Pack:         cold.Pack{ID: name, Run: name, Rule: "old", NS: ns.String(), State: cold.PackDeleting, Fence: 1, Docs: len(ids)},
		Object:       coldObject,
		Transactions: transactions,
	}
	must(t, db.PutPack(t.Context(), guard.Pack, ""))
	must(t, db.Leases().Save(t.Context(), lease.Row{}, lease.Row{Name: name, Owner: "me", Fence: 1, Beat: 1, TTL: time.Minute}))
	var doomed []cold.Doomed
	for i, id := range ids {
		doc, err := s.db.Collection(coll).FindOne(t.Context(), bson.D{{Key: "_id", Value: id}}).Raw()
		must(t, err)
		doomed = append(doomed, cold.Doomed{Entry: i, ID: doc.Lookup("_id"), Hash: sha256.Sum256(doc), Doc: doc})
	}
	d, err := db.Begin(t.Context(), guard)
	must(t, err)
	fates, err := d.Delete(t.Context(), 0, doomed)
	must(t, err)
	must(t, d.Close(context.Background()))
	for _, f := range fates {
		if f.Outcome != cold.Deleted {
			t.Fatalf("entry %d: %s", f.Entry, f.Outcome)
		}
	}
	if len(fates) != len(ids) {
		t.Fatalf("%d fates of %d", len(fates), len(ids))
	}
}

// TestA5ArchivesOwnDeletes: what the archive's own code deletes, with and
// without transactions, while users delete too, is marked, and what comes back
// is live and a user's to delete.
func TestA5ArchivesOwnDeletes(t *testing.T) {
	s := newStage(t)
	s.cfg.Flows[0].On.Archive = config.ArchiveMark
	s.insert(t, "a", 1500)
	a, stop := run(t, Options{Config: s.cfg})
	testkit.Eventually(t, time.Minute, copied(a))
	users := make(chan error, 1)
	go func() {
		_, err := s.db.Collection("a").DeleteMany(context.Background(), among(idsFrom(1400, 1500)))
		users <- err
	}()
	s.archiveDeletion(t, "a", true, idsFrom(0, 1100))
	s.archiveDeletion(t, "a", false, idsFrom(1100, 1300))
	must(t, <-users)
	wantMarked(t, s, "a", 1300, 1400)
	s.put(t, "a", 0, 4, "back")
	s.put(t, "a", 1100, 1104, "back")
	must(t, removeAll(t.Context(), s.db.Collection("a"), idsFrom(0, 2), idsFrom(1100, 1102)))
	testkit.Eventually(t, time.Minute, func() error {
		have, err := s.found(t.Context(), "a")
		for id, want := range map[string]string{"0": "", "1": "", "2": "live back", "1100": "", "1101": "", "1103": "live back", "4": "archived"} {
			if err == nil && have[id] != want {
				err = fmt.Errorf("%s is %q, want %q", id, have[id], want)
			}
		}
		return err
	})
	must(t, stop())
}

// wantMarked waits until the index holds live documents from a to before b, and
// marked ones of another mark time below them.
func wantMarked(t *testing.T, s stage, coll string, a, b int) {
	t.Helper()
	testkit.Eventually(t, time.Minute, func() error {
		have, err := s.found(t.Context(), coll)
		if err != nil {
			return err
		}
		if len(have) != b {
			return fmt.Errorf("the index has %d documents, want %d", len(have), b)
		}
		for i := range b {
			want := "archived"
			if i >= a {
				want = "live"
			}
			if got := have[fmt.Sprint(i)]; got != want {
				return fmt.Errorf("%d is %q, want %q", i, got, want)
			}
		}
		return nil
	})
}

func removeAll(ctx context.Context, coll *driver.Collection, parts ...bson.A) error {
	for _, ids := range parts {
		if _, err := coll.DeleteMany(ctx, among(ids)); err != nil {
			return err
		}
	}
	return nil
}

// TestA5GhostsKnownToTheArchive: where the archive can be asked, a new copy
// removes ghosts, and does with what was archived unseen, as after a lost
// history, what it would have done with the delete.
func TestA5GhostsKnownToTheArchive(t *testing.T) {
	f := func(on config.ArchivePolicy, unseen string) {
		t.Helper()
		s := newStage(t)
		s.cfg.Flows[0].On.Archive = on
		s.insert(t, "a", 30)
		a, stop := run(t, Options{Config: s.cfg})
		testkit.Eventually(t, time.Minute, copied(a))
		must(t, stop())

		rules := *s.cfg
		rules.Archive = []config.Archive{{Name: "old", Namespace: s.db.Name() + ".*", To: "file://" + t.TempDir()}}
		sh := newShelves(&rules)
		t.Cleanup(func() { must(t, sh.close(context.Background())) })
		ns := flow.Namespace{DB: s.db.Name(), Coll: "a"}
		places, err := sh.of(t.Context(), ns)
		must(t, err)
		putPack(t, places[0], "p1", ns, 10, true, []any{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, map[int]cold.Outcome{})
		must(t, removeAll(t.Context(), s.db.Collection("a"), idsFrom(0, 20)))
		s.cfg.State.Path = t.TempDir() // the position is lost
		s.ghost(t, "a", 999)
		a = New(Options{Config: s.cfg, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
		a.flows[0].shelf = sh
		drain, ended := make(chan struct{}), make(chan error, 1)
		go func() { ended <- a.Run(context.Background(), drain) }()
		testkit.Eventually(t, time.Minute, func() error {
			have, err := s.found(t.Context(), "a")
			for id, want := range map[string]string{"0": unseen, "9": unseen, "10": "", "19": "", "20": "live", "999": ""} {
				if err == nil && have[id] != want {
					err = fmt.Errorf("%s: %s is %q, want %q", on, id, have[id], want)
				}
			}
			return err
		})
		close(drain)
		must(t, <-ended)
	}
	f(config.ArchiveKeep, "live")
	f(config.ArchiveMark, "archived")
	f(config.ArchiveRemove, "")
}
