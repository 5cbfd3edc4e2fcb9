package app

import (
	"strings"
	"testing"

	"sluice/internal/flow"
)

func TestCheckReadsTemplates(t *testing.T) {
	f := func(more, want string) {
		t.Helper()
		err := Check(ofFlow(t, more))
		if want == "" && err != nil || want != "" && (flow.ClassOf(err) != flow.Config || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", more, err, want)
		}
	}
	f(`index: "orders-{createdAt:yyyy.MM}"`, "")
	f("id: \"{tenant}:{_id}\"\nrouting: \"{tenant}\"", "")
	f(`index: "orders-{createdAt:YYYY}"`, `read the templates of flow shop: index: at position 19: a format of dates knows no "YYYY"`)
	f(`index: "orders-{"`, "at position 8: this { has no }; a template knows {db}, {collection}, {_id}, {field.path}, {date_field:yyyy.MM} and {field|default}")
	f(`id: "{tenant}{_id}"`, "id: {tenant} has to be parted")
	f(`index: "{tenant}-x"`, "begin it with text, {db} or {collection}")
}

// A template shapes documents: another one is another shape (rule S12). What
// uses none keeps its fingerprint.
func TestS12TemplatesAreInTheShape(t *testing.T) {
	seen := map[string]string{}
	ns := flow.Namespace{DB: "shop", Coll: "orders"}
	for _, more := range []string{"index: orders", `index: "orders-{a}"`, `index: "orders-{b}"`, `id: "{a}:{_id}"`, `routing: "{a}"`} {
		sum := fingerprint(&ofFlow(t, more).Flows[0], ns)
		if other, dup := seen[sum]; dup {
			t.Errorf("%s is of the shape of %s", more, other)
		}
		seen[sum] = more
	}
	if a, b := fingerprint(&ofFlow(t, "index: orders").Flows[0], ns), fingerprint(&ofFlow(t, "index: orders\npre_images: false").Flows[0], ns); a != b {
		t.Error("pre_images is of the shape")
	}
}

// Where a template holds names only, each namespace has one index, which is
// written as one without templates.
func TestTemplateOfNamesOnly(t *testing.T) {
	cfg := ofFlow(t, `index: "{db}_{collection}-v2"`)
	run := &flowRun{o: Options{Config: cfg}, cfg: &cfg.Flows[0]}
	route := run.route()
	r, err := route(flow.Namespace{DB: "Shop", Coll: "orders"})
	if err != nil || r.Index != "shop_orders-v2" {
		t.Fatal(r.Index, err)
	}
	if p, err := templatesOf(run.cfg); err != nil || placementOf(p) != nil {
		t.Error(err)
	}
	if _, err := route(flow.Namespace{DB: "shop", Coll: "ORDERS"}); flow.ClassOf(err) != flow.Config {
		t.Error("two namespaces share an index", err)
	}
}
