package deploy

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
	"sigs.k8s.io/yaml"
)

// disturbed tells what an entry more in each list changes beside itself: pods that
// would be made anew, other entries that are not as they were. Empty is right: sluice
// takes the new entry over while the others run.
func disturbed(t *testing.T, dir string, vals map[string]any, lists ...string) []string {
	t.Helper()
	before, err := render(dir, vals)
	if err != nil {
		t.Fatal(err)
	}
	more := chartutil.Values(maps.Clone(vals))
	for _, list := range lists {
		was, _ := vals[list].([]any)
		entry := maps.Clone(was[0].(object))
		entry["name"] = "another"
		// In front: where an entry stands must not matter.
		more[list] = append([]any{entry}, was...)
	}
	after, err := render(dir, more)
	if err != nil {
		t.Fatal(err)
	}
	var bad []string
	for name := range before {
		if name != "configmap.yaml" && name != "NOTES.txt" && before[name] != after[name] {
			bad = append(bad, name+" changes")
		}
	}
	was, is := configOf(t, before), configOf(t, after)
	for _, list := range lists {
		old, now := entries(was[list]), entries(is[list])
		delete(now, "another")
		if len(now) == 0 || !reflect.DeepEqual(old, now) {
			bad = append(bad, fmt.Sprintf("%s: %v became %v", list, old, now))
		}
		delete(was, list)
		delete(is, list)
	}
	if !reflect.DeepEqual(was, is) {
		bad = append(bad, "the rest of sluice.yaml changes")
	}
	slices.Sort(bad)
	return bad
}

// configOf is the rendered sluice.yaml.
func configOf(t *testing.T, rendered map[string]string) object {
	t.Helper()
	text, _ := at(parsed(t, rendered["configmap.yaml"]), "data", "sluice.yaml").(string)
	var c object
	if err := yaml.UnmarshalStrict([]byte(text), &c); err != nil || len(c) == 0 {
		t.Fatalf("%v:\n%s", err, text)
	}
	return c
}

// entries are those of a list, by name.
func entries(list any) map[string]any {
	all := map[string]any{}
	for _, e := range list.([]any) {
		all[e.(object)["name"].(string)] = e
	}
	return all
}

func TestNewEntryDisturbsNothing(t *testing.T) {
	all := cases(t)
	f := func(name string, lists ...string) {
		t.Helper()
		if bad := disturbed(t, chartDir, all[name], lists...); len(bad) > 0 {
			t.Errorf("%s: %v", name, bad)
		}
	}
	f("sync", "flows")
	f("archive", "archive")
	f("both", "flows")
	f("both", "archive")
	f("both", "flows", "archive")
	f("secret_files", "flows", "archive")
}

func TestDisturbanceIsSeen(t *testing.T) {
	vals := cases(t)["both"]
	f := func(file, old, text, want string) {
		t.Helper()
		bad := disturbed(t, broken(t, file, old, text), vals, "flows")
		if !strings.Contains(strings.Join(bad, "\n"), want) {
			t.Errorf("%s with %q: %v", file, text, bad)
		}
	}
	f("values.yaml", "reload: true", "reload: false", "workload.yaml changes")
	f("templates/_config.tpl", `toYaml (dict "mongodb"`, `toYaml (dict "flows" $c.flows "mongodb"`, "workload.yaml changes")
	f("templates/_pod.tpl", "- --config=/etc/sluice/sluice.yaml", "- --flows={{ len .Values.flows }}", "workload.yaml changes")
	f("templates/_config.tpl", "range .Values.flows", "range first .Values.flows | list", "became map[]")
}

// A change that sluice can't take over makes new pods, also with reload.
func TestWhatIsFixedMakesNewPods(t *testing.T) {
	all := cases(t)
	f := func(name string, want bool, change string) {
		t.Helper()
		vals := all[name]
		before := mustRender(t, vals)["workload.yaml"]
		changed := values(t, change)
		after := mustRender(t, chartutil.CoalesceTables(changed, vals))["workload.yaml"]
		if before != after != want {
			t.Errorf("%s with %s: new pods: %v", name, change, !want)
		}
	}
	f("sync", true, "config: {mongodb: {uri: 'mongodb://elsewhere'}}")
	f("sync", true, "config: {state: {store: mongodb}}")
	f("sync", true, "config: {state: {index: other}}")
	f("sync", true, "config: {logs: {style: monstache}}")
	f("sync", true, "config: {stats: {log: true}}")
	f("sync", true, "config: {http: {monstache: {listen: ':8080'}}}")
	f("sync", true, "http: {probePort: 1234}")
	f("sync", true, "http: {tokenSecret: {name: token}}")
	f("sync", false, "config: {limits: {memory_budget: 64MB}}")
	f("sync", false, "config: {search: {gzip: true}}")
	f("sync", false, "config: {http: {ready_lag: 1m}}")
	f("iam_role", false, "config: {spool: {max: 3GB}}")
	f("file_state", true, "config: {search: {gzip: true}}")
}
