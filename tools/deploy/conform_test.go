package deploy

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/yannh/kubeconform/pkg/validator"
)

// conform is what kubeconform finds in rendered objects.
func conform(t *testing.T, schemas string, rendered map[string]string) []string {
	t.Helper()
	v, err := validator.New([]string{schemas + "/{{ .ResourceKind }}{{ .KindSuffix }}.json"}, validator.Opts{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	var bad []string
	for _, name := range slices.Sorted(maps.Keys(rendered)) {
		if name == "NOTES.txt" {
			continue
		}
		for _, r := range v.Validate(name, io.NopCloser(strings.NewReader(rendered[name]))) {
			if r.Status != validator.Valid && r.Status != validator.Empty {
				bad = append(bad, fmt.Sprintf("%s: %v %v", name, r.Err, r.ValidationErrors))
			}
		}
	}
	return bad
}

func TestChartConforms(t *testing.T) {
	schemas := schemaDir(t)
	seen := map[string]bool{}
	for name, v := range cases(t) {
		out := mustRender(t, v)
		if bad := conform(t, schemas, out); len(bad) > 0 {
			t.Errorf("%s: %s", name, strings.Join(bad, "\n"))
		}
		for _, text := range out {
			if _, after, ok := strings.Cut(text, "\nkind: "); ok {
				kind, _, _ := strings.Cut(after, "\n")
				seen[kind] = true
			}
		}
	}
	if len(seen) != len(kinds)+1 { // and ServiceMonitor
		t.Errorf("the cases show only %v", slices.Sorted(maps.Keys(seen)))
	}
}

func TestConformSeesWhatIsBroken(t *testing.T) {
	schemas := schemaDir(t)
	f := func(file, old, text, want string) {
		t.Helper()
		out, err := render(broken(t, file, old, text), cases(t)["secret_files"])
		if err != nil {
			t.Fatal(err)
		}
		if bad := fmt.Sprint(conform(t, schemas, out)); !strings.Contains(bad, want) {
			t.Errorf("%s with %q: %s", file, text, bad)
		}
	}
	f("templates/_pod.tpl", "imagePullPolicy:", "imagePulPolicy:", "imagePulPolicy")
	f("templates/_pod.tpl", "periodSeconds: 10\n      timeoutSeconds: 5", "periodSeconds: ten\n      timeoutSeconds: 5", "periodSeconds")
	f("templates/_pod.tpl", "  - name: sluice\n", "  - title: sluice\n", "name")
	f("templates/pdb.yaml", "policy/v1", "policy/v1beta1", "could not find schema")
	f("templates/workload.yaml", "    matchLabels:", "    matchLabel:", "matchLabel")
	f("templates/service.yaml", "port: {{ .Values.http.port }}, targetPort: http", "targetPort: http", "port")
	f("templates/servicemonitor.yaml", "authorization:", "authorisation:", "authorisation")
	f("templates/networkpolicy.yaml", "policyTypes:", "policyType:", "policyType")
	f("values.yaml", "runAsUser: 65532", "runAsUser: nobody", "runAsUser")
}
