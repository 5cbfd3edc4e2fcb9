package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sluice/internal/app"
)

// archiveFile writes a configuration of one rule, with a MongoDB that isn't there.
func archiveFile(t *testing.T, rules string) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "sluice.yaml")
	text := "mongodb: {uri: 'mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50'}\nhttp: {listen: off}\n" + rules
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const noRules = "search: {urls: ['http://127.0.0.1:1']}\nflows: [{name: a, namespaces: [b.c]}]\n"

func TestArchiveUsage(t *testing.T) {
	rules := "archive: [{name: old, namespace: a.b, field: at, older_than: 92d, to: 'file://" + filepath.ToSlash(t.TempDir()) + "/x'}]\n"
	with, without := archiveFile(t, rules), archiveFile(t, noRules)
	for _, x := range []struct {
		args  []string
		code  int
		words []string
	}{
		{[]string{"archive", "plan", "-c", without}, exitUsage, []string{"no rules to archive", "docs/configuration.md"}},
		{[]string{"archive", "plan", "-c", with, "--rule", "young"}, exitUsage, []string{"young", "it has old"}},
		{[]string{"archive", "plan", "-c", with}, exitFailed, []string{"127.0.0.1:1", "connection refused"}},
		{[]string{"archive", "show", "-c", with}, exitUsage, []string{"<run>"}},
		{[]string{"archive", "cat", "none", "-c", with}, exitUsage, []string{"none", "archive ls --packs"}},
		{[]string{"archive", "find", "-c", with, "--id", "{"}, exitUsage, []string{"Extended JSON"}},
		{[]string{"archive", "find", "-c", with, "--query", "{a"}, exitUsage, []string{"Extended JSON"}},
		{[]string{"archive", "find", "-c", with, "--query", `{"$where": "1"}`}, exitUsage, []string{"$where"}},
		{[]string{"archive", "find", "-c", with, "--from", "yesterday"}, exitUsage, []string{"--from", "2026-01-31"}},
		{[]string{"archive", "forget", "-c", with, "--from", "2026-01-31"}, exitUsage, []string{"--id or --query"}},
		{[]string{"restore", "-c", with}, exitUsage, []string{"nothing is chosen", "--all"}},
		{[]string{"restore", "-c", with, "--all", "--on-conflict", "overwrite"}, exitUsage, []string{"keep-live", "replace-older"}},
	} {
		code, out, errOut := sluice(t, x.args...)
		if code != x.code || out != "" {
			t.Errorf("%v: exit code %d, output %q", x.args, code, out)
		}
		wantAll(t, errOut, x.words...)
	}
	// What only reads the bucket needs no MongoDB.
	for _, verb := range [][]string{{"verify"}, {"find", "--from", "2026-01-31", "--to", "2026-01-31T12:00:00Z"}} {
		if code, _, errOut := sluice(t, append(append([]string{"archive"}, verb...), "-c", with)...); code != exitDone {
			t.Errorf("%v: exit code %d: %s", verb, code, errOut)
		}
	}
}

func TestArchivePauseAsks(t *testing.T) {
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("Authorization"))
		if r.URL.Query().Get("rule") == "nobody" {
			http.Error(w, "no such rule", http.StatusNotFound)
		}
	}))
	defer s.Close()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if code, _, errOut := sluice(t, "archive", "pause", "--url", s.URL, "--token", "t0ken"); code != exitDone {
		t.Errorf("exit code %d: %s", code, errOut)
	}
	if code, _, errOut := sluice(t, "archive", "resume", "--url", s.URL, "--rule", "a b"); code != exitDone {
		t.Errorf("exit code %d: %s", code, errOut)
	}
	code, _, errOut := sluice(t, "archive", "pause", "--url", s.URL, "--rule", "nobody")
	if code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	wantAll(t, errOut, "404", "no such rule")
	want := []string{"POST /archive/pause Bearer t0ken", "POST /archive/resume?rule=a+b ", "POST /archive/pause?rule=nobody "}
	if got, err := json.Marshal(asked); err != nil || len(asked) != 3 || asked[0] != want[0] || asked[1] != want[1] || asked[2] != want[2] {
		t.Errorf("%s, %v", got, err)
	}
}

func TestArchiveTexts(t *testing.T) {
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	run := app.ArchiveRun{ID: "R1", Rule: "old", NS: "shop.orders", State: "closed", Before: at, Docs: 12, Bytes: 2_500_000, Packs: 1, Deleted: 11, Changed: 1, Error: "it broke", Shadow: true}
	pack := app.ArchivePack{ID: "P1", State: "closed", MinAge: at, Store: "s3://b/p", Object: "o.zst", Docs: 12}
	wantAll(t, listText([]app.ArchiveRunDetail{{Run: run, Packs: []app.ArchivePack{pack}}}),
		"RUN", "R1", "closed (shadow)", "2.5 MB", "2026-01-31T12:00:00Z", "R1: it broke", "PACK", "s3://b/p/o.zst")
	wantAll(t, detailText(app.ArchiveRunDetail{Run: run}), "shop.orders", "11 deleted, 1 changed", "a copy only", "it broke")
	p := app.ArchivePlanned{To: "s3://b/p", OlderThan: "6mo"}
	p.Rule, p.NS, p.Count, p.Share, p.Before = "old", "shop.orders", 12, 0.25, at
	p.Survey.Total, p.Survey.Census, p.Survey.CensusOf = 48, map[string]int64{"date": 40, "string": 8}, 48
	text := plansText([]app.ArchivePlanned{p})
	wantAll(t, text, "can run", "6mo", "12 of 48 (25.0 %)", "date 40, string 8 (of 48", "stays in MongoDB", "USD")
	if plansText(nil) == "" || runsText(nil) == "" || reportsText(nil) == "" {
		t.Error("nothing is said of nothing")
	}
	wantAll(t, restoredText(app.Restored{DryRun: true, Found: 3, Inserted: 3, Left: []string{"an index"}}), "3 would come back", "an index")
	wantAll(t, forgottenText(app.ArchiveForgotten{Documents: 1, Unreached: []string{"x: locked"}}, false), "1 documents erased", "not reached: x: locked")
	wantAll(t, verifiedText(app.ArchiveVerified{Object: "o", Problem: "cut"}), "BAD", "cut")
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_949: "999.9 kB", 999_950: "1.0 MB", 1 << 62: "4.6 EB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
