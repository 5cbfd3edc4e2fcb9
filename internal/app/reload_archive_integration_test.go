//go:build integration

package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/testkit"
)

// aRule is a rule on one collection that runs every second.
func aRule(coll string) string {
	return fmt.Sprintf("  - {name: N-%s, namespace: DB.%s, field: at, older_than: 30d, max_share: 1, to: \"file://DIR/archive\", schedule: {every: 1s}}\n", coll, coll)
}

// oldOnes inserts documents that are due.
func (s *watchStage) oldOnes(t *testing.T, coll string, n int) {
	t.Helper()
	docs := make([]any, n)
	for i := range docs {
		docs[i] = bson.D{{Key: "_id", Value: bson.NewObjectID()}, {Key: "at", Value: time.Date(2020, 1, 1, 0, i, 0, 0, time.UTC)}}
	}
	_, err := s.db.Collection(coll).InsertMany(t.Context(), docs)
	sure(t, err)
	_, err = s.db.Collection(coll).Indexes().CreateOne(t.Context(), driver.IndexModel{Keys: bson.D{{Key: "at", Value: 1}, {Key: "_id", Value: 1}}})
	sure(t, err)
}

// archivedAll waits until the collection is empty.
func (s *watchStage) archivedAll(t *testing.T, coll string) {
	t.Helper()
	testkit.Eventually(t, time.Minute, func() error {
		n, err := s.db.Collection(coll).CountDocuments(t.Context(), bson.D{})
		if err != nil || n > 0 {
			return fmt.Errorf("%d documents are left: %w", n, err)
		}
		return nil
	})
}

// ruleOn returns the rule of a collection; nil if there is none.
func ruleOn(a *App, coll string) *ruleRun {
	r := a.archiver.Load()
	if r == nil {
		return nil
	}
	all := r.list()
	i := slices.IndexFunc(all, func(r *ruleRun) bool { return strings.HasSuffix(r.cfg.Namespace, "."+coll) })
	if i < 0 {
		return nil
	}
	return all[i]
}

// TestReloadRules: rules come, change and go while another one runs on, with its
// own governor, spool and schedule; a rule whose place can't be reached is refused.
func TestReloadRules(t *testing.T) {
	s := newWatchStage(t)
	s.insert(t, "a", 10)
	for _, coll := range []string{"x", "y"} {
		s.oldOnes(t, coll, 50)
	}
	base := "spool: {path: DIR/spool}\ngovernor: {max_dirty: 1}\n" + oneFlow + "archive:\n"
	s.write(t, oneFlow)
	a, stop := s.start(t, often)
	testkit.Eventually(t, time.Minute, copied(a))
	one := flowNamed(t, a, "one")

	s.write(t, base+aRule("x")) // the first rule
	generation(t, a, 2)
	s.archivedAll(t, "x")
	x := ruleOn(a, "x")
	sure(t, a.Pause(x.cfg.Name, "by the test"))

	s.write(t, base+aRule("x")+aRule("y")) // one more
	generation(t, a, 3)
	s.archivedAll(t, "y")
	if ruleOn(a, "x") != x {
		t.Error("the rule that did not change was disturbed")
	}
	y := ruleOn(a, "y")

	s.write(t, base+strings.Replace(aRule("x"), "every: 1s", "every: 2s", 1)+aRule("y")) // another schedule
	generation(t, a, 4)
	if ruleOn(a, "y") != y || ruleOn(a, "x") == x {
		t.Error("not the rule that changed was started again")
	}
	if st := ruleOn(a, "x").status(); st.Paused != "by the test" {
		t.Errorf("the pause is lost: %+v", st)
	}

	s.write(t, base+aRule("y")+strings.Replace(aRule("x"), "file://DIR/archive", "file://DIR/sluice.yaml/x", 1))
	st := refused(t, a, "sluice.yaml/x")
	if ruleOn(a, "y") != y || st.Generation != 4 {
		t.Error("a refused rule disturbed another one")
	}

	s.write(t, base+aRule("y")) // one less
	generation(t, a, 5)
	if ruleOn(a, "x") != nil || ruleOn(a, "y") != y {
		t.Error(a.Status().Text())
	}
	s.write(t, strings.Replace(base, "max_dirty: 1", "max_dirty: 1, max_lag: 40s", 1)+aRule("y")) // what all share
	generation(t, a, 6)
	if r := ruleOn(a, "y"); r == y || r == nil {
		t.Error("the governor did not change")
	}
	s.oldOnes(t, "y", 20)
	s.archivedAll(t, "y")
	s.write(t, oneFlow) // none
	generation(t, a, 7)
	if a.archiver.Load() != nil || a.ready(t.Context()) != nil {
		t.Error(a.Status().Text())
	}
	s.write(t, base+aRule("y"))
	generation(t, a, 8)
	if flowNamed(t, a, "one") != one {
		t.Error("a flow was disturbed by rules")
	}
	sure(t, stop())
}
