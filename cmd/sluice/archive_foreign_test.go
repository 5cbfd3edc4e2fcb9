package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/app"
)

// goChiveFile writes an object of go-chive with three documents, two of one _id.
func goChiveFile(t *testing.T, file string, keep func([]byte) []byte) {
	t.Helper()
	body, err := bson.Marshal(bson.M{"docs": []map[string]any{{"_id": 1, "v": "one"}, {"_id": 2, "v": "two"}, {"_id": 1, "v": "newer"}}})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	tw := tar.NewWriter(gz)
	if err := tw.WriteHeader(&tar.Header{Name: "archive_1772323200.bson", Size: int64(len(body)), Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	if _, err := tw.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, keep(b.Bytes()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestForeignVerbs(t *testing.T) {
	dir := t.TempDir()
	url, file := "file://"+filepath.ToSlash(dir), archiveFile(t, noRules)
	whole := func(b []byte) []byte { return b }
	goChiveFile(t, filepath.Join(dir, "orders_archive_20260301_000000.tar.gz"), whole)
	goChiveFile(t, filepath.Join(dir, "notes.tar.gz"), whole)
	run := func(code int, args ...string) (string, string) {
		t.Helper()
		got, out, errOut := sluice(t, append(args, "-c", file, "--from-gochive", url)...)
		if got != code {
			t.Errorf("%v: exit code %d: %s %s", args, got, out, errOut)
		}
		return out, errOut
	}
	out, _ := run(exitDone, "archive", "ls")
	wantAll(t, out, "orders_archive_20260301_000000.tar.gz", "2026-03-01T00:00:00Z", "1 other objects")
	out, _ = run(exitDone, "archive", "ls", "--packs")
	wantAll(t, out, "BATCHES", "DOCUMENTS", "orders ")
	out, _ = run(exitDone, "archive", "ls", "--json", "--namespace", "shop.none")
	if strings.TrimSpace(out) != "[]" {
		t.Errorf("%q", out)
	}
	out, _ = run(exitDone, "archive", "verify")
	wantAll(t, out, "ok ", "3 documents", "0 with a problem", "2 keys", "1 several times with different", `{"$numberInt":"1"} differs in`, "can't be proven", "order of fields")
	out, _ = run(exitDone, "archive", "verify", "--json")
	var sum app.ForeignSummary
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 2 || json.Unmarshal([]byte(lines[1]), &sum) != nil || sum.Keys != 2 || sum.Others != 1 {
		t.Errorf("%s", out)
	}
	out, _ = run(exitDone, "archive", "find", "--query", `{"_id": 1}`)
	if !strings.Contains(out, "newer") || strings.Contains(out, `"one"`) {
		t.Errorf("%q", out)
	}
	if out, _ = run(exitDone, "archive", "find", "--versions", "--id", "1"); strings.Count(out, "\n") != 2 {
		t.Errorf("%q", out)
	}
	out, _ = run(exitDone, "archive", "find", "--json", "--id", "2")
	wantAll(t, out, `"go-chive"`, `"orders"`, "archive_1772323200.bson", "2026-03-01T00:00:00Z")
	out, _ = run(exitDone, "archive", "cat", "notes.tar.gz")
	if n := strings.Count(out, "_id"); n != 3 {
		t.Errorf("%d documents", n)
	}
	for _, x := range []struct {
		args  []string
		words []string
	}{
		{[]string{"archive", "ls", "--rule", "old"}, []string{"--rule", "--from-gochive"}},
		{[]string{"archive", "verify", "--namespace", "orders"}, []string{"db.collection"}},
		{[]string{"archive", "verify", "--namespace", "shop.none"}, []string{"none_archive_DATE_TIME.tar.gz", "1 others"}},
		{[]string{"archive", "find", "--from", "2026-01-01"}, []string{"--from", "--query"}},
		{[]string{"archive", "find", "--query", `{"$where": "1"}`}, []string{"$where"}},
		{[]string{"archive", "cat", "none"}, []string{"none"}},
		{[]string{"restore"}, []string{"--namespace db.collection"}},
		{[]string{"restore", "--outcome", "gone"}, []string{"--outcome"}},
		{[]string{"restore", "--namespace", "shop.orders", "--on-conflict", "replace-older"}, []string{"no hashes"}},
	} {
		_, errOut := run(exitUsage, x.args...)
		wantAll(t, errOut, x.words...)
	}
	code, _, errOut := sluice(t, "restore", "--namespace", "a.b", "--skip-damaged", "-c", file)
	if wantAll(t, errOut, "only for --from-gochive"); code != exitUsage {
		t.Errorf("exit code %d", code)
	}
	missing := filepath.Join(dir, "none")
	code, _, errOut = sluice(t, "archive", "ls", "-c", file, "--from-gochive", "file://"+filepath.ToSlash(missing))
	if _, err := os.Stat(missing); code != exitUsage || err == nil {
		t.Errorf("exit code %d, %v: %s", code, err, errOut)
	}

	goChiveFile(t, filepath.Join(dir, "orders_archive_20260301_000001.tar.gz"), func(b []byte) []byte { return b[:len(b)-4] })
	out, _ = run(exitDiffers, "archive", "verify")
	wantAll(t, out, "BAD ", "000001.tar.gz, byte", "cut off")
	_, errOut = run(exitFailed, "archive", "find", "--id", "2")
	wantAll(t, errOut, "000001.tar.gz", "--skip-damaged")
	out, errOut = run(exitDone, "archive", "find", "--id", "2", "--skip-damaged")
	wantAll(t, out, "two")
	wantAll(t, errOut, "left out")
}
