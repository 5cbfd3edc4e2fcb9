package mongo

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

func selectionOf(t testing.TB, include, exclude []string, filters ...Filter) selection {
	t.Helper()
	s, err := newSelection(Options{Namespaces: include, Exclude: exclude, Filters: filters})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFollows(t *testing.T) {
	s := selectionOf(t, []string{"shop.orders", "crm.*", `/^logs_\d+\.app/`}, []string{"crm.tmp", `/\.cache$/`})
	f := func(ns string, want bool) {
		t.Helper()
		n, _ := flow.ParseNamespace(ns)
		if got := s.follows(n); got != want {
			t.Errorf("%s: %v", ns, got)
		}
	}
	f("shop.orders", true)
	f("shop.orders2", false)
	f("shop.order", false)
	f("crm.people", true)
	f("crm.a.b", true)
	f("crm.tmp", false)
	f("crm.cache", false)
	f("crm.x.cache", false)
	f("logs_12.app", true)
	f("logs_12.apple", true)
	f("logs_x.app", false)
	f("xlogs_1.app", false)
}

// The names that the server makes on its way are left out before any pattern
// of the user is looked at (T21, S15).
func TestS15ReservedNamesComeFirst(t *testing.T) {
	s := selectionOf(t, []string{"/./", "app.*"}, nil)
	f := func(ns string, want bool) {
		t.Helper()
		n, _ := flow.ParseNamespace(ns)
		if got := s.follows(n); got != want {
			t.Errorf("%s: %v", ns, got)
		}
	}
	for _, ns := range []string{
		"admin.x", "config.x", "local.oplog.rs", "sluice.checkpoints", "app.system.views", "app.system.buckets.x",
		"app.tmp.agg_out.4f2a", "app.tmpAb3xY.renameCollection", "app.tmpAb3xY.convertToCapped.orders", "app.enxcol_.people.esc",
	} {
		f(ns, false)
	}
	for _, ns := range []string{
		"app.x", "app.tmp", "app.tmp.agg", "app.tmpAb3xY", "app.tmpAb3xYZ.renameCollection",
		"app.tmpAb3xY.renameCollection2", "app.tmpAb3xY.convertToCapped.", "app.systems", "administrator.x",
	} {
		want := ns != "app.tmpAb3xY.convertToCapped."
		f(ns, want)
	}
	for _, bad := range []string{"admin.x", "app.system.views", "sluice.x"} {
		if _, err := newSelection(Options{Namespaces: []string{bad}}); flow.ClassOf(err) != flow.Config {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestBadPatterns(t *testing.T) {
	for _, bad := range []string{"", "a", ".a", "a.", "/(/", "*"} {
		if _, err := newSelection(Options{Namespaces: []string{bad}}); flow.ClassOf(err) != flow.Config {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestFirstFilterCounts(t *testing.T) {
	one, two, all := rawOf(t, bson.D{{Key: "a", Value: 1}}), rawOf(t, bson.D{{Key: "b", Value: 1}}), rawOf(t, bson.D{})
	s := selectionOf(t, []string{"a.*"}, nil, Filter{"a.x", one}, Filter{"a.*", two}, Filter{"b.y", all})
	if got := s.filter(flow.Namespace{DB: "a", Coll: "x"}); string(got) != string(one) {
		t.Error(got)
	}
	if got := s.filter(flow.Namespace{DB: "a", Coll: "y"}); string(got) != string(two) {
		t.Error(got)
	}
	if got := s.filter(flow.Namespace{DB: "b", Coll: "y"}); got != nil {
		t.Error(got)
	}
}
