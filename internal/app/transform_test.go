package app

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/transcode"
)

// ofFlow loads a configuration with more lines for its flow.
func ofFlow(t *testing.T, more string) *config.Config {
	t.Helper()
	var flowLines strings.Builder
	for line := range strings.Lines(more) {
		flowLines.WriteString("    " + line)
	}
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	text := "mongodb: {uri: mongodb://127.0.0.1/}\nsearch: {urls: [\"http://127.0.0.1:9200\"]}\nflows:\n  - name: shop\n    namespaces: [shop.orders]\n" + flowLines.String()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file, config.Overrides{})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return cfg
}

// TestTransformGolden: each file is a rule, a document and what becomes of it.
func TestTransformGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/transform/*.txt")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			rule, rest, _ := strings.Cut(string(text), "-- input\n")
			input, want, ok := strings.Cut(rest, "-- output\n")
			if !ok {
				t.Fatal("the file has no input and output")
			}
			plan, err := planOf(&ofFlow(t, rule).Flows[0])
			if err != nil {
				t.Fatal(err)
			}
			var doc bson.Raw
			if err := bson.UnmarshalExtJSON([]byte(input), false, &doc); err != nil {
				t.Fatal(err)
			}
			var st transcode.Stats
			out, err := plan.Append(nil, doc, &st)
			got := string(out)
			if err != nil {
				got = "error: " + err.Error()
			}
			if got += "\n"; got == want {
				return
			}
			t.Errorf("\ngot  %swant %s", got, want)
		})
	}
}

// TestCheck: what only shows when the rules are put together is told without
// any server, as a mistake in the configuration.
func TestCheck(t *testing.T) {
	f := func(more, want string) {
		t.Helper()
		err := Check(ofFlow(t, more))
		if want == "" {
			if err != nil {
				t.Error(err)
			}
			return
		}
		if flow.ClassOf(err) != flow.Config || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", more, err, want)
		}
	}
	f("where: {shop.orders: {n: 1}}\nfields: {cast: {a: long}}\n", "")
	f("fields: {exclude: [a], cast: {a: long}}\n", "cast: a is left out by exclude")
	f("fields: {exclude: [m.**], copy: {a: m.b}}\n", "copy: m.b is left out by exclude: m.**")
	f("fields: {rename: {a: c}, copy: {b: c}}\n", "c is also what rename makes of a")
	f("where: {shop.orders: {$where: \"x\"}}\n", "where[shop.orders]: $where is not supported here")
	f("scripts: [{code: \"module.exports = (\"}]\n", "scripts[0]:2:1: Unexpected token")
	f("scripts: [{code: \"var x\"}]\n", "scripts[0]: module.exports is no function")
}

// TestS12ShapeOfTransforms: what transforms documents is part of their shape, and
// who uses none of it keeps the shape that older versions saved.
func TestS12ShapeOfTransforms(t *testing.T) {
	ns := flow.Namespace{DB: "shop", Coll: "orders"}
	seen := map[string]string{}
	for _, more := range []string{
		"", "fields: {cast: {a: long}}\n", "fields: {cast: {a: long}, on_error: keep}\n", "fields: {flatten: [a]}\n", "fields: {set: {a: 1}}\n", "fields: {set: {a: 2}}\n",
		"fields: {copy: {a: b}}\n", "fields: {lower_names: true}\n", "where: {shop.orders: {a: 1}}\n", "where: {shop.orders: {a: 2}}\n", "filter: {shop.orders: {a: 2}}\n",
		"scripts: [{code: \"module.exports = d => d\"}]\n", "scripts: [{code: \"module.exports = d => true\"}]\n", "scripts: [{namespace: shop.orders, code: \"module.exports = d => d\"}]\n",
		"scripts: [{kind: filter, code: \"module.exports = d => d\"}]\n", "scripts: [{mode: monstache, code: \"module.exports = d => d\"}]\n",
	} {
		shape := fingerprint(&ofFlow(t, more).Flows[0], ns)
		if other, dup := seen[shape]; dup {
			t.Errorf("%q has the shape of %q", more, other)
		}
		seen[shape] = more
	}
	old := sha256.Sum256([]byte(`{"Index":"shop.orders","Filters":[],"Fields":{"Include":["a"],"Exclude":null,"Rename":null},` +
		`"Render":{"Dates":"iso8601","Decimals":"string","NonFinite":"null","BadNames":"repair"}}`))
	for _, more := range []string{"fields: {include: [a]}\n", "fields: {include: [a], on_error: keep}\n"} {
		if got := fingerprint(&ofFlow(t, more).Flows[0], ns); got != hex.EncodeToString(old[:12]) {
			t.Errorf("%q has another shape than before there were transforms", more)
		}
	}
}
