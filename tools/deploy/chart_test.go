package deploy

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	"sigs.k8s.io/yaml"
)

// chartDir is the chart, root the whole project.
const (
	root     = "../.."
	chartDir = root + "/deploy/chart/sluice"
	caseDir  = "testdata/values"
)

// object is one object of Kubernetes, or a part of it.
type object = map[string]any

// values reads a file of values as Helm does.
func values(t *testing.T, text string) map[string]any {
	t.Helper()
	v, err := chartutil.ReadValues([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// cases are the files of values, by name.
func cases(t *testing.T) map[string]map[string]any {
	t.Helper()
	files, err := filepath.Glob(caseDir + "/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no values: ", err)
	}
	all := map[string]map[string]any{}
	for _, file := range files {
		all[strings.TrimSuffix(filepath.Base(file), ".yaml")] = values(t, read(t, file))
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// render is `helm template`: the text of each object, by the name of its template.
func render(dir string, vals map[string]any) (map[string]string, error) {
	c, err := loader.Load(dir)
	if err != nil {
		return nil, err
	}
	release := chartutil.ReleaseOptions{Name: "sluice", Namespace: "data", IsInstall: true}
	all, err := chartutil.ToRenderValues(c, vals, release, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(c, all)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for path, text := range files {
		if name := filepath.Base(path); strings.TrimSpace(text) != "" && name[0] != '_' {
			out[name] = text
		}
	}
	return out, nil
}

func mustRender(t *testing.T, vals map[string]any) map[string]string {
	t.Helper()
	out, err := render(chartDir, vals)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// parsed is a rendered object.
func parsed(t *testing.T, text string) object {
	t.Helper()
	var o object
	if err := yaml.UnmarshalStrict([]byte(text), &o); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return o
}

// at is what lies at a path of names in an object; nil for nothing.
func at(o any, path ...string) any {
	for _, name := range path {
		m, ok := o.(object)
		if !ok {
			return nil
		}
		o = m[name]
	}
	return o
}

// lintChart is what `helm lint` finds, but hints.
func lintChart(dir string, vals map[string]any) []string {
	var bad []string
	for _, m := range lint.All(dir, vals, "data", true).Messages {
		if m.Severity >= support.WarningSev {
			bad = append(bad, m.Error())
		}
	}
	return bad
}

// broken is a copy of the chart in which old is replaced by text in one file.
func broken(t *testing.T, file, old, text string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "sluice")
	if err := os.CopyFS(dir, os.DirFS(chartDir)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, file)
	was := read(t, path)
	if strings.Count(was, old) != 1 {
		t.Fatalf("%q is not once in %s", old, file)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(was, old, text, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestChartIsLinted(t *testing.T) {
	if bad := lintChart(chartDir, nil); len(bad) > 0 {
		t.Errorf("the chart's own values: %v", bad)
	}
	for name, v := range cases(t) {
		if bad := lintChart(chartDir, v); len(bad) > 0 {
			t.Errorf("%s: %v", name, bad)
		}
	}
}

func TestLintSeesWhatIsBroken(t *testing.T) {
	f := func(file, old, text, want string) {
		t.Helper()
		bad := fmt.Sprint(lintChart(broken(t, file, old, text), cases(t)["sync"]))
		if !strings.Contains(bad, want) {
			t.Errorf("%s with %q: %s", file, text, bad)
		}
	}
	f("Chart.yaml", "version: 0.1.0", "version: one", "version")
	f("Chart.yaml", "apiVersion: v2", "apiVersion: v7", "apiVersion")
	f("values.yaml", "replicas: 1", "replicas: one", "replicas")
	f("templates/pdb.yaml", "{{- end }}", "", "unexpected EOF")
	f("templates/pdb.yaml", `"sluice.labels"`, `"sluice.lables"`, "sluice.lables")
	f("templates/pdb.yaml", "metadata:", "metadata: x:", "YAML")
}

// What can't work is refused with the cure.
func TestChartRefuses(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if _, err := render(chartDir, values(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v, want %q", text, err, want)
		}
	}
	const flow = "flows: [{name: shop, namespaces: [shop.orders]}]\n"
	const urls = "config: {mongodb: {uri: 'mongodb://db'}, search: {urls: [http://search:9200]}}\n"
	f("", "at least one entry")
	f(flow, "config.search.urls")
	f(flow+"config: {search: {urls: [http://search:9200]}}", "${MONGODB_URI}")
	f(flow+urls+"replicas: 2", "more than one is for archive rules alone")
	f(flow+urls+"drainSeconds: 60", "at least 30 more than drainSeconds")
	f(flow+urls+"serviceMonitor: {enabled: true}", "http.tokenSecret")
	f(flow+"config: {search: {urls: ['http://search:9200'], auth: {api_key: '${file:/run/secrets/key/k}'}}, mongodb: {uri: x}}", "secrets.files")
	f(flow+"config: {search: {urls: ['http://search:9200']}, mongodb: {uri: x}, http: {listen: ':1'}}", "config.http.listen follows")
	f(urls+"flows: [{name: shop, namespace: [shop.orders]}]", "namespace")
	f(flow+urls+"replica: 2", "replica")
	f(flow+"config: {mongo: {}}", "mongo")
}

// The chart's own values, without anything to do, tell what is missing; they are
// all in the schema.
func TestSchemaKnowsAllValues(t *testing.T) {
	var schema object
	if err := yaml.Unmarshal([]byte(read(t, chartDir+"/values.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	known := slices.Sorted(maps.Keys(schema["properties"].(object)))
	have := slices.Sorted(maps.Keys(values(t, read(t, chartDir+"/values.yaml"))))
	known = slices.DeleteFunc(known, func(s string) bool { return s == "global" })
	if !slices.Equal(known, have) {
		t.Errorf("the schema has %v, values.yaml %v", known, have)
	}
}
