//go:build integration

package archivedb

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/lease"
	"sluice/internal/testkit"
)

// startFragile starts a server on which commands can be made to fail.
func startFragile(t *testing.T) *testkit.Mongo {
	t.Helper()
	m, err := testkit.StartMongo(t.Context(), testkit.MongoOptions{FailPoints: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Stop(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// fail makes the next commands of a name fail, some times.
func (s *scene) fail(command string, times int, how ...bson.E) {
	s.t.Helper()
	s.must(s.users.Database("admin").RunCommand(s.t.Context(), bson.D{
		{Key: "configureFailPoint", Value: "failCommand"},
		{Key: "mode", Value: bson.D{{Key: "times", Value: times}}},
		{Key: "data", Value: append(bson.D{{Key: "failCommands", Value: bson.A{command}}}, how...)},
	}).Err())
	s.t.Cleanup(func() { s.heal() })
}

func (s *scene) heal() {
	s.must(s.users.Database("admin").RunCommand(context.Background(), bson.D{
		{Key: "configureFailPoint", Value: "failCommand"}, {Key: "mode", Value: "off"},
	}).Err())
}

func code(n int, labels ...string) []bson.E {
	e := []bson.E{{Key: "errorCode", Value: n}}
	if len(labels) > 0 {
		e = append(e, bson.E{Key: "errorLabels", Value: labels})
	}
	return e
}

func cut() []bson.E { return []bson.E{{Key: "closeConnection", Value: true}} }

// doneButUnsure lets a commit take place and its answer be an error.
func doneButUnsure() []bson.E {
	return []bson.E{{Key: "writeConcernError", Value: bson.D{{Key: "code", Value: 64}, {Key: "errmsg", Value: "waiting for replication timed out"}}}}
}

// Whatever fails, each document is deleted once, and the journal is right.
func TestA3FailuresThatPass(t *testing.T) {
	m := startFragile(t)
	f := func(name, command string, times int, how []bson.E) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			s := newScene(t, openAt(t, m.URI()), m.URI(), 20)
			docs := s.orders(20)
			s.update(3, bson.D{{Key: "$set", Value: bson.D{{Key: "v", Value: 7}}}})
			d := s.begin()
			s.fail(command, times, how...)
			fates, err := d.Delete(t.Context(), 0, doomed(docs...))
			s.must(err)
			want := slices.Repeat([]cold.Outcome{cold.Deleted}, 20)
			want[3] = cold.Changed
			s.settled(fates, want...)
			if s.live() != 1 {
				t.Error(s.live(), "live")
			}
		})
	}
	f("commit: connection cut", "commitTransaction", 1, cut())
	f("commit: connection cut again and again", "commitTransaction", 7, cut())
	f("commit: done, but with an error", "commitTransaction", 1, doneButUnsure())
	f("commit: done, but with an error again and again", "commitTransaction", 5, doneButUnsure())
	f("commit: the transaction is lost", "commitTransaction", 2, code(251, labelTransient))
	f("commit: write conflict", "commitTransaction", 2, code(codeWriteConflict, labelTransient))
	f("delete: connection cut", "delete", 2, cut())
	f("delete: write conflicts", "delete", 7, code(codeWriteConflict, labelTransient))
	f("delete: the transaction is lost", "delete", 2, code(251, labelTransient))
	f("delete: too slow", "delete", 1, code(codeMaxTimeExpired))
	f("re-read: connection cut", "find", 1, cut())
	f("re-read: a new primary", "find", 2, code(10107, labelTransient))
	f("our rows: connection cut", "update", 2, cut())
	f("our rows: write conflict", "update", 5, code(codeWriteConflict, labelTransient))
	f("exceptions: write conflict", "insert", 2, code(codeWriteConflict, labelTransient))
}

func TestA3FailuresThatStay(t *testing.T) {
	m := startFragile(t)
	f := func(name, command string, how []bson.E, class flow.Class) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			s := newScene(t, openAt(t, m.URI()), m.URI(), 5)
			docs := s.orders(5)
			d := s.begin()
			s.fail(command, 100, how...)
			fates, err := d.Delete(t.Context(), 0, doomed(docs...))
			if len(fates) != 0 || flow.ClassOf(err) != class {
				t.Fatal(fates, err, flow.ClassOf(err))
			}
			s.heal()
			if p := s.pack(); s.live() != 5 || p.Next != 0 {
				t.Fatal(s.live(), "live, next", p.Next)
			}
			// The session is good for the next try.
			fates, err = d.Delete(t.Context(), 0, doomed(docs...))
			s.must(err)
			s.settled(fates, slices.Repeat([]cold.Outcome{cold.Deleted}, 5)...)
		})
	}
	f("no right to delete", "delete", code(13), flow.Auth)
	f("no right to read", "find", code(13), flow.Auth)
	f("no right to commit", "commitTransaction", code(13), flow.Auth)
}

// The end of the caller's context leaves no open transaction behind.
func TestA3CancelledInTheMiddle(t *testing.T) {
	m := startFragile(t)
	s := newScene(t, openAt(t, m.URI()), m.URI(), 5)
	docs := s.orders(5)
	d := s.begin()
	s.fail("delete", 1, bson.E{Key: "blockConnection", Value: true}, bson.E{Key: "blockTimeMS", Value: 2000})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	fates, err := d.Delete(ctx, 0, doomed(docs...))
	if err == nil || len(fates) > 0 {
		t.Fatal(fates, err)
	}
	// A user's write to the same documents has nobody to wait for.
	s.update(2, bson.D{{Key: "$set", Value: bson.D{{Key: "v", Value: 7}}}})
	fates, err = d.Delete(t.Context(), 0, doomed(docs...))
	s.must(err)
	s.settled(fates, cold.Deleted, cold.Deleted, cold.Changed, cold.Deleted, cold.Deleted)
}

// What became of a commit is learned from the pack's row and the lease.
func TestA3AnUnknownCommitIsFoundOut(t *testing.T) {
	s := sharedScene(t, 10)
	docs := s.orders(10)
	d := s.begin()
	cause := mongo.CommandError{Code: 251, Labels: []string{labelTransient}}
	var again *trouble
	if err := d.whetherMoved(t.Context(), 0, 5, cause); !errors.As(err, &again) {
		t.Fatal("not committed:", err)
	}
	_, err := d.Delete(t.Context(), 0, doomed(docs...)[:5])
	s.must(err)
	s.must(d.whetherMoved(t.Context(), 0, 5, cause))
	if err := d.whetherMoved(t.Context(), 0, 4, cause); flow.ClassOf(err) != flow.Conflict {
		t.Fatal("moved by another:", err)
	}
	s.must(s.db.Leases().Save(t.Context(), lease.Row{Name: "archive/rule", Owner: "me", Fence: 3, Beat: s.beat()},
		lease.Row{Name: "archive/rule", Owner: "you", Fence: 4, TTL: time.Minute}))
	if err := d.whetherMoved(t.Context(), 0, 5, cause); !errors.Is(err, lease.ErrLost) {
		t.Fatal("the lease is lost:", err)
	}
}
