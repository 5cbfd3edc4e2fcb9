package mongo

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestScopeIsTheNarrowest(t *testing.T) {
	f := func(want level, match string, include ...string) {
		t.Helper()
		sc := selectionOf(t, include, []string{"a.out"}).scope(true)
		got := ""
		if sc.match != nil {
			got = rawOf(t, sc.match).String()
		}
		if sc.level != want || match == "" && got != "" || !strings.Contains(got, match) {
			t.Errorf("%v: level %d, match %s", include, sc.level, got)
		}
	}
	f(levelCollection, "", "a.b")
	f(levelDatabase, `{"ns.coll": {"$in": ["b","c"]}}`, "a.c", "a.b", "a.c")
	f(levelDatabase, `{"ns.coll": {"$nin": ["out"]}}`, "a.*")
	f(levelDatabase, "", "b.*")
	f(levelDatabase, "", "b.x", "b.*")
	f(levelDeployment, `{"ns.db": "a","ns.coll": {"$in": ["b"]}},{"ns.db": "c"}`, "c.*", "a.b")
	f(levelDeployment, `"$regexMatch"`, "/^a\\.b$/")
	f(levelDeployment, "", "/(?i)^a/")
	f(levelDeployment, `{"operationType": {"$in": ["rename","dropDatabase","invalidate"]}}`, "a.b", "c.d")
}

// Only the namespaces make a fingerprint, not the order in which they are written.
func TestS6Fingerprint(t *testing.T) {
	print := func(expanded bool, include ...string) string {
		return selectionOf(t, include, nil).scope(expanded).fingerprint()
	}
	if print(true, "a.b", "a.c", "/x/") != print(true, "/x/", "a.c", "a.b", "a.b") {
		t.Error("the order matters")
	}
	all := []string{
		print(true, "a.b"), print(false, "a.b"), print(true, "a.b", "a.c"), print(true, "a.*"), print(true, "b.*"),
		print(true, "/a/"), print(true, "/b/"), print(true, "a.b", "b.b"), print(true, "a.c"),
	}
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != 9 {
		t.Errorf("%d fingerprints for 9 scopes", n)
	}
}

func TestPortable(t *testing.T) {
	f := func(expr string, want bool) {
		t.Helper()
		if got := portable(regexp.MustCompile(expr)); got != want {
			t.Errorf("%s: %v", expr, got)
		}
	}
	f(`^shop\.(orders|items_\d{2,4})$`, true)
	f(`[^a-z]+.*x?`, true)
	f(`(?i)shop`, false)
	f(`(?m)^a$`, false)
	f(`\bshop`, false)
	f(`(?s)a.b`, false)
}

func TestPipeline(t *testing.T) {
	f := func(slim bool, want string, include ...string) {
		t.Helper()
		got := rawOf(t, bson.D{{Key: "p", Value: selectionOf(t, include, nil).scope(true).pipeline(slim)}}).String()
		if !strings.Contains(got, want) {
			t.Errorf("%s", got)
		}
	}
	f(false, `[{"$project": {"updateDescription": {"$numberInt":"0"}}}]`, "a.b")
	f(true, `[{"$project": {"updateDescription": {"$numberInt":"0"},"fullDocument": {"$numberInt":"0"}}}]`, "a.b")
	f(false, `[{"$match": `, "a.b", "a.c")
}
