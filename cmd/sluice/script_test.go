package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestScriptTest(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	f := func(code int, out, err string, args ...string) {
		t.Helper()
		gotCode, gotOut, gotErr := sluice(t, append([]string{"script", "test"}, args...)...)
		if gotCode != code || gotOut != out || !strings.Contains(gotErr, err) || err == "" && gotErr != "" {
			t.Errorf("%v: exit %d\n%s%s\nwant exit %d\n%s%s", args, gotCode, gotOut, gotErr, code, out, err)
		}
	}
	js := put("a.js", `module.exports = function (doc, ns) {
	if (doc.deletedAt) return false;
	if (doc.n > 5) {
		throw new Error('n is ' + doc.n);
	}
	if (doc.n) { doc.twice = doc.n * 2; console.log(ns, doc.n); }
	return doc;
};`)
	many := put("many.json", `{"_id": 1}
{"_id": {"$oid": "65f0a0a0a0a0a0a0a0a0a0a0"}, "deletedAt": {"$date": "2024-01-01T00:00:00Z"}}
[{"_id": 3, "n": 9}, {"_id": 4, "n": 2}]`)
	f(1, "1: written as it was\n2: does not belong into the index; it leaves it if it is there\n3: error: "+js+":4:9: Error: n is 9\n4: {\"_id\":4,\"n\":2,\"twice\":4}\n",
		`msg="shop.orders 2"`, js, "--doc", many, "--ns", "shop.orders")
	good := put("good.json", `{"_id": 1}`)
	f(0, "1: written as it was\n", "", js, "--doc", good)
	f(0, "[\n  {\n    \"result\": \"write\",\n    \"document\": {\n      \"_id\": 1\n    }\n  }\n]\n", "", js, "--doc", good, "--json")
	filter := put("filter.js", "module.exports = function (doc) { return doc.n }")
	f(0, "1: does not belong into the index; it leaves it if it is there\n", "", filter, "--doc", good, "--kind", "filter")
	f(0, "1: skipped; the index stays as it is\n", "", filter, "--doc", good, "--kind", "filter", "--mode", "monstache")

	f(2, "", "bad.js:2:10: Unexpected token", put("bad.js", "module.exports = function () {\n return +;\n}"), "--doc", good)
	f(2, "", "module.exports is no function", put("none.js", "var x"), "--doc", good)
	f(2, "", "sample 1", js, "--doc", put("bad.json", `{"_id": {"$oid": "x"}}`))
	f(2, "", "no JSON in line 1, or after it", js, "--doc", put("torn.json", "{\"_id\": 1}\n{\"_id\": "))
	f(2, "", "there is no document in it", js, "--doc", put("empty.json", ""))
	f(2, "", "no such file", js, "--doc", filepath.Join(dir, "missing.json"))
	f(2, "", "no such file", filepath.Join(dir, "missing.js"), "--doc", good)
	f(2, "", "a namespace is written db.collection", js, "--doc", good, "--ns", "shop")
	f(2, "", "missing flags: --doc", js)
}
