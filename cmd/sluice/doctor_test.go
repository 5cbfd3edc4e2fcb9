package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/internal/app"
	"sluice/internal/flow"
)

func TestDiagnosisText(t *testing.T) {
	d := app.Diagnosis{Findings: flow.Findings{
		{Check: "mongodb.rights", Object: "shop", Severity: flow.FindingError, What: "no right", Cause: "nobody gave it", Cure: "run this:\ndb.grant()"},
		{Check: "search.disk", Object: "n1", Severity: flow.FindingWarning, What: "node n1 is full"},
		{Check: "mongodb.version", Object: "h:1", Severity: flow.FindingOK, What: "MongoDB 6.0.5"},
		{Check: "search.version", Object: "h:2", Severity: flow.FindingOK, What: "h:2 is there"},
	}}
	want := `error    mongodb.rights: no right
         at:    shop
         cause: nobody gave it
         cure:  run this:
                db.grant()

warning  search.disk: node n1 is full

ok       mongodb.version: MongoDB 6.0.5 (h:1)
ok       search.version: h:2 is there

1 errors, 1 warnings, 2 checks passed: it can't work as it is`
	if got := diagnosisText(d); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	d.Findings = d.Findings[1:]
	wantAll(t, diagnosisText(d), "1 warnings, 2 checks passed: it can run")
	d.Findings = d.Findings[1:]
	wantAll(t, diagnosisText(d), "2 checks passed: all is sound")
}

// TestDoctorNobodyThere: no server answers; everything that can be told is, and
// no secret.
func TestDoctorNobodyThere(t *testing.T) {
	const pw = "s3cret-pw"
	dir := t.TempDir()
	file := filepath.Join(dir, "sluice.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("mongodb: {uri: 'mongodb://u:" + pw + "@127.0.0.1:1/?serverSelectionTimeoutMS=300'}\n" +
		"search: {urls: ['http://e:" + pw + "@127.0.0.1:1'], timeout: 1s}\n" +
		"state: {path: " + dir + "/none/state}\nhttp: {listen: 'off'}\n" +
		"flows: [{name: a, namespaces: [b.c]}]\n")
	code, out, errOut := sluice(t, "doctor", "-c", file)
	if code != exitDiffers || errOut != "" {
		t.Errorf("exit code %d: %s", code, errOut)
	}
	wantAll(t, out, "error    mongodb.reachable", "error    search.reachable", "cure:", "ok       state.directory", "errors")
	code, out2, _ := sluice(t, "doctor", "-c", file, "--json", "--flow", "a")
	var d app.Diagnosis
	if err := json.Unmarshal([]byte(out2), &d); err != nil || code != exitDiffers || d.Sound || len(d.Findings) < 3 {
		t.Errorf("exit code %d, %v: %s", code, err, out2)
	}
	if strings.Contains(out+out2, pw) {
		t.Errorf("a secret is told: %s%s", out, out2)
	}
	if _, err := os.Stat(dir + "/none"); !os.IsNotExist(err) {
		t.Error("a directory is left behind")
	}
	if code, _, errOut = sluice(t, "doctor", "-c", file, "--flow", "b"); code != exitUsage || !strings.Contains(errOut, "it has a") {
		t.Errorf("exit code %d: %s", code, errOut)
	}
	write("flowz: []\n")
	if code, _, _ = sluice(t, "doctor", "-c", file); code != exitUsage {
		t.Errorf("exit code %d", code)
	}
}
