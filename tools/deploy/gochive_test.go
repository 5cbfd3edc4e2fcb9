package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestGochiveEntriesMeanTheSame: the chart makes the same rules of go-chive's entries
// as the program does.
func TestGochiveEntriesMeanTheSame(t *testing.T) {
	vals := values(t, read(t, "testdata/values/gochive.yaml"))
	rendered, err := render(chartDir, vals)
	if err != nil {
		t.Fatal(err)
	}
	chart := configOf(t, rendered)
	list, err := yaml.Marshal(vals["gochive"])
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, list, 0o600); err != nil {
		t.Fatal(err)
	}
	uri := vals["config"].(object)["mongodb"].(object)["uri"].(string)
	cmd := exec.CommandContext(t.Context(), host(t), "config", "convert", "--from", "gochive", file, "--", "-host-template", uri)
	cmd.Env = append(cmd.Environ(), "MONGODB_PASSWORD=x")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var program object
	if err := yaml.Unmarshal(out, &program); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(chart["archive"], program["archive"]) {
		t.Errorf("the chart makes\n%v\nof it, the program\n%v", chart["archive"], program["archive"])
	}
	if got, want := chart["mongodb"], program["mongodb"]; !reflect.DeepEqual(got, want) {
		t.Errorf("the chart goes to %v, the program to %v", got, want)
	}
}

// TestGochiveMistakes: wrong entries are told before anything is installed.
func TestGochiveMistakes(t *testing.T) {
	f := func(old, instead, want string) {
		t.Helper()
		text := read(t, "testdata/values/gochive.yaml")
		if !strings.Contains(text, old) {
			t.Fatalf("no %q", old)
		}
		_, err := render(chartDir, values(t, strings.Replace(text, old, instead, 1)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", instead, err, want)
		}
	}
	f("ageLimit: 92d", "ageLimit: -1d", "ageLimit")
	f("ageLimit: 92d", "ageLimit: 0d", "ageLimit")
	f("ageLimit: 92d", "agelimit: 92d", "agelimit")
	f("queryLimit: 2000", "queryLimit: 0", "queryLimit")
	f("archiveCheckInterval: 9", "archiveCheckInterval: 9s", "archiveCheckInterval")
	f(`hostAddress: "incubator"`, `hostAddress: "other"`, "several deployments")
	f("${MONGODB_PASSWORD}", "${MONGO_PASSWORD}", "${MONGO_PASSWORD}")
}
